"""The records of a large journal file: read a segment at a time, from how the runtimes stood before it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from threading import RLock
from typing import Any

import msgspec

from ..journal.log_copy import LogCopy
from ..journal.rows import FieldsRow, Row, RuntimeRow
from .file_index import FileIndex, PlacesBefore
from .row_records import ErrorRow, HistoryRecords, StoredChronicle, WaitingRow

__all__ = ["SegmentedChronicle"]

KEPT = 8  # segments in memory


class SegmentedChronicle(StoredChronicle):
    """The records of a file, of which only some segments are in memory. The sequence numbers are positions.

    Args:
        log: The file. It stays open.
        every: Rows of a segment.
        progress: Called with how many rows are read, now and then.
    """

    def __init__(self, log: LogCopy, every: int, progress: Callable[[int], object] | None = None) -> None:
        self._first, self._last = 0, 0
        super().__init__([], [], 0)
        self._log = log
        self._lock = RLock()
        self._segments: OrderedDict[int, StoredChronicle] = OrderedDict()
        self._whole: StoredChronicle | None = None
        self._index = index = FileIndex(log, every, progress)
        self._starts = index.starts
        if index.count:
            self._first, self._last = index.first, index.first + index.count - 1

    @property
    def last_time(self) -> float:
        """The latest time that any row has."""
        return self._index.now

    # ---- to read

    @property
    def first(self) -> int:
        """The position of the first row, if others were let go."""
        return self._first if self._first > 1 else 0

    @property
    def last(self) -> int:
        """The position of the last row."""
        return self._last

    def at(self, time: float) -> int:
        """The position of the last row up to a time."""
        place = max(0, bisect_right(self._index.times, time) - 1)
        return self._segment(place).at(time) or (self._starts[place] - 1 if place else 0)

    def around(self, sequence: int) -> StoredChronicle:
        """The segment of a row."""
        return self._segment(max(0, bisect_right(self._starts, sequence) - 1))

    def record(self, sequence: int) -> Any:
        """The last record up to a row."""
        place = bisect_right(self._starts, sequence) - 1
        for each in range(place, -1, -1):
            segment = self._segment(each)
            # What stands for the rows before is no record of its own.
            if bisect_right(segment.sequences, sequence) > bisect_left(segment.sequences, self._starts[each]):
                return segment.record(sequence)
        return None

    def latest(self, count: int) -> StoredChronicle:
        """The records of the last rows: so many, and those before them in their segment."""
        place = bisect_right(self._starts, max(self._last - count + 1, self._first)) - 1
        return self._load(place, self._last + 1)

    def whole(self) -> StoredChronicle:
        """All records at once: what a replay goes through."""
        with self._lock:
            if self._whole is None:
                found = HistoryRecords(self._log.codec, self._log.rows())
                self._whole = StoredChronicle(found.records, found.numbers, 0)
            return self._whole

    def _segment(self, place: int) -> StoredChronicle:
        with self._lock:
            found = self._segments.get(place)
            if found is None:
                found = self._segments[place] = self._load(place)
                while len(self._segments) > KEPT:
                    self._segments.popitem(last=False)
            self._segments.move_to_end(place)
            return found

    def _load(self, place: int, end: int | None = None) -> StoredChronicle:
        """Read a segment, or from its first row to another row."""
        if not self._starts:
            return StoredChronicle([], [], 0)
        start = self._starts[place]
        if end is None:
            end = self._starts[place + 1] if place + 1 < len(self._starts) else self._last + 1
        rows: list[tuple[int, Any]] = [(start - 1, row) for row in self._rows_before(start)]
        rows += self._log.rows(start, end)
        found = HistoryRecords(self._log.codec, rows, self._index.times[place])
        return StoredChronicle(found.records, found.numbers, start - 1)

    def _rows_before(self, start: int) -> Iterator[Row | ErrorRow | WaitingRow]:
        """Rows that stand for all that were before a segment."""
        places = [each for each in self._index.before(start) if _is_known(each)]
        wanted = sorted({position for each in places for position in _positions(each)})
        rows: dict[int, Any] = dict(zip(wanted, self._log.fetch(wanted), strict=True))
        for place in places:
            yield from _settings_rows(place, rows)
            first = {each[0] for each in place.waiting}
            for position in sorted(position for each in place.waiting for position in each):
                if position in first:
                    yield WaitingRow(place.id, rows[position], [rows[each] for each in place.retries.get(position, ())])
                else:
                    yield rows[position]
            if place.error is not None:
                yield ErrorRow(place.id, rows[place.error[0]], place.error[1])


def _is_known(place: PlacesBefore) -> bool:
    """Whether there is anything to say of a runtime."""
    settings = place.settings
    return bool(settings.created is not None or place.waiting or settings.state is not None or settings.fields)


def _positions(place: PlacesBefore) -> Iterator[int]:
    """Of the rows that are needed of a runtime."""
    settings = place.settings
    yield from (position for each in place.waiting for position in each)
    yield from (position for each in place.retries.values() for position in each)
    yield from (position for position, _ in settings.fields.values())
    alone = (settings.state, place.supervision, None if place.error is None else place.error[0])
    yield from (position for position in alone if position is not None)


def _settings_rows(place: PlacesBefore, rows: Mapping[int, Any]) -> Iterator[Row]:
    settings = place.settings
    if place.supervision is not None:
        settings.supervision = rows[place.supervision].supervision
    if settings.created is not None:  # else it is in the rows to come that it goes on
        yield msgspec.structs.replace(settings.settings(place.id, None, {}), order=None)
    if settings.state is not None:
        yield RuntimeRow(place.id, state=rows[settings.state].state)
    elif settings.fields:  # of a large state, in several rows
        values = {name: rows[position].values[name] for name, (position, _) in settings.fields.items()}
        yield FieldsRow(place.id, settings.head, values, [], True)
