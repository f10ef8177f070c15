"""Supervision groups with members on several nodes: who restarts, in which order, and how often."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import ProcessingError, Status
from agentrt.distributed import cluster_groups
from agentrt.distributed.escalations import Escalations, GroupOrder
from agentrt.errors import RuntimeFailedError
from tests.distributed.test_cluster import Cluster, in_memory_journals, started

pytestmark = pytest.mark.slow

MEMBERS = {"a": "node-1", "b": "node-2", "c": "node-3", "d": "node-1"}


async def worker(activity, state, ctx):
    """Adds numbers; "fail" fails, a tuple (n,) sleeps n seconds."""
    payload = activity.payload
    if payload == "fail":
        raise ValueError("as asked")
    if isinstance(payload, tuple):
        await ctx.sleep(payload[0])
        return state + 1
    return state + payload


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


@pytest.fixture
def durable() -> Iterator[Cluster]:
    with started(open_journal=in_memory_journals()) as made:
        yield made


def make(cluster: Cluster, strategy: str = "one_for_all", **options: Any) -> Any:
    """A group with a member on each of the nodes."""
    manager = cluster.manager
    group = cluster.do(lambda: manager.group("g", strategy, **options))
    for id, node in MEMBERS.items():
        cluster.do(lambda id=id, node=node: manager.create(id, 0, worker, group=group, placement=node, retries=0))
        assert cluster.run(manager.ask(id, 5)) == 5
    return group


def fail(cluster: Cluster, id: str, wait: float = 1) -> None:
    with pytest.raises(ProcessingError, match="as asked"):
        cluster.run(cluster.manager.ask(id, "fail"))
    cluster.run(asyncio.sleep(wait))


def states(cluster: Cluster) -> list[int]:
    return [cluster.do(lambda id=id: cluster.manager[id].state) for id in MEMBERS]


def statuses(cluster: Cluster) -> list[Status]:
    return [cluster.do(lambda id=id: cluster.manager[id].status) for id in MEMBERS]


def records(cluster: Cluster, kind: str) -> list[tuple[str, Any]]:
    """The records of a kind on each node and here, in the order of the time."""
    managers = [each for host in cluster.engine.hosts.values() for each in host.managers.values()]
    found = [
        (record.at, each.node, record) for each in (cluster.manager, *managers) for record in each.ring.since(0)[0]
    ]
    return [(node, record) for _, node, record in sorted(found, key=lambda item: item[0]) if record.kind == kind]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("one_for_one", [5, 0, 5, 5]), ("one_for_all", [0, 0, 0, 0]), ("rest_for_one", [5, 0, 0, 0])],
)
def test_members_of_all_nodes_restart_in_the_order_of_the_group(
    cluster: Cluster, strategy: str, expected: list[int]
) -> None:
    group = make(cluster, strategy)
    cluster.network.delay = 0.1  # what is not waited for would come in any order
    fail(cluster, "b", wait=5)
    assert states(cluster) == expected
    restarted = [record.runtime for _, record in records(cluster, "restarted")]
    assert restarted == [id for id, state in zip(MEMBERS, expected, strict=True) if state == 0]
    assert group.children == tuple(MEMBERS)
    assert [cluster.run(cluster.manager.ask(id, 1)) for id in MEMBERS] == [state + 1 for state in expected]


@pytest.mark.parametrize("seed", range(5))
def test_a_restart_interrupts_the_others_first_and_keeps_what_waits(seed: int) -> None:
    with started(seed) as cluster:
        make(cluster)
        manager = cluster.manager
        runs = {id: manager.send_nowait(id, (1_000,)) for id in "acd"}
        waits = {id: manager.send_nowait(id, 7) for id in "acd"}
        cluster.run(asyncio.sleep(1))
        cluster.spoil()
        fail(cluster, "b", wait=60)
        for id in "acd":
            assert isinstance(runs[id].outcome.error, ProcessingError), id
            assert f"{id!r} was restarted by its group 'g', after: worker failed in 'b'" in str(runs[id].outcome.error)
            assert waits[id].outcome.state == 7
        assert states(cluster) == [7, 0, 7, 7]
        begun = min(record.at for _, record in records(cluster, "restarted"))
        ended = max(receipt.outcome.finished for receipt in runs.values())
        assert ended <= begun


def test_who_failed_takes_nothing_more_until_its_group_has_decided(cluster: Cluster) -> None:
    make(cluster)
    failed, behind = (cluster.manager.send_nowait("b", payload) for payload in ("fail", 3))
    cluster.run(asyncio.sleep(60))
    assert (failed.outcome.kind, behind.outcome.state) == ("failed", 3)


def test_the_intensity_counts_the_failures_of_all_nodes_once(cluster: Cluster) -> None:
    group = make(cluster, "one_for_one", intensity=3)
    for id in "abc":
        fail(cluster, id)
    assert statuses(cluster) == [Status.IDLE] * 4
    fail(cluster, "d")
    assert statuses(cluster) == [Status.FAILED] * 4
    with pytest.raises(RuntimeFailedError):
        cluster.run(cluster.manager.ask("a", 1))
    seen = [(node, record.detail["child"], record.detail["escalate"]) for node, record in records(cluster, "escalated")]
    for node in (*cluster.manager.nodes, cluster.manager.node):
        assert [each[1:] for each in seen if each[0] == node] == [*((id, False) for id in "abc"), ("d", True)], node
    cluster.do(group.recover)
    assert cluster.run(cluster.manager.ask("a", 1)) == 1
    fail(cluster, "a")
    assert cluster.do(lambda: cluster.manager["a"].status) is Status.IDLE


def test_a_group_escalates_to_its_parent_on_all_nodes(cluster: Cluster) -> None:
    manager = cluster.manager
    cluster.do(lambda: manager.group("above", "one_for_all"))
    cluster.do(lambda: manager.group("below", policy="escalate", parent="above"))
    for id, node, group in (("beside", "node-1", "above"), ("x", "node-2", "below"), ("y", "node-3", "below")):
        cluster.do(lambda id=id, node=node, group=group: manager.create(id, 0, worker, group=group, placement=node))
        assert cluster.run(manager.ask(id, 5)) == 5
    fail(cluster, "y")
    assert cluster.do(lambda: [manager[id].state for id in ("beside", "x", "y")]) == [0, 0, 0]


def test_two_that_fail_at_once_are_counted_both_and_restarted_once(cluster: Cluster) -> None:
    make(cluster, intensity=2)
    cluster.network.delay = 0.1
    receipts = [cluster.manager.send_nowait(id, "fail") for id in "bc"]
    cluster.run(asyncio.sleep(10))
    assert [receipt.outcome.kind for receipt in receipts] == ["failed", "failed"]
    assert sorted(record.runtime for _, record in records(cluster, "restarted")) == sorted(MEMBERS)
    assert len(cluster.manager.groups.list_failures()["g"]) == 2
    fail(cluster, "a")
    assert statuses(cluster) == [Status.FAILED] * 4


def test_a_policy_that_does_nothing_lets_it_go_on(cluster: Cluster) -> None:
    make(cluster, policy="continue")
    fail(cluster, "b")
    assert states(cluster) == [5] * 4
    assert cluster.run(cluster.manager.ask("b", 1)) == 6


def test_a_node_that_is_not_reached_is_named_and_does_its_part_later(cluster: Cluster) -> None:
    make(cluster)
    cut = frozenset(("driver", "node-3"))
    cluster.network.cut.add(cut)
    fail(cluster, "b", wait=2 * cluster_groups.PATIENCE)
    there = {each: cluster.engine.hosts[MEMBERS[each]].managers[MEMBERS[each]] for each in MEMBERS}
    assert [there[id][id].state for id in MEMBERS] == [0, 0, 5, 0]
    [(node, record)] = records(cluster, "members_not_reached")
    assert (node, record.detail["node"], record.detail["runtimes"]) == (cluster.manager.node, "node-3", ("c",))
    assert "it does its part once it is reached" in record.detail["why"]
    cluster.network.cut.remove(cut)
    cluster.run(asyncio.sleep(60))
    assert states(cluster) == [0] * 4
    assert cluster.run(cluster.manager.ask("c", 1)) == 1


def test_who_is_being_moved_begins_again_where_it_arrives(cluster: Cluster) -> None:
    make(cluster)
    cluster.network.delay = 0.5

    async def main() -> None:
        move = asyncio.create_task(cluster.manager.move_soon("c", "node-2", None))
        await asyncio.sleep(0.5)
        await cluster.manager.send_nowait("b", "fail").wait()
        await move
        await asyncio.sleep(20)

    cluster.run(main())
    assert states(cluster) == [0] * 4
    assert cluster.run(cluster.manager.ask("c", 1)) == 1


def test_one_that_has_failed_is_moved_once_its_group_has_decided(cluster: Cluster) -> None:
    make(cluster)
    manager = cluster.manager

    async def main() -> None:
        failed, behind = (manager.send_nowait("b", payload) for payload in ("fail", 3))
        while not cluster.engine.hosts["node-2"].managers["node-2"].entry("b").awaits:
            await asyncio.sleep(0)
        move = asyncio.create_task(manager.move_soon("b", "node-3", None))
        await failed.wait()
        await move
        assert (await behind).state == 3

    cluster.run(main())
    assert states(cluster) == [0, 3, 0, 0]


def test_what_has_ended_is_no_member_any_more(cluster: Cluster) -> None:
    group = make(cluster)
    cluster.do(cluster.manager["a"].terminate)
    assert group.children == ("b", "c", "d")
    cluster.do(lambda: cluster.manager.create("a", 1, worker, group=group, placement="node-2"))
    assert group.children == ("b", "c", "d", "a")
    cluster.engine.hosts["node-3"].managers["node-3"]["c"].terminate()  # nobody tells the driver
    fail(cluster, "b")
    assert group.children == ("b", "d", "a")
    assert cluster.do(lambda: [cluster.manager[id].state for id in "bda"]) == [0, 0, 1]


def test_members_on_a_node_that_comes_are_supervised(cluster: Cluster) -> None:
    make(cluster)
    node = cluster.do(cluster.manager.add_node)
    cluster.do(lambda: cluster.manager.create("e", 0, worker, group="g", placement=node))
    assert cluster.run(cluster.manager.ask("e", 5)) == 5
    fail(cluster, "e")
    assert states(cluster) == [0] * 4


@pytest.mark.parametrize("step", ["interrupt", "restart"])
def test_a_node_that_ends_meanwhile_does_its_part_once_it_is_taken_over(
    durable: Cluster, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(durable)
    carry_out = Escalations.carry_out
    ended: list[str] = []

    async def end() -> None:
        await asyncio.sleep(1)  # the order has arrived
        durable.kill("c")
        await asyncio.sleep(3600)

    def end_first(escalations: Escalations, which: str, order: GroupOrder) -> Any:
        if order.ids == ("c",) and which == step and not ended:
            ended.append(step)
            return end()
        return carry_out(escalations, which, order)

    monkeypatch.setattr(Escalations, "carry_out", end_first)
    fail(durable, "b", wait=60)
    assert ended == [step]
    assert states(durable) == [0] * 4
    fail(durable, "c", wait=60)
    assert [durable.run(durable.manager.ask(each, 1)) for each in MEMBERS] == [1] * 4


def test_failures_are_counted_over_the_lives_of_a_driver() -> None:
    journals = in_memory_journals()
    with started(open_journal=journals) as cluster:
        make(cluster, intensity=2)
        fail(cluster, "a")
        fail(cluster, "b")
    with started(open_journal=journals) as cluster:
        cluster.do(lambda: cluster.manager.group("g", "one_for_all", intensity=2))
        for id in MEMBERS:
            cluster.do(lambda id=id: cluster.manager.create(id, 0, worker, group="g", retries=0))
        fail(cluster, "c")
        assert statuses(cluster) == [Status.FAILED] * 4
