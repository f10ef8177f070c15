"""What durable workflows send to other nodes: with their commit, as a dead letter, or not before there is room."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import ConfigurationError
from agentrt.distributed import outbox
from agentrt.distributed.outbox import OutboxEntry, outbox_of
from agentrt.distributed.remote_entry import RemoteEntry
from agentrt.errors import (
    JournalError,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from agentrt.journal import SQLiteJournal
from tests.distributed.outbox_trial import (
    SEEN,
    Order,
    Trial,
    check_all,
    count,
    fail_twice,
    keep,
    look,
    numbers,
    relay,
    send_all_kinds,
    send_and_stay,
    send_and_wait,
    send_back,
    send_into_full,
    send_it,
    send_many,
    send_mixed,
    send_order,
    send_wrong,
    trials,
    wait_for_it,
)
from tests.distributed.test_cluster import collect, started

pytestmark = pytest.mark.slow


@pytest.fixture
def trial() -> Iterator[Trial]:
    with trials() as made:
        yield made


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
