"""All processes of the nodes end at once, as where memory runs out: they are started again, and go on."""

import asyncio

import pytest

from agentrt import ProcessingError
from agentrt.journal.memory import MemoryJournal
from tests.distributed.test_cluster import Cluster, collect_slowly, in_memory_journals, started

NODES = ("node-1", "node-2", "node-3")
LONGEST = 600  # virtual seconds


def kill_all(cluster: Cluster) -> None:
    for host in tuple(cluster.engine.hosts):
        cluster.engine.kill(host)


async def pass_on(activity, state, ctx):
    await ctx.send("r3", activity.payload)
    return (*state, activity.payload)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled(seed: int) -> None:
    with started(seed, open_journal=in_memory_journals()) as cluster:
        manager = cluster.manager
        ids = {"r1": ("node-1", pass_on), "r2": ("node-2", collect_slowly), "r3": ("node-3", collect_slowly)}
        for id, (node, workflow) in ids.items():
            cluster.do(lambda id=id, node=node, workflow=workflow: manager.create(id, (), workflow, placement=node))
        cluster.spoil()

        async def main() -> None:
            receipts = []
            for number in range(60):
                receipts += [manager.send_nowait(id, number) for id in ("r1", "r2")]
                await asyncio.sleep(0.1)
                if number == 20:  # all nodes are in one process when that ends as well
                    cluster.engine.kill("node-3")
                    cluster.engine.kill("node-1")
                if number == 40:
                    kill_all(cluster)
            for receipt in receipts:
                await receipt
            await asyncio.sleep(30)  # until what is passed on has come

        cluster.run(asyncio.wait_for(main(), LONGEST))
        assert [cluster.manager_of(id)[id].state for id in ids] == [tuple(range(60))] * 3
        assert not cluster.manager.courier.sent


def test_the_only_node_is_started_again() -> None:
    opened, journals = [], in_memory_journals()

    def open_journal(node: str) -> MemoryJournal:
        opened.append(node)
        return journals(node)

    with started(open_journal=open_journal, nodes=1) as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("r", (), collect_slowly))
        assert cluster.run(asyncio.wait_for(runtime.ask(1), LONGEST)) == (1,)
        kill_all(cluster)
        assert cluster.run(asyncio.wait_for(runtime.ask(2), LONGEST)) == (1, 2)
        assert cluster.node_events() == ["node_ended", "node_adopted"]
        assert opened == ["node-1"] * 2  # once in each process


def test_one_that_does_not_start_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with started(open_journal=in_memory_journals()) as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("r", (), collect_slowly, placement="node-2"))
        start, tries = cluster.engine.start_again, []

        async def start_again(node: str, nodes: tuple[str, ...]) -> None:
            tries.append(node)
            if tries.count(node) < 3:
                raise OSError("no room")
            await start(node, nodes)

        monkeypatch.setattr(cluster.engine, "start_again", start_again)
        kill_all(cluster)
        assert cluster.run(asyncio.wait_for(runtime.ask(1), LONGEST)) == (1,)
        assert "node_not_adopted" in cluster.node_events()


def test_groups_are_there_again_before_their_members() -> None:
    with started(open_journal=in_memory_journals()) as cluster:
        manager = cluster.manager

        def divide(activity, state):
            return state + 1 // activity.payload

        group = cluster.do(lambda: manager.group("over all", "one_for_all"))
        for id, node in zip("abc", NODES, strict=True):
            cluster.do(lambda id=id, node=node: manager.create(id, 0, divide, group=group, placement=node, retries=0))
        kill_all(cluster)
        assert [cluster.run(asyncio.wait_for(manager.ask(id, 1), LONGEST)) for id in "abc"] == [1, 1, 1]
        with pytest.raises(ProcessingError):
            cluster.run(manager.ask("b", 0))
        cluster.run(asyncio.sleep(1))
        assert cluster.do(lambda: [manager[id].state for id in "abc"]) == [0, 0, 0]


def test_a_node_that_its_host_no_longer_has_is_taken_over_again() -> None:
    with started(open_journal=in_memory_journals()) as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("r", (), collect_slowly, placement="node-2"))
        for host in ("node-2", "node-3"):
            cluster.engine.kill(host)
        cluster.run(asyncio.sleep(10))
        assert set(cluster.engine.places.values()) == {"node-1"}
        cluster.engine.kill("node-1")
        cluster.run(cluster.engine.start_again("node-1", NODES))  # before anybody has looked at node-2
        assert cluster.run(asyncio.wait_for(runtime.ask(1), LONGEST)) == (1,)
