"""Nodes that come and go while their runtimes are used."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import AgentError, ConfigurationError
from agentrt.distributed.placement import Placement
from agentrt.distributed.versions import read_versions
from agentrt.journal.memory import MemoryJournal, MemoryLog
from tests.distributed.test_cluster import Cluster, collect, collect_slowly, in_memory_journals, started

IDS = [f"r{number}" for number in range(60)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


def on_node(cluster: Cluster) -> dict[str, str]:
    """The node that each runtime is on."""
    hosts = cluster.engine.hosts.values()
    return {id: node for host in hosts for node, manager in host.managers.items() for id in manager}


async def use(cluster: Cluster, count: int = 10) -> list[Any]:
    """Send to all, slowly, and wait for what comes of it."""
    receipts = []
    for number in range(count):
        receipts += [cluster.manager.send_nowait(id, number) for id in IDS]
        await asyncio.sleep(0.5)
    return [(await receipt).kind for receipt in receipts]


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_node_that_comes_gets_its_share_and_nothing_else_moves(is_durable: bool) -> None:
    options = {"open_journal": in_memory_journals()} if is_durable else {}
    with started(**options) as cluster:
        manager = cluster.manager
        cluster.do(lambda: manager.create_many(IDS, (), collect_slowly))
        before = on_node(cluster)
        cluster.spoil()

        async def main() -> list[Any]:
            using = asyncio.create_task(use(cluster))
            await asyncio.sleep(1)
            assert await manager._membership.add(None) == "node-4"
            return await using

        assert cluster.run(main()) == ["done"] * 10 * len(IDS)
        after = on_node(cluster)
        share = {id for id in IDS if Placement(manager.nodes).node_of(id) == "node-4"}
        assert manager.nodes == ("node-1", "node-2", "node-3", "node-4")
        assert {id for id in IDS if before[id] != after[id]} == share
        assert {after[id] for id in share} == {"node-4"}
        cluster.repair()
        assert cluster.do(lambda: [shot.state for shot in manager.snapshots()]) == [tuple(range(10))] * len(IDS)
        assert cluster.do(lambda: manager.create("new", (), collect, placement="node-4")).node == "node-4"
        assert cluster.run(manager.ask("new", 1)) == (1,)


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_node_that_goes_gives_up_what_it_has(is_durable: bool) -> None:
    options = {"open_journal": in_memory_journals()} if is_durable else {}
    with started(**options) as cluster:
        manager = cluster.manager
        cluster.do(lambda: manager.create_many(IDS, (), collect_slowly))
        before = on_node(cluster)
        cluster.spoil()

        async def main() -> list[Any]:
            using = asyncio.create_task(use(cluster))
            await asyncio.sleep(1)
            await manager._membership.remove("node-2", None)
            return await using

        assert cluster.run(main()) == ["done"] * 10 * len(IDS)
        after = on_node(cluster)
        assert manager.nodes == ("node-1", "node-3")
        assert {id for id in IDS if before[id] != after[id]} == {id for id in IDS if before[id] == "node-2"}
        assert "node-2" not in cluster.engine.hosts
        assert cluster.node_events() == ["node_removed"]
        cluster.repair()
        assert cluster.do(lambda: [shot.state for shot in manager.snapshots()]) == [tuple(range(10))] * len(IDS)


def test_a_node_stays_with_what_can_not_be_moved(cluster: Cluster) -> None:
    def hold(activity, state):
        return (number for number in ()), 1

    id = cluster.id_on("node-2")
    runtime = cluster.do(lambda: cluster.manager.create(id, None, hold))
    assert cluster.run(runtime.send_nowait(1).wait()) is None
    with pytest.raises(AgentError, match=f"'node-2' stays, as 1 of its runtimes do; '{id}' for one: .*be pickled"):
        cluster.do(lambda: cluster.manager.remove_node("node-2"))
    assert on_node(cluster) == {id: "node-2"}
    assert cluster.run(runtime.send_nowait(1).wait()) is None
    with pytest.raises(ConfigurationError, match="there is no node 'node-7'"):
        cluster.do(lambda: cluster.manager.remove_node("node-7"))
    cluster.do(lambda: cluster.manager.remove_node("node-1"))
    cluster.do(lambda: cluster.manager.remove_node("node-3"))
    with pytest.raises(ConfigurationError, match="'node-2' is the only node"):
        cluster.do(lambda: cluster.manager.remove_node("node-2"))


def test_what_was_moved_is_found_when_all_is_started_again() -> None:
    logs: dict[str, MemoryLog] = {}

    def open_journal(node: str) -> MemoryJournal:
        return MemoryJournal(logs.setdefault(node, MemoryLog()))

    with started(open_journal=open_journal) as cluster:
        here = cluster.do(lambda: cluster.manager.create("target", (), collect)).node
        there = next(node for node in cluster.manager.nodes if node != here)
        cluster.do(lambda: cluster.manager.move("target", there))
        assert cluster.run(cluster.manager.ask("target", 1)) == (1,)
    with started(open_journal=open_journal) as cluster:
        assert cluster.do(lambda: cluster.manager.create("target", (), collect)).node == there
        assert cluster.run(cluster.manager.ask("target", 2)) == (1, 2)


def test_of_two_journals_that_hold_it_the_later_one_is_right() -> None:
    logs: dict[str, MemoryLog] = {}

    def open_journal(node: str) -> MemoryJournal:
        return MemoryJournal(logs.setdefault(node, MemoryLog()))

    with started(open_journal=open_journal) as cluster:
        here = cluster.do(lambda: cluster.manager.create("target", (), collect)).node
        there = next(node for node in cluster.manager.nodes if node != here)
        cluster.run(cluster.manager.ask("target", 1))
        cluster.run(asyncio.sleep(1))
        before = MemoryLog()
        before.__dict__.update({**logs[here].__dict__, "rows": dict(logs[here].rows)})
        cluster.do(lambda: cluster.manager.move("target", there))
        cluster.run(cluster.manager.ask("target", 2))
    logs[here] = before  # its process has ended before it had let go
    with started(open_journal=open_journal) as cluster:
        assert cluster.do(lambda: cluster.manager.create("target", (), collect)).node == there
        assert cluster.run(cluster.manager.ask("target", 3)) == (1, 2, 3)
    assert open_journal(here).find("target") is None


def test_a_node_with_another_version_is_refused_and_changes_nothing() -> None:
    old = read_versions()._replace(agentrt="0.0.1")
    with started(versions={"node-4": old}) as cluster:
        manager = cluster.manager
        cluster.do(lambda: manager.create_many(IDS, (), collect))
        before = on_node(cluster)
        with pytest.raises(ConfigurationError, match=r"and node-4 Python .* with agentrt 0\.0\.1: what they send"):
            cluster.do(manager.add_node)
        assert manager.nodes == ("node-1", "node-2", "node-3")
        assert (on_node(cluster), manager.placement.pins, set(cluster.engine.hosts)) == (before, {}, set(manager.nodes))
        assert all(not each.placement.pins for each in cluster.engine.hosts.values())
        cluster.engine.versions.clear()
        assert cluster.do(manager.add_node) == "node-4"
        assert cluster.do(lambda: [shot.state for shot in manager.snapshots()]) == [()] * len(IDS)
