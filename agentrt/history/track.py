"""The records of one runtime, and how it stood after any of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter, itemgetter
from typing import Any

from ..activity import Activity
from ..events import Baseline, Event, Outcome, Record
from .replica import Replica
from .rewind import rewind

__all__ = ["Track"]

EVERY = 256  # records from one keyframe to the next
NEAR = 64  # records that are looked through before all are
sequence_of = attrgetter("sequence")


class Track:
    """The records of one runtime in their order, and keyframes: how it stood after some of them.

    Args:
        base: How it stood before the first of these records. Without it, `stand` says how it stands after them.
    """

    __slots__ = (
        "_changes", "_filed", "_frames", "_outcomes", "_places", "_steps", "records", "sequences",
    )  # fmt: skip

    def __init__(self, base: Replica | None = None) -> None:
        self.records: list[Record] = []
        self.sequences: list[int] = []
        self._filed = 0  # records that are among these
        self._outcomes: list[Outcome[Any]] = []  # of activities that were started
        self._changes: list[Record] = []  # after which the state is another one
        self._steps: list[Event] = []  # the steps that are over, in the order of their ends
        self._places = [] if base is None else [0]  # of the keyframes: how many records each has in it
        self._frames = [] if base is None else [base]

    def stand(self, replica: Replica) -> None:
        """This is how it stands now. How it stood before the first record is found out when somebody asks."""
        self._places, self._frames = [len(self.records)], [replica]

    @property
    def base(self) -> Replica:
        """How it stood before the first record."""
        if self._places[0]:
            base = self._frames[0].copy()
            rewind(base, self.records[: self._places[0]])
            self._places.insert(0, 0)
            self._frames.insert(0, base)
        return self._frames[0]

    def add(self, record: Record, sequence: int) -> None:
        """Add the next record, with its number."""
        self.records.append(record)
        self.sequences.append(sequence)

    def extend(self, records: list[Record], sequences: list[int]) -> None:
        """Add more records, with their numbers, in order. Some may come before the last one that is here."""
        place = bisect_right(self.sequences, sequences[0])
        late = place < len(self.sequences)
        if late and self._frames:
            self.base  # noqa: B018  # it is found from records that are in order
        self.records += records
        self.sequences += sequences
        if late:
            self._sort(place)

    # ---- what is found only when it is asked for

    @property
    def outcomes(self) -> list[Outcome[Any]]:
        """The outcomes of activities that were started."""
        self._file()
        return self._outcomes

    @property
    def changes(self) -> list[Record]:
        """The records after which the state is another one."""
        self._file()
        return self._changes

    @property
    def steps(self) -> list[Event]:
        """The steps that are over, in the order of their ends."""
        self._file()
        return self._steps

    def _file(self) -> None:
        first, self._filed = self._filed, len(self.records)
        for record in self.records[first : self._filed]:
            if isinstance(record, Outcome):
                if record.was_processed:
                    self._outcomes.append(record)
                if record.kind == "done":
                    self._changes.append(record)
            elif isinstance(record, Event):
                if isinstance(record, Baseline) or record.kind in CHANGES_STATE:
                    self._changes.append(record)
                elif record.kind == "step":
                    self._steps.append(record)

    # ---- to keep in order, and to let go

    def _sort(self, place: int) -> None:
        """Put the records from a place on in order."""
        found = sorted(zip(self.sequences[place:], self.records[place:], strict=True), key=itemgetter(0))
        self.sequences[place:], self.records[place:] = [each for each, _ in found], [each for _, each in found]
        kept = bisect_right(self._places, place)
        del self._places[kept:], self._frames[kept:]
        for filed in (self._outcomes, self._changes, self._steps):
            del filed[bisect_left(filed, self.sequences[place], key=sequence_of) :]
        self._filed = min(self._filed, place)

    def forget(self, sequence: int) -> None:
        """Let go of the records before a sequence number; how it stood then is the base from now on."""
        gone = bisect_left(self.sequences, sequence)
        if not gone:
            return
        first = [] if gone < self._places[0] else [self.replica(gone)]  # else it is not known, and need not be
        kept = bisect_right(self._places, gone)
        self._frames = [*first, *self._frames[kept:]]
        self._places = [*([0] if first else []), *(place - gone for place in self._places[kept:])]
        for lane in ("priority", "standard"):
            self._shed(lane)
        del self.records[:gone], self.sequences[:gone]
        for filed in (self._outcomes, self._changes, self._steps):
            del filed[: bisect_left(filed, sequence, key=sequence_of)]
        self._filed = max(0, self._filed - gone)

    def _shed(self, lane: str) -> None:
        """Have the keyframes share no more activities than they have."""
        log, rest, gone = getattr(self._frames[0], lane).split()
        for frame in self._frames:
            getattr(frame, lane).shed(log, rest, gone)

    def place(self, sequence: int) -> int:
        """How many records there are up to a sequence number."""
        return bisect_right(self.sequences, sequence)

    def replica(self, place: int) -> Replica:
        """How it stood after so many of the records. It is the caller's own."""
        if place < self._places[0]:
            self.base  # noqa: B018
        i = bisect_right(self._places, place) - 1
        start = self._places[i]
        replica = self._frames[i].copy()
        while start < place:
            end = min(place, start + EVERY)
            replica.apply_all(self.records[start:end])
            if end == start + EVERY:
                i += 1
                self._places.insert(i, end)
                self._frames.insert(i, replica.copy())
            start = end
        return replica

    def state_after(self, record: Record) -> Any:
        """The state after one of `changes`."""
        if isinstance(record, Outcome | Baseline):
            return record.state
        return self.replica(self.place(record.sequence)).state

    def next_outcome(self, sequence: int) -> Outcome[Any] | None:
        """The first outcome after a sequence number of an activity that was started."""
        place = self.place(sequence)
        near = (each for each in self.records[place : place + NEAR] if isinstance(each, Outcome) and each.was_processed)
        found = next(near, None)
        if found is not None or place + NEAR >= len(self.records):
            return found
        i = bisect_right(self.outcomes, sequence, key=sequence_of)
        return self.outcomes[i] if i < len(self.outcomes) else None

    def last_outcome(self, sequence: int) -> Outcome[Any] | None:
        """The last outcome up to a sequence number of an activity that was started."""
        i = bisect_right(self.outcomes, sequence, key=sequence_of)
        return self.outcomes[i - 1] if i else None

    def has_begun(self, activity: Activity[Any], sequence: int) -> bool:
        """Whether a record up to a sequence number is one that only the running activity can have made."""
        first = bisect_right(self.sequences, activity.id)
        for record in self.records[first : self.place(sequence)]:
            detail = record.detail if isinstance(record, Event) else None
            if isinstance(detail, dict) and detail.get("activity") == activity.id and record.kind in OF_RUNNING:
                return True
        return False

    def spans(self, activity: int, sequence: int, time: float) -> tuple[str, ...]:
        """The steps that an activity was in, as far as they have ended since."""
        i = bisect_right(self.steps, sequence, key=sequence_of)
        found: list[tuple[int, float, str]] = []
        for step in self.steps[i:]:
            if step.detail["activity"] != activity:
                break
            if step.detail["started"] <= time:
                found.append((step.detail["depth"], step.detail["started"], step.detail["name"]))
        # Of steps at the same depth, in several tasks, the one that began last; the inner ones of another are left out.
        path: dict[int, str] = {depth: name for depth, _, name in sorted(found)}
        return tuple(path[depth] for depth in sorted(path))


CHANGES_STATE = ("restarted", "state_edited", "state_stored")
OF_RUNNING = {"step", "effect", "log", "metric", "retry", "background"}
