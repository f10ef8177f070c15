"""A cluster over a network in memory: order, one fate for each, nodes that end, with a journal and without."""

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from agentrt import ActivityTimeoutError, ConfigurationError, MailboxFullError, ProcessingError, RuntimeManager
from agentrt.distributed import courier, deliveries
from agentrt.distributed.cluster import ClusterManager
from agentrt.errors import JournalError, ManagerClosedError, RuntimeFailedError, RuntimeNotFoundError
from agentrt.journal.memory import MemoryJournal, MemoryLog
from agentrt.snapshot import Status
from agentrt.testing import VirtualLoop
from agentrt.testing.network import Network, NetworkEngine

T = TypeVar("T")


def collect(activity, state):
    return (*state, activity.payload)


async def collect_slowly(activity, state, ctx):
    await ctx.sleep(0.01)
    return (*state, activity.payload)


def fail(activity, state):
    raise ValueError(f"no {activity.payload}")


async def relay(activity, state, ctx):
    ctx.reply(("relayed", await ctx.ask("target", activity.payload)))
    return state + 1


class Cluster:
    """A cluster on a loop of its own. The network is good until a test says otherwise."""

    def __init__(self, loop: VirtualLoop, seed: int, **options: Any) -> None:
        self.loop = loop
        self.network = Network(seed)
        self.engine, self.manager = loop.run_until_complete(self._make(options))

    async def _make(self, options: dict[str, Any]) -> tuple[NetworkEngine, ClusterManager]:
        engine = NetworkEngine(options.pop("nodes", 3), self.network, **options)
        return engine, ClusterManager(engine, loop="current")

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def do(self, call: Callable[[], T]) -> T:
        """Call what blocks, as a person does, on another thread."""
        return self.run(asyncio.to_thread(call))

    def spoil(self) -> None:
        self.network.lose, self.network.repeat, self.network.delay = 15, 15, 0.2

    def repair(self) -> None:
        self.network.lose = self.network.repeat = self.network.delay = 0

    def manager_of(self, id: str) -> RuntimeManager:
        node = self.manager.placement.node_of(id)
        return self.engine.host_of(node).managers[node]

    def id_on(self, node: str) -> str:
        return next(f"r{n}" for n in range(1_000) if self.manager.placement.node_of(f"r{n}") == node)

    def node_events(self) -> list[str]:
        return [record.kind for record in self.manager.ring.since(0)[0] if record.kind.startswith("node_")]

    def kill(self, id: str) -> str:
        """End the process of the node of a runtime."""
        node = self.manager.placement.node_of(id)
        self.engine.kill(self.engine.places[node])
        return node


def in_memory_journals() -> Callable[[str], MemoryJournal]:
    """Opens the journal of a node; each keeps what it had when it is opened again."""
    logs: dict[str, MemoryLog] = {}
    return lambda node: MemoryJournal(logs.setdefault(node, MemoryLog()))


@contextmanager
def started(seed: int = 0, **options: Any) -> Iterator[Cluster]:
    loop = VirtualLoop(seed=seed)
    cluster = Cluster(loop, seed, **options)
    try:
        yield cluster
    finally:
        cluster.repair()
        loop.run_until_complete(cluster.manager.aclose())
        loop.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with started() as made:
        yield made


@pytest.fixture
def durable() -> Iterator[Cluster]:
    with started(open_journal=in_memory_journals()) as made:
        yield made


# ---- as one manager


def test_a_runtime_is_used_as_if_it_were_here(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    assert cluster.run(runtime.ask("a")) == ("a",)
    assert cluster.run(cluster.manager.ask("target", "b", priority=True)) == ("a", "b")
    receipt = runtime.send_nowait("c")
    assert cluster.run(receipt.wait()) is None
    assert receipt.outcome.state == ("a", "b", "c")
    assert cluster.do(lambda: (runtime.state, runtime.status, runtime.depth)) == (("a", "b", "c"), Status.IDLE, (0, 0))
    assert runtime.node == cluster.manager.placement.node_of("target")
    assert "on 'node-" in cluster.do(lambda: repr(runtime))
    fates = cluster.do(cluster.manager.fates)
    assert (fates.accepted, fates.done, fates.adds_up) == (3, 3, True)


def test_a_workflow_asks_one_on_another_node(cluster: Cluster) -> None:
    places = cluster.manager.placement
    id = next(f"relay{n}" for n in range(100) if places.node_of(f"relay{n}") != places.node_of("target"))
    cluster.do(lambda: (cluster.manager.create("target", (), collect), cluster.manager.create(id, 0, relay)))
    assert cluster.run(cluster.manager.ask(id, 7)) == ("relayed", (7,))
    [seen] = [record for record in cluster.manager_of("target").ring.since(0)[0] if record.kind == "accepted"]
    assert (seen.source, seen.payload) == (id, 7)
    assert seen.parent is not None


def test_errors_are_those_of_one_manager(cluster: Cluster) -> None:
    cluster.do(lambda: cluster.manager.create("fails", 0, fail))
    with pytest.raises(ProcessingError, match="fail failed in 'fails'") as raised:
        cluster.run(cluster.manager.ask("fails", 3))
    assert repr(raised.value.__cause__) == "ValueError('no 3')"
    with pytest.raises(RuntimeNotFoundError, match="no runtime has the id 'nobody'"):
        cluster.run(cluster.manager.ask("nobody", 3))
    assert cluster.do(lambda: cluster.manager.get("nobody")) is None


def test_timeouts_and_delays_go_with_an_activity(cluster: Cluster) -> None:
    async def sleep(activity, state, ctx):
        await ctx.sleep(10)

    cluster.do(lambda: (cluster.manager.create("sleeps", 0, sleep), cluster.manager.create("target", (), collect)))
    with pytest.raises(ActivityTimeoutError):
        cluster.run(cluster.manager.ask("sleeps", 1, timeout=1))
    before = cluster.loop.time()
    assert cluster.run(cluster.manager.ask("target", 1, delay=5)) == (1,)
    assert cluster.loop.time() >= before + 5


def test_commands_are_carried_out_on_the_node_of_the_runtime(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    cluster.do(runtime.pause)
    ids = [cluster.run(runtime.send(payload)).id for payload in (1, 2, 3)]
    waiting = cluster.do(runtime.mailbox_items)
    assert [activity.payload for activity in waiting] == [1, 2, 3]
    assert len(ids) == 3
    cluster.do(lambda: runtime.promote(waiting[2].id))
    assert cluster.do(lambda: runtime.drop(waiting[0].id)).payload == 1
    assert cluster.do(lambda: runtime.step(1)) == 1
    cluster.run(asyncio.sleep(1))
    assert cluster.do(lambda: (runtime.state, runtime.status)) == ((3,), Status.PAUSED)
    cluster.do(runtime.resume)
    cluster.run(asyncio.sleep(1))
    assert cluster.do(lambda: runtime.state) == (3, 2)
    with pytest.raises(ConfigurationError, match="has no command 'create'"):
        cluster.do(lambda: runtime._call("target", "create"))


def test_many_are_created_at_once_and_spread(cluster: Cluster) -> None:
    assert cluster.do(lambda: cluster.manager.create_many((f"r{n}" for n in range(300)), 0, collect)) == 300
    shares = [status.runtimes for status in cluster.do(cluster.manager.statuses)]
    assert sum(shares) == 300
    assert min(shares) > 50
    assert cluster.do(lambda: (len(cluster.manager), len(cluster.manager.snapshots()))) == (300, 300)


def test_placement_is_as_asked(cluster: Cluster) -> None:
    manager = cluster.manager
    id = cluster.id_on("node-1")
    first = cluster.do(lambda: manager.create(id, (), collect, placement="node-3"))
    beside = cluster.do(lambda: manager.create(cluster.id_on("node-2"), (), collect, placement=id))
    assert (first.node, beside.node) == ("node-3", "node-3")
    assert cluster.run(first.ask(1)) == (1,)
    assert id in cluster.engine.hosts["node-3"].managers["node-3"]


# ---- delivery


@pytest.mark.parametrize("seed", range(8))
def test_order_and_one_fate_over_a_bad_network(seed: int) -> None:
    with started(seed) as cluster:
        cluster.do(lambda: cluster.manager.create("target", (), collect_slowly, standard_capacity=20))
        cluster.spoil()

        async def send_all() -> list[Any]:
            receipts = []
            for number in range(150):
                receipts.append(cluster.manager.send_nowait("target", number))
                await asyncio.sleep(random.Random(seed * 1000 + number).random() / 10)
            return [(await receipt).kind for receipt in receipts]

        assert cluster.run(send_all()) == ["done"] * 150
        assert cluster.manager_of("target")["target"].state == tuple(range(150))
        assert not cluster.manager.courier.sent


def test_send_waits_for_room_on_the_other_node(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect, standard_capacity=2))
    cluster.do(runtime.pause)

    async def main() -> tuple[bool, bool]:
        for number in range(2):
            await runtime.send(number)
        third = asyncio.create_task(runtime.send(3))
        urgent = await runtime.send("urgent", priority=True)  # the other lane has room
        await asyncio.sleep(10)
        waits = not third.done()
        await asyncio.to_thread(runtime.resume)
        await third
        return waits, (await urgent).state == ("urgent",)

    assert cluster.run(main()) == (True, True)


def test_what_drops_does_not_wait(cluster: Cluster) -> None:
    runtime = cluster.do(
        lambda: cluster.manager.create("target", (), collect, standard_capacity=1, overflow="drop_newest")
    )
    cluster.do(runtime.pause)
    cluster.run(runtime.send(1))
    with pytest.raises(MailboxFullError):
        cluster.run(runtime.ask(2))


def test_no_more_is_on_its_way_than_the_bound(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "MOST_ON_THEIR_WAY", 5)
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))

    async def main() -> int:
        for number in range(5):
            runtime.send_nowait(number)
        with pytest.raises(MailboxFullError, match="5 activities are on their way to 'node-"):
            runtime.send_nowait(5)
        with pytest.raises(MailboxFullError):
            await runtime.send(5, wait=0)
        return len((await (await runtime.send(5))).state)

    assert cluster.run(main()) == 6


def test_what_can_not_be_sent_is_refused_at_once(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    with pytest.raises(ConfigurationError, match="the payload can't be sent to another node"):
        runtime.send_nowait(number for number in ())
    with pytest.raises(ConfigurationError, match="can't be sent to another node"):
        cluster.do(lambda: cluster.manager.create("x", (n for n in ()), collect))


def test_an_ask_is_one_call_of_the_transport(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    cluster.run(runtime.ask(0))  # each side has heard from the other
    cluster.run(asyncio.sleep(10))
    calls: list[str] = []
    carry = Network.carry

    async def count(network: Network, sender: str, receiver: str, take: Any) -> bytes:
        calls.append(receiver)
        return await carry(network, sender, receiver, take)

    async def fetch(*arguments: Any) -> bytes:
        await asyncio.sleep(3600)
        raise AssertionError("nothing had to be fetched")

    monkeypatch.setattr(Network, "carry", count)
    monkeypatch.setattr(cluster.engine, "events_since", fetch)
    for number in range(1, 6):
        assert cluster.run(runtime.ask(number)) == tuple(range(number + 1))
    assert calls == [runtime.node] * 5


@pytest.mark.parametrize("seed", range(8))
def test_answers_that_are_lost_with_what_they_bring(seed: int) -> None:
    with started(seed) as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
        cluster.run(runtime.ask(0))
        cluster.spoil()
        for number in range(1, 40):
            assert cluster.run(runtime.ask(number)) == tuple(range(number + 1))
        cluster.repair()
        cluster.run(asyncio.sleep(60))
        assert set(cluster.manager_of("target").courier.backlog().values()) <= {0}


def test_only_what_somebody_holds_a_receipt_of_is_sent_back(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[int] = []
    pack = deliveries.pack_outcome
    monkeypatch.setattr(deliveries, "pack_outcome", lambda outcome: outcomes.append(outcome.state) or pack(outcome))

    def count(activity, state):
        return state + 1

    runtime = cluster.do(lambda: cluster.manager.create("target", 0, count))
    seen: list[str] = []

    async def main() -> int:
        for _ in range(100):
            runtime.send_nowait("nobody asks")
        held = runtime.send_nowait("held")
        runtime.send_nowait("dropped, with a callback").add_callback(lambda: seen.append("called"))
        gc.collect()
        return (await held).state

    assert cluster.run(main()) == 101
    cluster.run(asyncio.sleep(10))
    assert (outcomes, seen) == ([101, 102], ["called"])
    assert not cluster.manager.courier.sent
    assert not cluster.manager.courier._kept
    assert cluster.manager.courier.on_their_way.total() == 0


# ---- nodes that end


def test_without_a_journal_who_waits_hears_it_and_it_is_on_the_record(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
    cluster.do(runtime.pause)
    receipt = cluster.run(runtime.send(1))
    node = cluster.kill("target")
    with pytest.raises(RuntimeFailedError, match=f"'{node}' has ended: what it had not answered"):
        cluster.run(receipt.wait()) or receipt._open()
    with pytest.raises(RuntimeFailedError, match=f"'target' has ended with '{node}'"):
        cluster.run(runtime.ask(2))
    assert cluster.node_events() == ["node_ended", "node_lost"]
    again = cluster.do(lambda: cluster.manager.create("target", (), collect))
    assert again.node != node
    assert cluster.run(again.ask(3)) == (3,)


def test_without_a_journal_a_supervised_one_begins_again_elsewhere(cluster: Cluster) -> None:
    runtime = cluster.do(lambda: cluster.manager.create("target", ("begin",), collect, supervision="restart"))
    assert cluster.run(runtime.ask(1)) == ("begin", 1)
    cluster.kill("target")
    cluster.run(asyncio.sleep(10))
    assert cluster.run(runtime.ask(2)) == ("begin", 2)


def test_with_a_journal_who_waits_hears_of_it_though_nothing_more_is_sent(durable: Cluster) -> None:
    places = durable.manager.placement
    elsewhere = next(f"relay{n}" for n in range(100) if places.node_of(f"relay{n}") != places.node_of("target"))
    durable.do(lambda: durable.manager.create("target", (), collect_slowly))
    durable.do(lambda: durable.manager.create(elsewhere, 0, relay))
    runtime = durable.do(lambda: durable.manager["target"])
    durable.do(runtime.pause)

    async def main() -> tuple[Any, Any]:
        first = await runtime.send("from here")
        asked = asyncio.ensure_future(durable.manager.ask(elsewhere, "from another node"))
        await asyncio.sleep(10)  # all is acknowledged: nobody has anything more to send
        durable.kill("target")
        await asyncio.sleep(10)
        await asyncio.to_thread(runtime.resume)
        return (await asyncio.wait_for(first, 60)).state, await asyncio.wait_for(asked, 60)

    both = ("from here", "from another node")
    assert durable.run(main()) == (("from here",), ("relayed", both))


@pytest.mark.parametrize("seed", range(6))
def test_with_a_journal_nothing_is_lost_or_doubled_when_nodes_end(seed: int) -> None:
    with started(seed, open_journal=in_memory_journals()) as cluster:
        cluster.do(lambda: cluster.manager.create("target", (), collect_slowly))
        cluster.spoil()

        async def main() -> None:
            receipts = []
            for number in range(120):
                receipts.append(cluster.manager.send_nowait("target", number))
                await asyncio.sleep(0.1)
                if number in (30, 70):
                    cluster.kill("target")
            for receipt in receipts:
                await receipt

        cluster.run(main())
        assert cluster.manager_of("target")["target"].state == tuple(range(120))
        assert cluster.node_events()[:4] == ["node_ended", "node_adopted"] * 2


def test_a_node_that_is_only_cut_off_is_not_taken_over(durable: Cluster) -> None:
    durable.do(lambda: durable.manager.create("target", (), collect))
    node = durable.manager.placement.node_of("target")
    durable.network.cut.add(frozenset(("driver", node)))

    async def main() -> Any:
        receipt = durable.manager.send_nowait("target", 1)
        await asyncio.sleep(60)
        assert receipt.outcome is None
        durable.network.cut.clear()
        return (await receipt).state

    assert durable.run(main()) == (1,)
    assert durable.node_events() == []


def test_what_is_made_again_is_reached_from_all_nodes(cluster: Cluster) -> None:
    cluster.do(lambda: cluster.manager.create("target", (), collect))
    cluster.kill("target")
    cluster.run(asyncio.sleep(10))
    places = cluster.manager.placement
    cluster.do(lambda: cluster.manager.create("target", (), collect))
    id = next(f"relay{n}" for n in range(100) if places.node_of(f"relay{n}") != places.node_of("target"))
    cluster.do(lambda: cluster.manager.create(id, 0, relay))
    assert cluster.run(cluster.manager.ask(id, 7)) == ("relayed", (7,))


def test_who_waits_when_the_manager_is_closed_hears_it() -> None:
    with started() as cluster:
        runtime = cluster.do(lambda: cluster.manager.create("target", (), collect))
        cluster.do(runtime.pause)
        receipt = cluster.run(runtime.send(1))
    assert isinstance(receipt.outcome.error, ManagerClosedError)
    with pytest.raises(ManagerClosedError, match="connect again"):
        runtime.send_nowait(2)


def test_what_can_not_be_stored_there_is_refused(durable: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = durable.do(lambda: durable.manager.create("target", (), collect))
    journal = durable.manager_of("target").journal

    def fail(append: Any) -> None:
        append.then(JournalError("the disk is gone"))

    monkeypatch.setattr(journal, "_submit", fail)
    with pytest.raises(JournalError, match="the disk is gone"):
        durable.run(runtime.send(1))
    monkeypatch.undo()


# ---- groups


def fail_for_none(activity, state):
    return state + 1 // activity.payload


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_group_goes_on_where_a_node_was_taken_over(durable: Cluster, is_killed: bool) -> None:
    manager = durable.manager
    pair = durable.do(lambda: manager.group("pair", "one_for_all"))
    ids = {"left": "node-1", "right": "node-1", "other": "node-2"}
    for id, node in ids.items():
        durable.do(lambda id=id, node=node: manager.create(id, 0, fail_for_none, group=pair, placement=node, retries=0))
    if is_killed:
        durable.kill("left")
    for id in ids:
        assert durable.run(manager.ask(id, 1)) == 1
    with pytest.raises(ProcessingError):
        durable.run(manager.ask("left", 0))
    durable.run(asyncio.sleep(1))
    assert durable.do(lambda: [manager[id].state for id in ids]) == [0, 0, 0]
    with pytest.raises(ConfigurationError, match="is no group of this manager"):
        durable.do(lambda: manager.create("x", 0, collect, group="nobody's"))


def test_a_member_of_a_group_moves_with_it(cluster: Cluster) -> None:
    manager = cluster.manager
    cluster.do(lambda: manager.group("pair", "one_for_all"))
    for id, node in {"left": "node-1", "right": "node-2"}.items():
        cluster.do(lambda id=id, node=node: manager.create(id, 0, fail_for_none, group="pair", placement=node))
        assert cluster.run(manager.ask(id, 1)) == 1
    node = cluster.do(manager.add_node)
    for id in ("left", "right"):
        cluster.do(lambda id=id: manager.move(id, node))
    with pytest.raises(ProcessingError):
        cluster.run(manager.ask("left", 0))
    cluster.run(asyncio.sleep(1))
    assert cluster.do(lambda: [manager[id].state for id in ("left", "right")]) == [0, 0]
