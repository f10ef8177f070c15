"""stored_records.py: the rows of a journal as the records that views are drawn from."""

from pathlib import Path
from typing import Any

import pytest

from agentrt import Activity, Lane
from agentrt.errors import ActivityTimeoutError, ProcessingError
from agentrt.events import Event, Outcome
from agentrt.feed.stored_records import PARTLY, UNKNOWN, StoredRecords, last_failures, stored_error
from agentrt.journal import Accepted, Changed, Committed, Created, JournalReader, Removed, Retention, SQLiteJournal


def accept(number: int, runtime: str = "a", **more: Any) -> Accepted:
    return Accepted(activity=Activity(id=number, runtime=runtime, payload=number, **more))


def records(file: Path, most: int = 1_000) -> list[Any]:
    with JournalReader(file) as reader:
        return StoredRecords(reader.codec, reader.history(most)[0], reader.last_activity).records


def test_what_was_accepted_and_what_became_of_it(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0, at=1.0, workflow="count"))
        journal.append(accept(1, created=2.0, lane=Lane.PRIORITY), accept(2, created=2.5))
        journal.append(accept(2, created=2.5, lane=Lane.PRIORITY))  # promoted: not accepted again
        journal.append(Committed(runtime="a", activity=1, at=3.0, state=5, reply="yes"))
        journal.append(Committed(runtime="a", activity=2, at=4.0, fate=None, error="ValueError: no"))
        journal.append(Committed(runtime="a", activity=2, at=5.0, fate="failed", error="ValueError: no"))
        journal.append(Changed(runtime="a", paused=True), Changed(runtime="a", paused=False), Removed(runtime="a"))
    created, one, two, done, retry, failed, paused, resumed, ended = records(file)
    assert (created.kind, created.at, created.detail) == ("created", 1.0, None)
    assert ([one.id, two.id], one.lane, one.payload) == ([1, 2], Lane.PRIORITY, 1)
    assert (done.kind, done.lane, done.created, done.started, done.finished) == ("done", "priority", 2.0, None, 3.0)
    assert (done.state, done.reply, done.value, done.error, done.was_processed) == (5, "yes", "yes", None, True)
    assert (retry.kind, retry.detail["activity"], retry.detail["retry"]) == ("retry", 2, 1)
    assert (failed.kind, failed.state, failed.attempts, failed.lane) == ("failed", 5, 2, "priority")
    assert isinstance(failed.error, ProcessingError)
    assert (type(failed.error.__cause__).__name__, str(failed.error.__cause__)) == ("ValueError", "no")
    assert [(each.kind, each.at) for each in (paused, resumed, ended)] == [
        ("paused", 5.0),
        ("resumed", 5.0),
        ("terminated", 5.0),
    ]


def test_no_two_records_have_one_number(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 10):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
    found = [each.sequence for each in records(file)]
    assert len(set(found)) == len(found) == 19
    others = [each.sequence for each in records(file) if not isinstance(each, Activity)]
    assert others == sorted(others)


def test_what_is_older_than_the_rows_is_said(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=0, at=1.0), accept(1, created=2.0), accept(2, created=2.0))
        journal.append(Committed(runtime="a", activity=1, at=3.0))
        journal.append(Committed(runtime="a", activity=2, at=4.0, state=8))
    one, two = records(file, 2)
    assert (one.state, one.created, two.state) == (UNKNOWN, 3.0, 8)
    assert UNKNOWN.reason == "a state from before the records that are shown"


def test_a_large_state_is_put_together_of_its_changes(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    state = {f"field{n}": "x" * 200 for n in range(40)}
    with SQLiteJournal(file) as journal:
        journal.append(Created(runtime="a", state=state, at=1.0))
        for number in range(1, 4):
            state = {**state, "field3": number}
            journal.append(accept(number), Committed(runtime="a", activity=number, at=2.0, state=state))
        journal.append(accept(4), Committed(runtime="a", activity=4, at=2.0, state={**state, "new": 1}))
    outcomes = [each for each in records(file) if isinstance(each, Outcome)]
    assert [each.state["field3"] for each in outcomes] == [1, 2, 3, 3]
    assert outcomes[3].state == {**state, "new": 1}
    assert next(each for each in records(file, 3) if isinstance(each, Outcome)).state == PARTLY


def test_what_retention_wrote_again_is_no_record(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file, keep=Retention(records=50)) as journal:
        journal.append(Created(runtime="a", state=0), accept(1), accept(2))
        journal.append(Committed(runtime="a", activity=2, fate="dead", error="gone"))
        for number in range(3, 600):
            journal.append(accept(number), Committed(runtime="a", activity=number, state=number))
        journal.runtimes()
    found = records(file)
    assert len({each.id for each in found if isinstance(each, Activity)}) == len(
        [each for each in found if isinstance(each, Activity)]
    )
    assert not any(each.id < 3 for each in found if not isinstance(each, Event)), "they were written again"


@pytest.mark.parametrize(
    ("fate", "text", "words"),
    [
        ("failed", "count failed in 'a' on activity 3: KeyError: 'x'", "KeyError: 'x'"),
        ("failed", "ProcessingError('count failed in \\'a\\' on activity 3: ValueError: no')", "ValueError: no"),
        ("failed", "no colon", "ProcessingError: no colon"),
        ("failed", "Odd('no end", "ProcessingError: Odd('no end"),
        ("failed", "Odd('a' b')", "ProcessingError: Odd('a' b')"),
        ("retry", "", "ProcessingError: what went wrong is not stored"),
        ("timed_out", "took more than 2 s: cancelled", "ActivityTimeoutError: took more than 2 s: cancelled"),
        ("dropped", "", "MailboxFullError: what went wrong is not stored"),
        ("terminated", "RuntimeTerminatedError('gone')", "RuntimeTerminatedError: gone"),
        ("dead", "RuntimeTerminatedError(\"'a' ended\")", "AgentError: 'a' ended"),
    ],
)
def test_an_error_is_made_of_its_text(fate: str, text: str, words: str) -> None:
    error = stored_error(fate, text, "a", 3)
    shown = error.__cause__ or error
    assert f"{type(shown).__name__}: {shown}" == words
    assert (error.runtime, error.activity) == ("a", 3)
    assert isinstance(error, ActivityTimeoutError) is (fate == "timed_out")


def test_the_last_failure_of_each_runtime(tmp_path: Path) -> None:
    file = tmp_path / "agents.db"
    with SQLiteJournal(file) as journal:
        for id, fates in {"a": ["failed", "done"], "b": ["done", "failed"], "c": ["done"]}.items():
            journal.append(Created(runtime=id, state=0))
            for fate in fates:
                number = journal.last_activity + 1
                journal.append(accept(number, id), Committed(runtime=id, activity=number, fate=fate))
                journal.runtimes()
    found = last_failures(records(file))
    assert {id: in_error for id, (_, in_error) in found.items()} == {"a": False, "b": True}
