"""segments.py: a file that is read in segments has the same moments as one that is read as a whole."""

import random
from typing import Any

import pytest

from agentrt import JournalError, RuntimeManager
from agentrt.history.moment import Moment
from agentrt.history.replay import replay_records
from agentrt.history.stored import StoredHistory
from agentrt.journal.database import Database
from agentrt.journal.location import Location
from tests.history.shop import count_down
from tests.history.support import long_run, plain
from tests.history.test_stored import as_seen, run_day
from tests.support import add

pytestmark = pytest.mark.filterwarnings("ignore:the state of")


@pytest.mark.parametrize("every", [1, 2, 5, 7, 1_000])
def test_every_moment_is_what_a_reader_saw(tmp_path, every):
    looks = run_day(tmp_path)
    history = StoredHistory(tmp_path / "agents.db", every=every)
    for position, seen in looks.seen.items():
        assert as_seen(Moment(history, position)) == seen, position
    history.close()


def keep_all(activity: Any, state: dict[str, int]) -> dict[str, int]:
    return {**state, f"key {activity.payload}": activity.payload}


def facts(moment: Moment) -> dict[str, Any]:
    return {
        id: (
            repr(moment[id].state), moment[id].fates(), plain(moment[id].mailbox_items()), moment[id].status,
            repr(moment[id].error), moment[id].limits,
        )
        for id in moment.ids
    }  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file with failures, a large state, delays, an end and a second runtime of the same id."""
    path = tmp_path_factory.mktemp("segments") / "agents.db"
    chance = random.Random(3)
    with RuntimeManager(path) as manager:
        left = manager.create("left", 0, count_down, retries=0)
        total = manager.create("sum", 0, add)
        large = manager.create("large", {}, keep_all)
        for n in range(150):
            left.send_nowait(chance.randint(-3, 3))
            total.send_nowait(n, priority=n % 5 == 0)
            large.send_nowait(n)
            if n == 40:
                total.pause()
                total.send_nowait(1, delay=1_000)
                left.timeout = 9.0
            if n == 80:
                total.resume()
            if n == 100:
                manager.run(left.terminate())
                left = manager.create("left", 5, count_down, retries=0)
        for runtime in (left, total, large):
            manager.run(runtime.send_nowait(0).wait())
    return path


@pytest.mark.parametrize("every", [10, 64])
def test_it_is_the_same_as_the_whole(file, every):
    whole, parts = StoredHistory(file, every=0), StoredHistory(file, every=every)
    assert (whole.chronicle.last, whole.now()) == (parts.chronicle.last, parts.now())
    for sequence in random.Random(1).sample(whole.chronicle.sequences, 120):
        expected = facts(Moment(whole, sequence))
        expected.pop("large")
        found = facts(Moment(parts, sequence))
        assert found.pop("large") is not None
        assert found == expected, sequence
        assert repr(Moment(parts, sequence).record) == repr(Moment(whole, sequence).record)
    parts.close()


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_a_runtime_and_its_state_are_in_one_segment(file, every):
    whole, parts = StoredHistory(file, every=0), StoredHistory(file, every=every)
    created = [n for n in whole.chronicle.sequences if whole.chronicle.record(n).kind == "created"]
    assert len(created) == 4
    for sequence in created:
        for near in (sequence - 1, sequence, sequence + 1):
            assert repr(parts.chronicle.record(near)) == repr(whole.chronicle.record(near)), near
    parts.close()


def test_a_large_state_is_joined_of_its_fields(file):
    with StoredHistoryOf(file) as history:
        moment = Moment(history)
        assert moment["large"].state["key 149"] == 149
        assert len(moment["large"].state) == 150


class StoredHistoryOf:
    def __init__(self, file: Any) -> None:
        self.history = StoredHistory(file, every=50)

    def __enter__(self) -> StoredHistory:
        return self.history

    def __exit__(self, *error: object) -> None:
        self.history.close()


def test_a_moment_is_found_by_its_time(file):
    whole = StoredHistory(file, every=0)
    with StoredHistoryOf(file) as parts:
        times = [record.at for record in whole.chronicle.records]
        for time in random.Random(2).sample(times, 20):
            assert facts(Moment(parts, time=time)).keys() == facts(Moment(whole, time=time)).keys()
        assert len(Moment(parts, time=times[0] - 10)) == 0


def test_all_of_it_is_replayed(file):
    with StoredHistoryOf(file) as parts:
        replay = replay_records(parts, {"left": count_down, "sum": add, "large": keep_all})
    assert replay.matches, replay
    assert replay.count > 300


def test_few_segments_are_in_memory(file):
    with StoredHistoryOf(file) as history:
        for sequence in range(1, history.chronicle.last, 20):
            Moment(history, sequence).snapshots()
        assert len(history.chronicle._segments) <= 8


def test_a_damaged_row_is_an_error_of_the_moment_that_reads_it(file, tmp_path):
    path = tmp_path / "copy.db"
    path.write_bytes(file.read_bytes())
    database = Database(Location(path))
    database.prepare()
    database.connection.execute("UPDATE log SET crc = 0 WHERE position = 300")
    database.close()
    history = StoredHistory(path, every=50)
    assert Moment(history, 100).ids
    with pytest.raises(JournalError, match="row 300 of the journal is damaged"):
        Moment(history, 300).snapshots()
    history.close()


def test_what_waits_is_in_the_same_order(tmp_path):
    """Delayed, due, promoted, moved and dropped, before the segment."""
    with RuntimeManager(tmp_path / "a.db") as manager:
        manager.run(long_run(manager, lambda: None, 10, failing=0))
    whole, parts = StoredHistory(tmp_path / "a.db", every=0), StoredHistory(tmp_path / "a.db", every=50)
    for sequence in range(1, whole.chronicle.last, 11):
        assert facts(Moment(parts, sequence)) == facts(Moment(whole, sequence)), sequence
    parts.close()
