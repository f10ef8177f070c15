"""Runtimes that move between nodes while they are used."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import AgentError, ConfigurationError
from agentrt.activity import was_delayed
from agentrt.distributed import packing
from agentrt.errors import RuntimeFailedError, RuntimeNotFoundError
from agentrt.journal.memory import MemoryJournal, MemoryLog
from agentrt.snapshot import Status
from tests.distributed.test_cluster import Cluster, collect, collect_slowly, started


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


def other_than(cluster: Cluster, id: str) -> str:
    here = cluster.manager.placement.node_of(id)
    return next(node for node in cluster.manager.nodes if node != here)


def move(cluster: Cluster, id: str, node: str | None = None, timeout: float | None = None) -> str:
    target = node or other_than(cluster, id)
    cluster.do(lambda: cluster.manager.move(id, target, timeout))
    return target


def owners(cluster: Cluster, id: str) -> list[str]:
    return [name for host in cluster.engine.hosts.values() for name, each in host.managers.items() if id in each]


def test_state_and_mailbox_go_with_it(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", ("begin",), collect))
    assert cluster.run(runtime.ask(1)) == ("begin", 1)
    cluster.do(runtime.pause)
    receipts = [cluster.run(runtime.send(number)) for number in (2, 3)]
    receipts.append(cluster.run(runtime.send("urgent", priority=True)))
    receipts.append(cluster.run(runtime.send("later", delay=5)))
    target = move(cluster, "target")
    assert (runtime.node, owners(cluster, "target")) == (target, [target])
    assert cluster.do(lambda: runtime.status) is Status.PAUSED
    waiting = cluster.do(runtime.mailbox_items)
    assert [activity.payload for activity in waiting] == ["urgent", 2, 3, "later"]
    cluster.do(runtime.resume)
    outcomes = [cluster.run(receipt.wait()) or receipt.outcome.state for receipt in receipts]
    assert outcomes[-1] == ("begin", 1, "urgent", 2, 3, "later")
    assert outcomes[0] == ("begin", 1, "urgent", 2)
    fates = cluster.do(cluster.manager.fates)
    assert (fates.accepted, fates.done, fates.adds_up) == (5, 5, True)


def by_sender(state: tuple[Any, ...]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for sender, number in state:
        found.setdefault(sender, []).append(number)
    return found


async def send_series(activity, state, ctx):
    """Sends as many as it is told, in order, and does not wait for what comes of them."""
    for number in range(activity.payload):
        await ctx.send("target", (ctx.activity.runtime, number))
        await ctx.sleep(ctx.random.random() / 10)
    return state


def moving_under_load(cluster: Cluster, seed: int, count: int = 60, capacity: int = 10) -> None:
    """Senders on every node and outside, over a bad network, while the runtime moves about."""
    manager = cluster.manager
    cluster.do(lambda: manager.create("target", (), collect_slowly, standard_capacity=capacity))
    senders = [cluster.id_on(node) for node in manager.nodes]
    for id in senders:
        cluster.do(lambda id=id: manager.create(id, 0, send_series))
    cluster.spoil()

    async def main() -> None:
        asked = [manager.send_nowait(id, count) for id in senders]
        receipts = []

        async def send() -> None:
            for number in range(count):
                receipts.append(manager.send_nowait("target", ("outside", number)))
                await asyncio.sleep(0.1)

        sending = asyncio.create_task(send())
        for _ in range(6):
            await asyncio.sleep(1)
            here = manager.placement.node_of("target")
            target = next(node for node in manager.nodes[seed % 2 :: 2] + manager.nodes if node != here)
            await manager.move_soon("target", target, None)
            assert len(owners(cluster, "target")) == 1
        await sending
        for receipt in (*receipts, *asked):
            await receipt.wait()
            assert receipt.outcome.kind == "done", receipt.outcome
        while len(manager_of(cluster)["target"].state) < 4 * count:
            await asyncio.sleep(1)

    cluster.run(main())
    expected = {key: list(range(count)) for key in ("outside", *senders)}
    found = by_sender(manager_of(cluster)["target"].state)
    assert found == expected
    cluster.run(asyncio.sleep(20))
    couriers = [each.courier for host in cluster.engine.hosts.values() for each in host.managers.values()]
    for each in (manager.courier, *couriers):
        assert (each.sent, each.rerouting.routes, +each.on_their_way) == ({}, {}, {})
    assert cluster.do(manager.fates).adds_up


def manager_of(cluster: Cluster) -> Any:
    [node] = owners(cluster, "target")
    return cluster.engine.host_of(node).managers[node]


@pytest.mark.parametrize("seed", range(8))
def test_order_and_one_fate_for_each_while_it_moves(seed: int) -> None:
    with started(seed) as cluster:
        moving_under_load(cluster, seed)


@pytest.mark.parametrize("seed", range(4))
def test_a_stored_one_moves_from_journal_to_journal(seed: int) -> None:
    logs: dict[str, MemoryLog] = {}
    with started(seed, open_journal=lambda node: MemoryJournal(logs.setdefault(node, MemoryLog()))) as cluster:
        moving_under_load(cluster, seed, count=40)
        held = [node for node, log in logs.items() if MemoryJournal(log).find("target") is not None]
        assert held == owners(cluster, "target")


def test_what_was_delayed_keeps_its_place_in_the_journal_it_moves_to() -> None:
    logs: dict[str, MemoryLog] = {}
    with started(1, open_journal=lambda node: MemoryJournal(logs.setdefault(node, MemoryLog()))) as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
        cluster.do(runtime.pause)
        for payload, delay in (("due", 5), ("first", None), ("later", 900)):
            cluster.run(runtime.send(payload, delay=delay))
        cluster.run(asyncio.sleep(10))
        cluster.run(runtime.send("last"))
        target = move(cluster, "target")
        cluster.run(asyncio.sleep(1))
        waiting = list(MemoryJournal(logs[target]).waiting("target"))
        has_place = {each.activity.payload: each.rank is not None for each in waiting if was_delayed(each.activity)}
        assert has_place == {"due": True, "later": False}
        assert [each.payload for each in cluster.do(runtime.mailbox_items)] == ["first", "due", "last", "later"]


def test_what_waits_for_room_goes_with_it(cluster: Cluster) -> None:
    manager = cluster.manager
    runtime = cluster.do(lambda: manager.create("target", (), collect, standard_capacity=2))
    beside = cluster.do(lambda: manager.create("beside", 0, send_series, placement="target"))
    cluster.do(runtime.pause)

    async def main() -> list[Any]:
        receipts = [manager.send_nowait("target", ("outside", number)) for number in range(4)]
        series = beside.send_nowait(4)
        await asyncio.sleep(5)
        await manager.move_soon("target", other_than(cluster, "target"), None)
        await asyncio.sleep(5)
        await asyncio.to_thread(runtime.resume)
        return [await receipt for receipt in (*receipts, series)]

    assert [outcome.kind for outcome in cluster.run(main())] == ["done"] * 5
    cluster.run(asyncio.sleep(5))
    assert by_sender(manager_of(cluster)["target"].state) == {"outside": [0, 1, 2, 3], "beside": [0, 1, 2, 3]}


def test_it_moves_between_two_activities(cluster: Cluster) -> None:
    async def slow(activity, state, ctx):
        await ctx.sleep(10)
        return state + 1

    runtime = cluster.do(lambda: cluster.manager.create("target", 0, slow))
    receipts = [runtime.send_nowait(None) for _ in range(2)]
    cluster.run(asyncio.sleep(1))
    with pytest.raises(AgentError, match="'target' was not moved: its activity took longer than 2 s; it goes on where"):
        cluster.run(cluster.manager.move_soon("target", other_than(cluster, "target"), 2))
    here, before = runtime.node, cluster.loop.time()
    cluster.run(cluster.manager.move_soon("target", other_than(cluster, "target"), 60))
    assert cluster.loop.time() > before + 5
    assert owners(cluster, "target") == [runtime.node] != [here]
    assert [cluster.run(receipt.wait()) or receipt.outcome.state for receipt in receipts] == [1, 2]


async def pause_at_last(activity, state, ctx):
    await ctx.sleep(10)
    ctx.pause()
    return state + 1


def count_slowly(activity, state, ctx):
    return asyncio.sleep(10, state + 1)


def hand_over(manager: Any, node: str) -> Any:
    return asyncio.create_task(manager.move_soon("target", node, None))


@pytest.mark.parametrize("by", ["its workflow", "a command"])
def test_a_pause_while_it_is_being_moved_goes_with_it(cluster: Cluster, by: str) -> None:
    workflow = pause_at_last if by == "its workflow" else count_slowly
    runtime = cluster.do(lambda: cluster.manager.create("target", 0, workflow))
    receipts = [runtime.send_nowait(None) for _ in range(2)]

    async def main() -> None:
        await asyncio.sleep(1)
        moves = hand_over(cluster.manager, other_than(cluster, "target"))
        await asyncio.sleep(1)
        if by == "a command":
            manager_of(cluster)["target"].pause()
        await moves

    cluster.run(main())
    assert cluster.do(lambda: (runtime.status, runtime.depth)) == (Status.PAUSED, (0, 1))
    cluster.do(runtime.resume)
    assert [cluster.run(receipt.wait()) or receipt.outcome.state for receipt in receipts] == [1, 2]


def test_one_on_another_node_is_answered(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", 0, pause_at_last))
    assert cluster.run(runtime.ask(None)) == 1
    waits = runtime.send_nowait(None)
    cluster.run(asyncio.sleep(30))
    assert cluster.do(lambda: (runtime.status, runtime.depth)) == (Status.PAUSED, (0, 1))
    answer = cluster.do(lambda: runtime.answer(None))
    cluster.run(answer.wait())
    assert (answer.outcome.state, waits.outcome) == (2, None)


def test_one_that_is_resumed_while_it_is_being_moved_goes_on_where_it_is_then(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", 0, count_slowly))
    receipts = [runtime.send_nowait(None) for _ in range(2)]
    here = runtime.node

    async def main() -> None:
        await asyncio.sleep(1)
        manager_of(cluster)["target"].pause()
        moves = hand_over(cluster.manager, other_than(cluster, "target"))
        await asyncio.sleep(1)
        manager_of(cluster)["target"].resume()
        await moves
        await receipts[1].wait()

    cluster.run(main())
    assert ([receipt.outcome.state for receipt in receipts], runtime.node != here) == ([1, 2], True)


def test_what_can_not_be_sent_stays(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def hold(activity, state):
        return (*state, (number for number in ()))

    runtime = cluster.do(lambda: cluster.manager.create("target", (), hold))
    assert cluster.run(runtime.send_nowait(1).wait()) is None
    with pytest.raises(ConfigurationError, match="all that 'target' holds can't be sent to another node"):
        move(cluster, "target")
    large = cluster.do(lambda: cluster.manager.create("large", b"x" * 2_000, lambda activity, state: state))
    monkeypatch.setattr(packing, "LARGEST", 1_500)
    with pytest.raises(ConfigurationError, match=r"all that 'large' holds is \d,\d{3} bytes, and no more"):
        move(cluster, "large")
    monkeypatch.undo()
    assert len(cluster.run(large.ask(2))) == 2_000
    with pytest.raises(ConfigurationError, match="there is no node 'node-9'; there are: node-1"):
        cluster.do(lambda: cluster.manager.move("target", "node-9"))
    with pytest.raises(RuntimeNotFoundError, match="nobody"):
        move(cluster, "nobody")
    assert owners(cluster, "target") == [runtime.node]


def test_commands_wait_for_it(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))

    async def main() -> Any:
        moving = asyncio.create_task(cluster.manager.move_soon("target", other_than(cluster, "target"), None))
        states = []
        while not moving.done():
            states.append(await asyncio.to_thread(lambda: (runtime.status, runtime.state)))
        return states

    cluster.network.delay = 1
    assert set(cluster.run(main())) <= {(Status.IDLE, ()), (Status.PAUSED, ())}


# ---- breakpoints


def stop_at(cluster: Cluster, *places: Any, **options: Any) -> None:
    """Set breakpoints of `target` on its node."""
    points = manager_of(cluster)["target"].breakpoints
    for place in places:
        points.add(place, **options)


def is_paused(cluster: Cluster) -> bool:
    return cluster.do(lambda: cluster.manager["target"].status) is Status.PAUSED


def test_breakpoints_go_with_it(cluster: Cluster) -> None:
    limit = 2
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    stop_at(cluster, lambda activity: activity.payload > limit, hits=2)
    stop_at(cluster, "priority")
    assert cluster.run(runtime.ask(3)) == (3,)  # its first hit
    move(cluster, "target")
    points = manager_of(cluster)["target"].breakpoints
    assert len(points) == 2
    assert points.names[1] == "priority"
    assert cluster.run(runtime.ask(1)) == (3, 1)
    receipt = runtime.send_nowait(4)
    cluster.run(asyncio.sleep(1))
    assert (is_paused(cluster), receipt.value) == (True, None)
    cluster.do(runtime.resume)
    cluster.run(receipt.wait())
    assert receipt.outcome.state == (3, 1, 4)


def test_one_that_is_stopped_before_an_activity_does_not_stop_there_again(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    stop_at(cluster, "standard")
    receipts = [runtime.send_nowait(number) for number in (1, 2)]
    cluster.run(asyncio.sleep(1))
    assert is_paused(cluster)
    move(cluster, "target")
    assert is_paused(cluster)
    cluster.do(runtime.resume)
    cluster.run(asyncio.sleep(1))
    assert (receipts[0].outcome.state, receipts[1].value) == ((1,), None)  # and before the next one it does
    assert is_paused(cluster)


def test_what_waits_behind_no_breakpoint_goes_on_where_it_arrives(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect_slowly))
    stop_at(cluster, "priority")
    receipts = [runtime.send_nowait(number) for number in range(5)]
    move(cluster, "target")
    for receipt in receipts:
        cluster.run(receipt.wait())
    assert receipts[-1].outcome.state == (0, 1, 2, 3, 4)


def test_a_breakpoint_that_can_not_follow_is_named(cluster: Cluster) -> None:
    lock = threading.Lock()
    cluster.do(lambda: cluster.manager.create("target", (), collect))
    stop_at(cluster, lambda activity: lock.locked())
    stop_at(cluster, "priority")
    move(cluster, "target")
    manager = manager_of(cluster)
    assert manager["target"].breakpoints.names == ("priority",)
    [gone] = [record for record in manager.ring.since(0)[0] if record.kind == "breakpoint_removed"]
    assert "<lambda>" in gone.detail["at"]
    assert "this could not follow: the breakpoint " in gone.detail["error"]
    assert "can't be pickled" in gone.detail["error"]


@pytest.mark.parametrize("is_durable", [True, False])
def test_breakpoints_stay_where_a_node_is_taken_over(is_durable: bool) -> None:
    logs: dict[str, MemoryLog] = {}
    options = {"open_journal": lambda node: MemoryJournal(logs.setdefault(node, MemoryLog()))} if is_durable else {}
    with started(**options) as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("target", (), collect, supervision="restart"))
        stop_at(cluster, "priority", "error")
        manager_of(cluster)["target"].breakpoints.remove("error")
        cluster.run(asyncio.sleep(1))
        cluster.kill("target")
        cluster.run(asyncio.sleep(10))
        receipt = cluster.run(runtime.send(1, priority=True))
        cluster.run(asyncio.sleep(1))
        assert (is_paused(cluster), receipt.value) == (True, None)
        assert manager_of(cluster)["target"].breakpoints.names == ("priority",)
        cluster.do(runtime.resume)
        cluster.run(receipt.wait())
        assert receipt.outcome.state == (1,)
        move(cluster, "target")
        cluster.run(asyncio.sleep(1))
        manager_of(cluster)["target"].breakpoints.clear()
        cluster.run(asyncio.sleep(1))
        cluster.kill("target")
        cluster.run(asyncio.sleep(10))
        assert cluster.run(runtime.ask(2, priority=True))[-1] == 2


# ---- nodes that end during it


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("who", ["source", "target", "both"])
@pytest.mark.parametrize("is_durable", [True, False])
def test_a_node_that_ends_during_a_move(seed: int, who: str, is_durable: bool) -> None:
    logs: dict[str, MemoryLog] = {}
    options = {"open_journal": lambda node: MemoryJournal(logs.setdefault(node, MemoryLog()))} if is_durable else {}
    with started(seed, **options) as cluster:
        manager = cluster.manager
        cluster.do(lambda: manager.create("target", (), collect_slowly))
        source = manager.placement.node_of("target")
        target = other_than(cluster, "target")
        cluster.spoil()

        async def main() -> list[Any]:
            receipts, moving = [], None
            for number in range(60):
                receipts.append(_send(manager, number))
                await asyncio.sleep(0.1)
                if number == 20:
                    moving = asyncio.create_task(manager.move_soon("target", target, None))
                if number == 20 + seed:
                    for node in {"both": [source, target]}.get(who, [source if who == "source" else target]):
                        cluster.engine.kill(cluster.engine.places[node])
            await asyncio.wait([moving])
            moving.exception()
            for receipt in receipts:
                if receipt is not None:
                    await receipt.wait()
            return [None if receipt is None else receipt.outcome for receipt in receipts]

        outcomes = cluster.run(main())
        cluster.repair()
        here = owners(cluster, "target")
        assert len(here) <= 1
        if is_durable:
            assert [outcome.kind for outcome in outcomes] == ["done"] * 60
            assert manager_of(cluster)["target"].state == tuple(range(60))
            cluster.run(asyncio.sleep(20))
            held = [node for node, log in logs.items() if MemoryJournal(log).find("target") is not None]
            assert held == here
        elif here:
            state = manager_of(cluster)["target"].state
            assert list(state) == sorted(set(state))


def _send(manager: Any, number: int) -> Any:
    try:
        return manager.send_nowait("target", number)
    except RuntimeFailedError:  # it has ended with its node
        return None
