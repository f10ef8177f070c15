"""What durable workflows send to other nodes arrives exactly once and in order, whatever ends or moves between."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentrt.distributed.outbox import outbox_of
from agentrt.errors import (
    AgentError,
    DeadlockError,
    JournalError,
    JournalTakenOverError,
)
from agentrt.journal.memory import MemoryJournal
from tests.distributed.outbox_trial import (
    COUNT,
    SEEN,
    Journals,
    Trial,
    check_all,
    keep,
    numbers,
    relay,
    send_all,
    trials,
)
from tests.distributed.test_cluster import collect, collect_slowly, started

pytestmark = pytest.mark.slow


@pytest.fixture
def trial() -> Iterator[Trial]:
    with trials() as made:
        yield made


# ---- once and in order, whatever ends


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
