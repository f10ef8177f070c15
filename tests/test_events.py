"""events.py: records that never change, and a ring that forgets and says so."""

import collections
import dataclasses
import gc
import threading
from contextlib import suppress

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agentrt import Activity, AgentError, Event, Fate, Lane, Outcome, ProcessingError, RuntimeManager
from agentrt.events import Ring
from agentrt.schema.size import estimate_size
from tests.harness.interrupt import everywhere


def outcome(**options):
    given = {"kind": "done", "created": 1.0, "started": 3.0, "finished": 7.0, "state": 5, **options}
    return Outcome(**{"sequence": 9, "id": 3, "runtime": "a", "priority": False, **given})


def test_every_record_says_its_number_runtime_time_and_kind():
    records = [Activity(id=1, runtime="a", created=2.0), outcome(), Event(4, "a", 5.0, "paused")]
    assert [(r.sequence, r.runtime, r.at, r.kind) for r in records] == [
        (1, "a", 2.0, "accepted"),
        (9, "a", 7.0, "done"),
        (4, "a", 5.0, "paused"),
    ]


def test_an_outcome_tells_waiting_from_working():
    assert (outcome().wait, outcome().service) == (2.0, 4.0)
    assert (outcome(started=None).wait, outcome(started=None).service) == (6.0, None)


def test_the_value_is_the_reply_or_else_the_state():
    assert outcome().value == 5
    assert outcome(reply=None).value is None
    assert outcome(reply="x").value == "x"


def test_only_done_is_ok():
    assert [outcome(kind=fate.value).ok for fate in Fate] == [fate is Fate.DONE for fate in Fate]


def test_an_outcome_gives_back_its_lane_and_its_fate():
    assert [outcome(kind=fate.value).fate for fate in Fate] == list(Fate)
    assert [outcome(priority=urgent).lane for urgent in (True, False)] == [Lane.PRIORITY, Lane.STANDARD]


def test_the_collector_walks_no_outcome_whose_state_is_plain():
    assert not gc.is_tracked(outcome(state=5))
    assert gc.is_tracked(outcome(state=[]))


@pytest.mark.parametrize("record", [outcome(), Event(1, "a", 0.0, "paused")], ids=["outcome", "event"])
def test_records_are_immutable(record):
    with pytest.raises(AttributeError):
        record.runtime = "b"


# --- the ring


def filled(n, **options):
    ring = Ring(**options)
    for i in range(n):
        ring.append(i)
        ring.trim()
    return ring


def test_a_reader_pulls_only_what_is_newer():
    ring = filled(3)
    records, cursor, missed = ring.since(0)
    assert (records, cursor, missed) == ([0, 1, 2], 3, 0)
    ring.append("new")
    assert ring.since(cursor) == (["new"], 4, 0)
    assert ring.since(ring.cursor) == ([], 4, 0)


def test_it_is_bounded_by_count_and_says_what_it_let_go():
    ring = filled(10_000, limit=1000)
    records, cursor, missed = ring.since(0)
    assert len(records) <= 1000 + Ring.STEP
    assert records[-1] == 9999
    assert missed == records[0] == ring.let_go
    assert cursor == ring.cursor == 10_000


def test_it_is_bounded_by_bytes():
    ring = Ring(limit=100_000, max_bytes=1_000_000)
    for n in range(5_000):
        ring.append(Event(n, "a", 0.0, "log", detail="x" * 5_000 + str(n)))
        ring.trim()
    assert len(ring.records) <= 2 * Ring.STEP
    assert ring.let_go == 5_000 - len(ring.records)


def test_large_ones_are_noticed_soon():
    ring = Ring(limit=100_000, max_bytes=1_000_000)
    most = 0
    for n in range(500):
        ring.append(Event(n, "a", 0.0, "log", detail=bytes(100_000)))
        ring.trim()
        most = max(most, len(ring.records))
    assert most <= 3 * Ring.LEAST


def test_the_variables_that_a_failure_keeps_alive_are_counted():
    def fails():
        big = bytearray(100_000)
        raise ValueError(len(big))

    ring = Ring(limit=100_000, max_bytes=1_000_000)
    for n in range(200):
        error = ProcessingError("no")
        try:
            fails()
        except ValueError as cause:
            error.__cause__ = cause
        ring.append(Outcome(n, n, "a", False, "failed", 0.0, 0.0, 1.0, 0, error=error))
        ring.trim()
    assert len(ring.records) <= 3 * Ring.LEAST


class World:
    """What lives anyway, and is large."""

    def __init__(self):
        self.parts = [bytearray(1_000) for _ in range(5_000)]

    def fails(self, payload):
        held = self.parts[0]
        raise ValueError(payload, len(held))


def test_what_lives_beside_a_failure_is_not_counted():
    world = World()
    alone = bytearray(10)

    def fails(n):
        used = world
        try:
            used.fails(n)
        except ValueError as cause:
            raise ProcessingError(f"{n}, {len(alone)}") from cause

    ring = Ring(limit=2_000, max_bytes=2_000_000)
    for n in range(2_000):
        with pytest.raises(ProcessingError) as found:
            fails(n)
        ring.append(Outcome(n, n, "a", False, "failed", 0.0, 0.0, 1.0, 0, error=found.value))
        ring.trim()
    assert len(ring.records) > 1_000


def test_a_variable_that_is_handed_on_is_counted():
    def inner(big):
        raise ValueError(len(big))

    def fails():
        inner(bytearray(100_000))

    def keeps():
        big = [bytearray(100_000)]
        inner(big)

    for function in (fails, keeps):
        with pytest.raises(ValueError) as found:  # noqa: PT011
            function()
        assert 100_000 < estimate_size([found.value]) < 200_000


class Unseeable:
    """Looks at nothing but raises."""

    __slots__ = ()

    def __getattr__(self, name):
        raise RuntimeError("not connected")

    def __sizeof__(self):
        raise RuntimeError("not connected")

    def __repr__(self):
        raise RuntimeError("not connected")


def test_what_can_not_be_looked_at_is_shown_all_the_same():
    outcome = Outcome(1, 1, "a", False, "done", 0.0, 0.0, 1.0, Unseeable())
    assert repr(outcome).startswith("Outcome(sequence=1, id=1, runtime='a'")


@dataclasses.dataclass(slots=True)
class Slotted:
    data: object


LARGE = {
    "array": lambda: np.ones(12_500)[:10],
    "slots": lambda: Slotted(bytes(100_000)),
    "dict of slots": lambda: {"a": Slotted(bytes(100_000))},
    "deque": lambda: collections.deque([bytes(100_000)]),
    "memoryview": lambda: memoryview(bytes(100_000))[:10],
    "frame": lambda: pd.DataFrame({"a": np.ones(12_500)})[:3],
    "table": lambda: pa.table({"a": np.ones(12_500)}).slice(0, 3),
    "exception": lambda: ValueError(bytes(100_000)),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=list(LARGE))
@pytest.mark.parametrize("field", ["payload", "state", "reply", "error", "detail"])
def test_whatever_a_record_keeps_alive_is_counted(make, field):
    ring = Ring(limit=100_000, max_bytes=1_000_000)
    for n in range(300):
        value = make()
        record = {
            "payload": lambda value=value, n=n: Activity(n, "a", payload=value),
            "detail": lambda value=value, n=n: Event(n, "a", 0.0, "log", None, value),
        }.get(field, lambda value=value: outcome(**{field: value}))()
        ring.append(record)
        ring.trim()
    assert len(ring.records) <= 3 * Ring.LEAST


class Custom(Activity[object], frozen=True, kw_only=True):
    extra: object


def test_the_fields_of_a_custom_activity_are_counted():
    ring = Ring(limit=100_000, max_bytes=1_000_000)
    for n in range(300):
        ring.append(Custom(id=n, extra=bytes(100_000)))
        ring.trim()
    assert len(ring.records) <= 3 * Ring.LEAST


def test_some_large_ones_among_many_small_ones_are_noticed():
    ring, most = Ring(max_bytes=10_000_000), 0
    for n in range(100_000):
        ring.append(Event(n, "a", 0.0, "log", None, bytes(500_000) if n % 101 == 0 else n))
        ring.trim()
        if n % 5_000 == 0:
            most = max(most, sum(len(r.detail) for r in ring.records if isinstance(r.detail, bytes)))
    assert most <= 4 * ring.max_bytes


def test_of_the_very_largest_only_the_last_are_kept():
    ring = Ring(max_bytes=1_000_000)
    for n in range(100):
        ring.append(Event(n, "a", 0.0, "log", None, bytes(5_000_000)))
        ring.trim()
    assert len(ring.records) <= Ring.FEWEST + Ring.LEAST


def test_the_bounds_follow_the_size_of_what_comes():
    ring = filled(2_000, limit=1_500, max_bytes=1_000_000)
    assert len(ring.records) > 1_000
    for n in range(1_600):
        ring.append(Event(n, "a", 0.0, "log", detail="x" * 50_000 + str(n)))
        ring.trim()
    assert len(ring.records) <= 2 * Ring.STEP


def test_every_other_record_being_large_is_noticed():
    ring = Ring(limit=100_000, max_bytes=1_000_000)
    for n in range(10_000):
        ring.append(Activity(id=n))
        ring.append(outcome(state="x" * 5_000 + str(n)))
        ring.trim()
    assert len(ring.records) <= 2 * Ring.STEP


def test_a_cursor_from_before_or_after_everything_is_fine():
    ring = filled(5)
    assert ring.since(100) == ([], 100, 0)
    assert ring.since(-5)[0] == [0, 1, 2, 3, 4]


def test_a_reader_on_another_thread_misses_nothing_it_is_not_told_of():
    ring, stop, seen, missed = Ring(limit=2_000), threading.Event(), [], 0

    def read():
        nonlocal missed
        cursor = 0
        while True:
            last = stop.is_set()
            records, cursor, lost = ring.since(cursor)
            seen.extend(records)
            missed += lost
            if last:
                return

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(50_000):
        ring.append(n)
        ring.trim()
    stop.set()
    reader.join()
    assert seen == sorted(set(seen))
    assert len(seen) + missed == 50_000


class Hook:
    """Calls a function when it is freed."""

    def __init__(self, call):
        self.call = call

    def __del__(self):
        self.call()


def within(seconds, call):
    """Whether a call comes to its end."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def test_what_is_freed_by_trimming_may_use_the_ring():
    ring, seen = Ring(limit=10), []
    for n in range(Ring.LEAST):
        ring.append(Event(n, "a", 0.0, "log", None, Hook(lambda: seen.append(ring.since(0)[2]))))
    assert within(5, ring.trim)
    assert seen == [6] * 6
    assert ring.cursor == Ring.LEAST


def test_what_is_collected_while_the_ring_is_read_may_use_the_ring():
    ring, seen = filled(2_000), []

    def read():
        for n in range(1, 400):
            circle = [Hook(lambda: (seen.append(ring.cursor), ring.trim(), ring.since(1_000), ring.outcome_of(1)))]
            circle.append(circle)
            gc.set_threshold(n % 20 + 1)  # each time it is collected at another place
            del circle
            ring.since(0)
            ring.ensure(1_999)
            ring.outcome_of(2)

    threshold = gc.get_threshold()
    try:
        assert within(20, read)
    finally:
        gc.set_threshold(*threshold)
    assert len(seen) > 100


def test_payloads_that_send_when_they_are_freed_stop_no_other_thread():
    def last():
        with suppress(AgentError):  # closed
            runtime.send_nowait(1)

    with RuntimeManager(loop="thread", ring=50) as manager:
        runtime = manager.create("a", 0, lambda activity, state: state + 1, overflow="drop_oldest")
        stop = threading.Event()

        def read():
            while not stop.is_set():
                manager.ring.since(0)

        def steer():
            for _ in range(2_000):
                runtime.standard_capacity = 100 if runtime.standard_capacity == 99 else 99

        def send():
            for _ in range(2_000):
                runtime.send_nowait(Hook(last))

        threading.Thread(target=read, daemon=True).start()
        others = [threading.Thread(target=call, daemon=True) for call in (steer, send)]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join(60)
        stop.set()
        assert [thread for thread in others if thread.is_alive()] == []


def test_trimming_can_be_interrupted_anywhere():
    for interruption in everywhere():
        ring = Ring(limit=10)
        for n in range(Ring.LEAST + 4):
            ring.append(n)
        with interruption.here():
            ring.trim()
        assert ring.since(0) == (list(range(ring.let_go, 20)), 20, ring.let_go)
        ring.trim()
        assert len(ring.records) == 10
