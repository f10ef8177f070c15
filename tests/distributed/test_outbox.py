"""What durable workflows send to other nodes: with their commit, exactly once, in order, whatever ends between."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from agentrt import Activity, ConfigurationError, MailboxFullError
from agentrt.distributed import outbox
from agentrt.distributed.outbox import OutboxEntry, outbox_of
from agentrt.distributed.remote_entry import RemoteEntry
from agentrt.errors import (
    AgentError,
    DeadlockError,
    JournalError,
    JournalTakenOverError,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from agentrt.journal import SQLiteJournal
from agentrt.journal.memory import MemoryJournal, MemoryLog
from tests.distributed.test_cluster import Cluster, collect, collect_slowly, started

pytestmark = pytest.mark.slow

COUNT = 12  # activities of each sender; each sends two


class Journals:
    """Opens the journal of each node, in memory: each keeps what it had. One may end at a write."""

    def __init__(self) -> None:
        self.logs: dict[str, MemoryLog] = {}
        self.last: dict[str, Any] = {}  # the journal of each node that was opened last
        self.doomed: dict[str, tuple[int, Callable[[], object]]] = {}  # by node: after how many writes, and what then

    def __call__(self, node: str) -> MemoryJournal:
        journal = self.last[node] = EndingJournal(self, node)
        return journal

    def boxes(self) -> list[str]:
        """The outboxes that the journals still have."""
        return [id for log in self.logs.values() for id in MemoryJournal(log).ids() if id.startswith("outbox:")]


class EndingJournal(MemoryJournal):
    """A journal whose process ends right before one of its writes: that is not stored, and none after it."""

    def __init__(self, journals: Journals, node: str) -> None:
        super().__init__(journals.logs.setdefault(node, MemoryLog()))
        self.journals, self.node = journals, node
        self.has_ended = False

    def _submit(self, append: Any) -> None:
        doom = self.journals.doomed.get(self.node)
        if doom is not None and not self.has_ended:
            left, end = doom
            self.journals.doomed[self.node] = left - 1, end
            if left <= 0:
                self.has_ended = True
                del self.journals.doomed[self.node]
                end()
        if not self.has_ended:
            super()._submit(append)


async def relay(activity, state, ctx):
    """Pass on two numbers for each one."""
    for number in (2 * activity.payload, 2 * activity.payload + 1):
        await ctx.send("target", (ctx.runtime, number))
        await ctx.sleep(0.01)
    return state + 1


def count(activity: Activity[int], state: int) -> int:
    return state + activity.payload


async def send_mixed(activity, state, ctx):
    for payload in (1, 2, "no number"):
        await ctx.send("counts", payload, priority=isinstance(payload, str))
    return state


SEEN: list[Any] = []  # by workflows, which run in this process


class Order(Activity[int]):
    """An activity of a class of its own."""

    urgent: str = ""


async def send_and_wait(activity, state, ctx):
    receipt = await ctx.send("target", ("held", 1))
    assert receipt.outcome is None
    await ctx.sleep(10)
    return state + 1


async def fail_twice(activity, state, ctx):
    SEEN.append(await ctx.send("target", ("fails", len(SEEN))))
    if len(SEEN) < 3:
        raise ValueError("not yet")
    return state + 1


async def wait_for_it(activity, state, ctx):
    first = await ctx.send("target", ("waits", 0))
    second = await ctx.send("target", ("waits", 1))
    await second.stored()  # on the other node: else it would wait for its own commit
    SEEN.append((await second).state)
    SEEN.append(await ctx.ask("target", ("waits", 2)))
    SEEN.append(first.outcome)
    return state + 1


async def keep(activity, state, ctx):
    SEEN.append(await ctx.send("target", ("keeps", 1)))
    (await ctx.send("target", ("keeps", 2))).add_callback(lambda: SEEN.append("done"))
    return state


async def send_all_kinds(activity, state, ctx):
    await ctx.send("looks", "later", delay=20)
    await ctx.send("looks", "urgent", priority=True, key="once")
    await ctx.send("looks", "urgent", priority=True, key="once")
    await ctx.send("looks", "plain")
    return state


async def send_it(activity, state, ctx):
    for payload in (object(), b"x" * 3000):
        with pytest.raises(AgentError) as raised:
            await ctx.send("target", payload)
        SEEN.append(raised.value)
    return state + 1


async def send_order(activity, state, ctx):
    await ctx.send("looks", Order(payload=7, urgent="very"))
    return state


async def send_wrong(activity, state, ctx):
    SEEN.append(await ctx.send(*activity.payload))
    return state + 1


async def send_into_full(activity, state, ctx):
    try:
        SEEN[0].send_nowait("target", 0)
    except MailboxFullError as error:
        SEEN.append(str(error))
    with pytest.raises(MailboxFullError):
        await ctx.send("target", 0, wait=0)
    return state + 1


async def send_many(activity, state, ctx):
    for number in range(20):
        await ctx.send("target", ("many", number))
    return state + 1


async def send_and_stay(activity, state, ctx):
    await ctx.ask("echo", 1)
    await ctx.sleep(100)
    return state


async def send_back(activity, state, ctx):
    await ctx.send("mine", ctx.runtime)
    return state


def look(activity, state):
    SEEN.append(activity)
    return state


class Trial(msgspec.Struct):
    """A cluster with a collector on one node, and what sends to it on another."""

    cluster: Cluster
    journals: Journals
    sender: str

    @property
    def target(self) -> Any:
        return self.cluster.manager_of("target")["target"]

    @property
    def source(self) -> Any:
        """The manager of the node that sends."""
        return self.cluster.manager_of(self.sender)

    def run(self, work: Any) -> Any:
        return self.cluster.run(work)

    def make(self, id: str, state: Any, workflow: Any, **options: Any) -> Any:
        return self.cluster.do(lambda: self.cluster.manager.create(id, state, workflow, **options))

    def settle(self, seconds: float = 30) -> None:
        self.run(asyncio.sleep(seconds))

    def node_of(self, id: str) -> str:
        return self.cluster.manager.placement.node_of(id)


@contextmanager
def trials(seed: int = 0, workflow: Any = relay, collector: Any = collect, **options: Any) -> Iterator[Trial]:
    SEEN.clear()
    journals = Journals()
    with started(seed, open_journal=journals) as cluster:
        trial = Trial(cluster, journals, "sender")
        trial.make("target", (), collector, placement="node-2", **options)
        trial.make("sender", 0, workflow, placement="node-1", retries=3, backoff=0.01)
        yield trial


@pytest.fixture
def trial() -> Iterator[Trial]:
    with trials() as made:
        yield made


def numbers(state: Any, sender: str = "sender") -> list[int]:
    return [number for id, number in state if id == sender]


# ---- with the commit


def test_what_is_sent_arrives_after_the_commit_and_leaves_no_row(trial: Trial) -> None:

    trial.make("held", 0, send_and_wait, placement="node-1")
    receipt = trial.run(trial.cluster.manager.send("held", None))
    trial.settle(9)
    assert trial.target.state == ()
    trial.run(receipt.wait())
    trial.settle(1)
    assert trial.target.state == (("held", 1),)
    assert (trial.journals.boxes(), trial.source.unsent) == ([], {})


def test_an_attempt_that_fails_has_sent_nothing(trial: Trial) -> None:
    trial.make("fails", 0, fail_twice, placement="node-1", retries=3, backoff=0.01)
    assert trial.run(trial.cluster.manager.ask("fails", None)) == 1
    trial.settle()
    assert trial.target.state == (("fails", 2),)
    assert [receipt.outcome.kind for receipt in SEEN] == ["dropped", "dropped", "done"]
    with pytest.raises(JournalError, match="it was never accepted: the activity of 'fails' that sent it has failed"):
        trial.run(SEEN[0].stored())
    assert (trial.journals.boxes(), trial.source.unsent) == ([], {})


def test_what_a_workflow_waits_for_leaves_at_once(trial: Trial) -> None:
    trial.make("waits", 0, wait_for_it, placement="node-1")
    assert trial.run(trial.cluster.manager.ask("waits", None)) == 1
    trial.settle()
    assert SEEN == [(("waits", 1),), (("waits", 1), ("waits", 2)), None]
    assert numbers(trial.target.state, "waits") == [1, 2, 0]


def test_who_holds_a_receipt_hears_what_came_of_it(trial: Trial) -> None:
    trial.make("keeps", 0, keep, placement="node-1")
    trial.run(trial.cluster.manager.ask("keeps", None))
    trial.settle()
    assert SEEN[0].outcome.state == (("keeps", 1),)
    assert SEEN[1:] == ["done"]
    assert not trial.source.courier.sent
    assert not trial.source.courier._kept


def test_it_has_its_source_its_lane_its_delay_and_its_key(trial: Trial) -> None:

    runtime = trial.make("looks", 0, look, placement="node-3")
    trial.cluster.do(runtime.pause)
    trial.make("sends", 0, send_all_kinds, placement="node-1")
    trial.run(trial.cluster.manager.ask("sends", None))
    trial.settle(1)
    before = trial.cluster.loop.time()
    trial.cluster.do(runtime.resume)
    trial.settle(1)
    assert [(each.payload, each.source, each.lane.value) for each in SEEN] == [
        ("urgent", "sends", "priority"),
        ("plain", "sends", "standard"),
    ]
    assert (SEEN[0].key, SEEN[0].parent == SEEN[1].parent != None) == ("once", True)  # noqa: E711
    trial.settle(before + 18 - trial.cluster.loop.time())
    assert len(SEEN) == 2
    trial.settle(3)
    assert SEEN[2].payload == "later"


def test_an_activity_of_a_class_of_its_own_arrives_as_one(trial: Trial) -> None:

    trial.make("looks", 0, look, placement="node-3")
    trial.make("sends", 0, send_order, placement="node-1")
    trial.run(trial.cluster.manager.ask("sends", None))
    trial.settle()
    [order] = SEEN
    assert (type(order), order.urgent, order.payload, order.source) == (Order, "very", 7, "sends")


def test_what_can_not_be_stored_or_sent_is_refused_at_once(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr("agentrt.distributed.packing.LARGEST", 2000)
    trial.make("sends", 0, send_it, placement="node-1", retries=0)
    assert trial.run(trial.cluster.manager.ask("sends", None)) == 1
    assert [type(error) for error in SEEN] == [JournalError, ConfigurationError]
    assert trial.source.unsent == {}


# ---- once and in order, whatever ends


def send_all(trial: Trial, senders: tuple[str, ...] = ("sender",), count: int = COUNT) -> None:
    """Have each sender pass on its numbers; wait until all have arrived and nothing is on its way."""

    async def main() -> None:
        receipts = []
        for number in range(count):
            receipts += [trial.cluster.manager.send_nowait(id, number) for id in senders]
            await asyncio.sleep(0.05)
        for receipt in receipts:
            async with asyncio.timeout(600):
                assert (await receipt).kind == "done"

    trial.run(main())
    trial.settle(120)


def check_all(trial: Trial, senders: tuple[str, ...] = ("sender",), count: int = COUNT) -> None:
    """Each number of each sender once, in its order; no row is left."""
    state = trial.target.state
    assert {id: numbers(state, id) for id in senders} == {id: list(range(2 * count)) for id in senders}
    assert len(state) == 2 * count * len(senders)
    assert trial.journals.boxes() == []


def end_of(trial: Trial, node: str) -> Callable[[], None]:
    """What ends the process of a node, in the next turn of the loop."""
    places = trial.cluster.engine.places
    return lambda: trial.cluster.loop.call_soon(lambda: trial.cluster.engine.kill(places[node]))


@pytest.mark.parametrize("write", range(0, 60, 3))
@pytest.mark.parametrize("node", ["node-1", "node-2"])
def test_a_process_that_ends_between_any_two_writes(node: str, write: int) -> None:
    for each in range(write, write + 3):
        with trials(seed=each) as trial:
            trial.journals.doomed[node] = each, end_of(trial, node)
            send_all(trial)
            check_all(trial)
            assert each > 40 or "node_adopted" in trial.cluster.node_events()


@pytest.mark.parametrize("seed", range(8))
def test_ends_of_both_over_a_bad_network(seed: int) -> None:
    with trials(seed, collector=collect_slowly, standard_capacity=5) as trial:
        senders = ("sender", "beside", "third")
        trial.make("beside", 0, relay, placement="node-1")
        trial.make("third", 0, relay, placement="node-3")
        trial.cluster.spoil()
        trial.journals.doomed["node-1"] = 7 * seed + 3, end_of(trial, "node-1")
        trial.journals.doomed["node-2"] = 5 * seed + 9, end_of(trial, "node-2")
        send_all(trial, senders)
        check_all(trial, senders)


def test_a_cluster_that_is_started_again_goes_on_sending() -> None:
    journals = Journals()
    with started(open_journal=journals) as cluster:
        trial = Trial(cluster, journals, "sender")
        trial.make("target", (), collect, placement="node-2")
        trial.make("sender", 0, relay, placement="node-1")
        cluster.network.cut.add(frozenset(("node-1", "node-2")))
        for number in range(COUNT):
            assert cluster.run(cluster.manager.ask("sender", number)) == number + 1
        trial.settle(5)
        assert journals.boxes() == [outbox_of("target")]
        for node in cluster.manager.nodes:
            cluster.engine.kill(node)
    with started(open_journal=journals) as cluster:
        trial = Trial(cluster, journals, "sender")
        trial.make("sender", 0, relay)  # the other one is made later: what is sent waits for that
        trial.settle(5)
        trial.make("target", (), collect)
        assert trial.node_of("target") == "node-2"
        trial.settle(5)
        check_all(trial)


@pytest.mark.parametrize("is_moved_here", [False, True])
def test_what_is_sent_while_a_class_is_not_here_yet_stays_behind(
    is_moved_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trials() as trial:
        trial.cluster.network.cut.add(frozenset(("node-1", "node-2")))
        for number in range(3):
            trial.run(trial.cluster.manager.ask("sender", number))
        can_read = False
        read = MemoryJournal.waiting

        def waiting(journal: MemoryJournal, runtime: str) -> Any:
            if not can_read and runtime == outbox_of("target"):
                raise JournalError("its class is not here")
            return read(journal, runtime)

        monkeypatch.setattr(MemoryJournal, "waiting", waiting)
        trial.cluster.engine.kill("node-1")
        trial.settle(5)
        trial.cluster.network.cut.clear()
        if is_moved_here:
            trial.run(trial.cluster.manager.move_soon("target", "node-1", None))
        for number in range(3, COUNT):
            trial.run(trial.cluster.manager.ask("sender", number))
        trial.settle(5)
        assert trial.target.state == ()
        can_read = True
        trial.settle(5)
        check_all(trial)


@pytest.mark.parametrize("seed", range(6))
def test_both_are_moved_about(seed: int) -> None:
    with trials(seed) as trial:
        manager = trial.cluster.manager
        trial.cluster.spoil()

        async def move_about() -> None:
            for turn in range(4):
                await asyncio.sleep(1)
                id = ("sender", "target")[(turn + seed) % 2]
                nodes = [node for node in manager.nodes if node != trial.node_of(id)]
                await manager.move_soon(id, nodes[(turn + seed) % 3 % 2], None)

        async def main() -> None:
            moving = asyncio.ensure_future(move_about())
            receipts = []
            for number in range(5 * COUNT):
                receipts.append(manager.send_nowait("sender", number))
                await asyncio.sleep(0.1)
            await moving
            for receipt in receipts:
                assert (await receipt).kind == "done"

        trial.run(main())
        trial.settle(120)
        check_all(trial, count=5 * COUNT)


def test_a_target_that_is_moved_here_gets_first_what_was_sent_before() -> None:
    with trials(standard_capacity=2) as trial:
        manager = trial.cluster.manager
        runtime = manager["target"]
        trial.cluster.do(runtime.pause)
        for number in range(3):
            trial.run(manager.ask("sender", number))
        trial.settle(5)
        trial.run(manager.move_soon("target", "node-1", None))
        trial.settle(5)
        receipts = [manager.send_nowait("sender", number) for number in range(3, COUNT)]
        trial.settle(5)
        trial.cluster.do(runtime.resume)
        for receipt in receipts:
            trial.run(receipt.wait())
        trial.settle()
        check_all(trial)


def test_a_node_is_not_ended_before_it_has_sent_all() -> None:
    with trials(standard_capacity=1) as trial:
        manager = trial.cluster.manager
        runtime = manager["target"]
        trial.cluster.do(runtime.pause)
        trial.run(manager.ask("sender", 0))
        trial.settle(5)
        trial.cluster.do(manager["sender"].terminate)
        removing = trial.cluster.loop.create_task(asyncio.to_thread(manager.remove_node, "node-1"))
        trial.settle(20)
        assert not removing.done()
        trial.cluster.do(runtime.resume)
        trial.run(removing)
        assert manager.nodes == ("node-2", "node-3")
        check_all(trial, count=1)


def test_a_runtime_is_not_moved_before_others_have_what_it_has_sent() -> None:
    with trials(standard_capacity=1) as trial:
        manager = trial.cluster.manager
        runtime = manager["target"]
        trial.cluster.do(runtime.pause)
        trial.run(manager.ask("sender", 0))
        with pytest.raises(AgentError, match="what others send it, or it sends to other nodes, took longer than 5 s"):
            trial.run(manager.move_soon("sender", "node-3", 5))
        trial.cluster.do(runtime.resume)
        trial.run(manager.move_soon("sender", "node-3", 5))
        trial.run(manager.ask("sender", 1))
        trial.settle(5)
        check_all(trial, count=2)


def test_what_was_on_its_way_to_a_node_that_has_left_goes_to_the_next() -> None:
    with trials() as trial:
        trial.run(trial.cluster.manager.move_soon("target", "node-3", None))
        here = trial.source
        here.placement.pin("target", "node-2", here.placement.epochs["target"])  # it has not heard of it yet
        trial.cluster.network.cut.add(frozenset(("node-1", "node-2")))
        trial.run(trial.cluster.manager.ask("sender", 0))
        trial.settle(5)
        here.dismiss_node("node-2")
        here.placement.pin("target", "node-3", here.placement.epochs["target"])
        trial.settle(5)
        check_all(trial, count=1)
        assert len(here.dead_letters) == 0


@pytest.mark.parametrize("is_known", [False, True])
def test_a_life_that_was_taken_over_refuses_nothing(trial: Trial, is_known: bool) -> None:
    journal = trial.journals.last["node-2"]
    gone = JournalTakenOverError("another process has it")
    if is_known:
        journal.broken = gone
    journal._submit = lambda append: append.then and append.then(gone)
    trial.run(trial.cluster.manager.ask("sender", 0))
    trial.settle(5)
    assert len(trial.source.dead_letters) == 0
    trial.cluster.engine.kill("node-2")
    trial.settle()
    check_all(trial, count=1)


def test_a_wait_that_ends_with_an_error_changes_nothing_of_what_was_sent(trial: Trial) -> None:
    trial.make("keeps", 0, keep, placement="node-1")
    trial.cluster.network.cut.add(frozenset(("node-1", "node-2")))
    trial.run(trial.cluster.manager.ask("keeps", None))
    trial.source.courier.end_wait(SEEN[0].id, DeadlockError("a circle", chain=()))
    assert isinstance(SEEN[0].outcome.error, DeadlockError)
    trial.cluster.network.cut.clear()
    trial.settle()
    assert numbers(trial.target.state, "keeps") == [1, 2]
    assert len(trial.source.dead_letters) == 0


@pytest.mark.parametrize("is_late", [False, True])
def test_a_disk_that_is_full_on_the_other_node_loses_nothing(trial: Trial, is_late: bool) -> None:
    journal = trial.journals.last["node-2"]
    if not is_late:
        journal.broken = JournalError("the disk is full")
    for number in range(COUNT):
        trial.run(trial.cluster.manager.ask("sender", number))
        if number == 2 and is_late:
            journal.broken = JournalError("the disk is full")
    trial.settle()
    assert len(trial.target.state) < 2 * COUNT
    assert trial.journals.boxes() == [outbox_of("target")]
    journal.mend()
    trial.settle()
    check_all(trial)
    assert len(trial.source.dead_letters) == 0


# ---- what can't be delivered


def undelivered(trial: Trial) -> list[Any]:
    return [record for record in trial.source.ring.since(0)[0] if record.kind == "undelivered"]


def test_a_send_to_an_unknown_id_becomes_a_dead_letter(trial: Trial) -> None:

    nobody = next(f"nobody{n}" for n in range(100) if trial.node_of(f"nobody{n}") == "node-2")
    trial.make("sends", 0, send_wrong, placement="node-1")
    assert trial.run(trial.cluster.manager.ask("sends", (nobody, 5))) == 1
    trial.settle()
    [letter] = trial.source.dead_letters
    assert (letter.activity.payload, letter.activity.source) == (5, "sends")
    assert f"{nobody!r} on another node did not take it: " in letter.reason
    assert "RuntimeNotFoundError: no runtime has the id" in letter.reason
    assert SEEN[0].outcome.kind == "dead"
    with pytest.raises(RuntimeNotFoundError):
        SEEN[0]._open()
    assert [(each.runtime, each.detail["parent"]) for each in undelivered(trial)] == [("sends", letter.activity.parent)]
    ledger, fates = trial.source.dead_letters.ledger(), trial.source.fates()
    assert (ledger.dead, ledger.here, fates.adds_up) == (1, 1, True)
    trial.cluster.engine.kill("node-1")
    trial.settle()
    [again] = trial.source.dead_letters
    assert (again.activity.id, again.activity.payload, again.reason) == (letter.activity.id, 5, letter.reason)
    assert trial.source.dead_letters.ledger().dead == 1


def test_a_target_that_has_ended_does_not_hold_up_what_comes_after_it(trial: Trial) -> None:
    trial.run(trial.cluster.manager.ask("sender", 0))
    trial.settle(1)
    trial.cluster.do(trial.cluster.manager["target"].terminate)
    trial.settle(1)
    trial.run(trial.cluster.manager.ask("sender", 1))
    trial.settle(1)
    trial.make("target", (), collect)
    trial.run(trial.cluster.manager.ask("sender", 2))
    trial.settle(5)
    assert numbers(trial.target.state) == [4, 5]
    letters = list(trial.source.dead_letters)
    assert [letter.activity.payload[1] for letter in letters] == [2, 3]
    assert all(RuntimeTerminatedError.__name__ in letter.reason for letter in letters)
    assert trial.source.fates().dead == 2
    assert trial.journals.boxes() == [outbox_of("target")]  # it has the letters
    trial.source.dead_letters.clear()
    assert trial.journals.boxes() == []


def test_dead_letters_are_counted_once_over_restarts() -> None:
    with trials() as trial:
        runtime = trial.make("counts", 0, count, placement="node-2", standard_capacity=1)
        trial.cluster.do(runtime.pause)
        trial.make("mixes", 0, send_mixed, placement="node-1")
        trial.run(trial.cluster.manager.ask("mixes", None))
        trial.settle(5)

        def check() -> None:
            assert (trial.source.fates().dead, len(trial.source.dead_letters)) == (1, 1)
            assert trial.source.dead_letters.ledger().dead == 1

        check()
        assert list(trial.source.unsent) == ["counts"]  # what waits for room: its counts are not summed up yet
        trial.cluster.engine.kill("node-1")
        trial.settle(5)
        check()
        trial.cluster.do(runtime.resume)
        trial.settle(5)
        assert trial.source.unsent == {}
        trial.cluster.engine.kill(trial.cluster.engine.places["node-1"])
        trial.settle(5)
        check()
        assert trial.cluster.manager_of("counts")["counts"].state == 3


# ---- backpressure


def test_a_full_outbox_has_the_next_sender_wait(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_STORED", 4)
    manager = trial.cluster.manager
    SEEN.append(trial.source)
    trial.make("tries", 0, send_into_full, placement="node-1")
    trial.cluster.network.cut.add(frozenset(("node-1", "node-2")))
    for number in range(2):
        trial.run(manager.ask("sender", number))
    waits = manager.send_nowait("sender", 2)
    trial.run(manager.ask("tries", 0))
    trial.settle(5)
    assert waits.outcome is None
    [_, why] = SEEN
    assert "4 activities wait in the outbox of 'node-1' to be sent to 'target'; await send() instead" in why
    trial.cluster.network.cut.clear()
    trial.settle(10)
    assert waits.outcome.kind == "done"
    check_all(trial, count=3)


def test_one_activity_may_send_more_than_the_bound(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_STORED", 4)
    trial.make("many", 0, send_many, placement="node-1")
    assert trial.run(trial.cluster.manager.ask("many", None)) == 1
    trial.settle()
    assert numbers(trial.target.state, "many") == list(range(20))


# ---- what others send is as it was


def test_without_a_journal_nothing_is_stored_or_looked_for() -> None:
    with started() as cluster:
        cluster.run(asyncio.sleep(1))
        node = cluster.engine.hosts["node-1"].managers["node-1"]
        assert type(node.remote_entry("x")) is RemoteEntry
        assert (node.outboxes, type(cluster.manager.remote_entry("x"))) == (None, RemoteEntry)


def test_what_is_sent_from_outside_of_a_workflow_is_no_row(trial: Trial) -> None:
    assert type(trial.source.remote_entry("target")) is OutboxEntry
    receipt = trial.run(trial.source.send("target", ("outside", 1)))
    trial.run(receipt.wait())
    assert receipt.outcome.state == (("outside", 1),)
    assert trial.source.unsent == {}


def test_the_ids_of_outboxes_are_none_of_runtimes(trial: Trial) -> None:
    with pytest.raises(ConfigurationError, match="'outbox:x' is no id for a runtime of a cluster"):
        trial.make("outbox:x", 0, collect)


def test_what_arrives_over_a_link_is_not_sent_by_who_has_used_that_link_first(trial: Trial) -> None:

    trial.make("echo", 0, send_back, placement="node-3")
    trial.make("mine", 0, look, placement="node-1")
    trial.make("stays", 0, send_and_stay, placement="node-1")
    trial.cluster.manager.send_nowait("stays", None)
    trial.settle(5)
    assert [each.source for each in SEEN] == ["echo"]


def test_the_file_of_a_node_shows_what_waits_to_be_sent(tmp_path: Any) -> None:
    from agentrt.feed.recorded import RecordedSource

    with started(open_journal=lambda node: SQLiteJournal(tmp_path / f"{node}.db")) as cluster:
        for id, node, state, workflow in (("target", "node-2", (), collect), ("sender", "node-1", 0, relay)):
            cluster.do(
                lambda id=id, node=node, state=state, workflow=workflow: cluster.manager.create(
                    id, state, workflow, placement=node
                )
            )
        cluster.network.cut.add(frozenset(("node-1", "node-2")))
        cluster.run(cluster.manager.ask("sender", 0))
        cluster.run(asyncio.sleep(1))
        cluster.engine.hosts["node-1"].managers["node-1"].journal.backup(tmp_path / "copy.db")
    source = RecordedSource(tmp_path / "copy.db")
    assert [item.payload for item in source.mailbox(outbox_of("target")).items] == [("sender", 0), ("sender", 1)]
    source.close()
