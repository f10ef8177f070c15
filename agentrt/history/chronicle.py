"""What is still recorded, in order and by runtime: what moments and histories are read from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import attrgetter
from threading import RLock
from typing import Any, NamedTuple, Protocol

from ..activity import Activity
from ..events import Record
from ..metrics import Fates
from .replica import Replica
from .track import Track

__all__ = ["Chronicle", "Cut", "RecordSource"]

sequence_of, time_of, runtime_of = attrgetter("sequence"), attrgetter("at"), attrgetter("runtime")
LEAST = 1_000  # records that the ring has let go before they are let go here, and a quarter of what is kept
SHARE = 4


class RecordSource(Protocol):
    """Where the records come from: a ring, as far as it is read here."""

    @property
    def let_go(self) -> int:
        """How many records were dropped."""

    def since(self, cursor: int, until: int | None = None) -> tuple[list[Any], int, int]:
        """The records from a cursor on, the cursor to use next, and how many are missing in between."""


class Cut(NamedTuple):
    """The records of a ring, and how the runtimes stand after them."""

    records: list[Any]
    cursor: int
    let_go: int
    replicas: list[Replica]
    fates: Fates


class Chronicle:
    """The records of a ring, in the order of their sequence numbers, and by runtime. Any thread.

    Nothing is done before somebody asks: `pull` takes over what is new. What the ring has let go is let go here too.

    Args:
        ring: Where the records come from.
        cut: Reads all of the ring, and how all runtimes stand then. Called where records were let go unread.
    """

    def __init__(self, ring: RecordSource, cut: Callable[[], Cut]) -> None:
        self._ring = ring
        self._cut = cut
        self._lock = RLock()
        self._begin(Cut([], 0, 0, [], Fates()))

    def _begin(self, cut: Cut) -> None:
        self.records: list[Record] = []
        self.sequences: list[int] = []
        self.let_go = cut.let_go  # how many records came before the first of these
        self._cursor = cut.cursor
        self.tracks = {each.id: Track() for each in cut.replicas}
        self._extend(cut.records)
        for replica in cut.replicas:
            self.tracks[replica.id].stand(replica)
        self.retired = Fates()  # of runtimes that have ended and of which no record is kept
        self.retired = _difference(cut.fates, self.fates(self.last))

    # ---- to keep up

    def pull(self) -> None:
        """Take over what is new."""
        with self._lock:
            new, cursor, missed = self._ring.since(self._cursor)
            if missed:
                self._begin(self._cut())
                return
            self._cursor = cursor
            self._extend(new)
            extra = self._ring.let_go - self.let_go
            if extra >= max(LEAST, len(self.records) // SHARE):
                self._forget(extra)

    def _extend(self, new: list[Record]) -> None:
        if not new:
            return
        sequences = list(map(sequence_of, new))
        ordered = sorted(sequences)
        if ordered != sequences:
            new, sequences = sorted(new, key=sequence_of), ordered
        place = bisect_right(self.sequences, ordered[0])
        late = place < len(self.sequences)  # numbers are taken on several threads
        self.records += new
        self.sequences += sequences
        if late:
            self.records[place:] = sorted(self.records[place:], key=sequence_of)
            self.sequences[place:] = sorted(self.sequences[place:])
        for id, records in _group_by_runtime(new).items():
            track = self.tracks.get(id)
            if track is None:
                track = self.tracks[id] = Track(Replica(id))
            track.extend(records, sequences if len(records) == len(new) else list(map(sequence_of, records)))

    def _forget(self, extra: int) -> None:
        first = self.sequences[extra] if extra < len(self.sequences) else self.last + 1
        del self.records[:extra], self.sequences[:extra]
        self.let_go += extra
        for id, track in tuple(self.tracks.items()):
            track.forget(first)
            if track.base.closed and not track.records:
                self.retired += track.base.fates + track.base.past
                del self.tracks[id]

    # ---- to read

    @property
    def first(self) -> int:
        """The sequence number of the first record that is kept; 0 if none is missing before it."""
        return self.sequences[0] if self.let_go and self.sequences else 0

    @property
    def last(self) -> int:
        """The sequence number of the last record; 0 if there is none."""
        return self.sequences[-1] if self.sequences else 0

    def around(self, sequence: int) -> Chronicle:
        """The records that a moment is read from."""
        return self

    def whole(self) -> Chronicle:
        """All records."""
        return self

    def at(self, time: float) -> int:
        """The sequence number of the last record up to a time."""
        place = bisect_right(self.records, time, key=time_of)
        return self.sequences[place - 1] if place else 0

    def record(self, sequence: int) -> Record | None:
        """The last record up to a sequence number."""
        place = bisect_right(self.sequences, sequence)
        return self.records[place - 1] if place else None

    def find(self, sequence: int) -> Record | None:
        """The record of exactly this sequence number."""
        place = bisect_left(self.sequences, sequence)
        return self.records[place] if place < len(self.sequences) and self.sequences[place] == sequence else None

    def activity(self, id: int) -> Activity[Any] | None:
        """An activity by its number, if the record of it is kept."""
        found = self.find(id)
        return found if isinstance(found, Activity) else None

    def until(self, sequence: int) -> list[Record]:
        """The records up to a sequence number."""
        return self.records[: bisect_right(self.sequences, sequence)]

    def replica(self, id: str, sequence: int) -> Replica | None:
        """How a runtime stood; None if it was not made yet."""
        with self._lock:
            track = self.tracks.get(id)
            replica = None if track is None else track.replica(track.place(sequence))
            return None if replica is None or replica.born is None else replica

    def fates(self, sequence: int) -> Fates:
        """The counts of all runtimes."""
        replicas = (self.replica(id, sequence) for id in tuple(self.tracks))
        return sum((each.fates + each.past for each in replicas if each is not None), self.retired)


def _group_by_runtime(records: list[Record]) -> dict[str, list[Record]]:
    ids = dict.fromkeys(map(runtime_of, records))
    if len(ids) == 1:
        return dict.fromkeys(ids, records)
    found: dict[str, list[Record]] = {id: [] for id in ids}
    for record in records:
        found[record.runtime].append(record)
    return found


def _difference(one: Fates, other: Fates) -> Fates:
    return Fates(*(getattr(one, name) - getattr(other, name) for name in Fates.__struct_fields__))
