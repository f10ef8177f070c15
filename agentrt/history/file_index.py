"""How all runtimes of a large journal file stood before any of its rows: found from columns, in one quick pass."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..journal.index import Index, RuntimePlaces
from ..journal.log_copy import LogCopy
from ..journal.rows import AcceptedRow, CommitRow, FieldsRow, RemovedRow, Row, RuntimeRow
from .row_columns import ACCEPTED, AGAIN, COMMIT, FATES, OTHER, STATE, SUPERVISED, Array, read_columns

__all__ = ["FileIndex", "PlacesBefore"]

CHUNK = 20_000  # rows that are read at once
LONGEST = 512  # bytes of a row that is not read alone
BLOCK, MOST_CELLS = 1 << 14, 1 << 21  # rows from one total to the next, and totals of one kind
NEVER = 2**31 - 1  # a row that there is not
WIDTH = 8  # kinds of rows that are counted
DONE, FAILED, TIMED_OUT = COMMIT + 1, COMMIT + 2, COMMIT + 3


class PlacesBefore(NamedTuple):
    """How one runtime stood before a row: where the rest of it is to be found.

    Attributes:
        settings: Its settings, its counts, and the places of its state and its fields.
        waiting: The positions of what waited: of each activity all of its rows, the first one first.
        retries: The positions of the failed attempts of what waited, by that of its first row.
        supervision: The position of the row that has the supervision, if it is not among the settings.
        error: The position of the last failure, and whether nothing was done since.
    """

    id: str
    settings: RuntimePlaces
    waiting: list[list[int]]
    retries: dict[int, list[int]]
    supervision: int | None
    error: tuple[int, bool] | None


class SettingsFrames:
    """The settings of one runtime after each row that is read alone."""

    __slots__ = ("counted", "fields", "last", "places", "positions", "removed", "renewed", "stood", "supervised")

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.stood: list[tuple[Any, ...]] = []
        self.removed = self.renewed = self.counted = self.fields = self.supervised = 0
        self.places: RuntimePlaces | None = None

    def note(self, position: int, row: Row, places: RuntimePlaces | None) -> None:
        """Keep how it stands after this row, and where it was last removed, renewed, counted and so on."""
        if isinstance(row, RemovedRow):
            self.removed = self.renewed = self.counted = position
        elif isinstance(row, FieldsRow):
            self.fields = position
        elif isinstance(row, RuntimeRow):
            self.renewed = position if row.new else self.renewed
            self.counted = position if row.counts is not None else self.counted
            self.supervised = position if row.supervision is not None else self.supervised
        self.places = places

    def keep(self, position: int) -> None:
        """Remember how it stands before this row."""
        places = None if self.places is None else self.places.copy()
        self.positions.append(position)
        self.stood.append((places, self.removed, self.renewed, self.counted, self.fields, self.supervised))

    def at(self, position: int) -> tuple[Any, ...] | None:
        """How it stood before a row that is the first of a segment."""
        place = bisect_right(self.positions, position) - 1
        return None if place < 0 else self.stood[place]


class Totals(NamedTuple):
    """Of each runtime, up to a row: how often what happened, and the positions of what happened last."""

    counts: Array
    state: Array
    supervised: Array
    failed: Array
    done: Array

    def copy(self) -> Totals:
        return Totals(*(each.copy() for each in self))


class FileIndex:
    """How all runtimes stood before the first row of any segment.

    Args:
        log: The file.
        every: Rows of a segment.
        progress: Called with how many rows are read, now and then.

    Raises:
        JournalError: A row is missing.
    """

    def __init__(self, log: LogCopy, every: int, progress: Callable[[int], object] | None = None) -> None:
        before, count = log.extent
        self.first, self.count, self.every = before + 1, count, every
        self.starts: list[int] = []  # the positions of the first rows of the segments
        self.times: list[float] = []  # the latest time before each segment
        self.now = 0.0
        self._log = log
        self._begun = -1  # the position of the last row that a runtime begins with
        self._names: dict[str, int] = {}
        self._ids: list[str] = []  # by their numbers
        self._order: list[int] = []  # of the numbers: that of the first rows
        self._settings: dict[str, SettingsFrames] = {}
        self._touched: set[str] = set()
        self._index = Index()
        self._kind = np.zeros(count, np.uint8)
        self._runtime = np.zeros(count, np.int32)
        self._events: list[tuple[Array, Array]] = []
        self._attempts: list[tuple[Array, Array]] = []  # that failed and were followed by another
        self._retries: dict[int, list[int]] = {}  # their rows, by the row that the activity has before
        self._rows_before: dict[int, int] = {}  # of an activity that is there again: the row before
        for start in range(0, count, CHUNK):
            end = min(start + CHUNK, count)
            self._read(start, end)
            if progress is not None:
                progress(end)
        self._join()
        self._add_up()

    # ---- to read

    def _read(self, start: int, end: int) -> None:
        joined = self._log.join(self.first + start, self.first + end, LONGEST)
        found = read_columns(*joined, LONGEST)
        numbers = [self._number(name.decode("utf-8", "surrogatepass")) for name in found.ids]
        here, known = slice(start, end), len(self._order)
        self._kind[here] = found.kind
        self._runtime[here] = np.array([*numbers, 0], np.int32)[found.runtime]
        activity, time = found.activity, found.time
        ends = found.kind & ~np.uint8(STATE | SUPERVISED | AGAIN)
        alone = self._read_alone(start, found.odd, activity, time, ends)
        if len(self._ids) > known:
            new, first = np.unique(self._runtime[here], return_index=True)
            self._order += [int(n) for n in new[np.argsort(first)] if n >= known]
        self._keep(start, end, time, alone)
        events = np.flatnonzero(ends)
        self._events.append(((events + start).astype(np.int32), activity[events]))
        attempts = np.flatnonzero((ends == OTHER) & (activity > 0))
        self._attempts.append(((attempts + start).astype(np.int32), activity[attempts]))

    def _read_alone(self, start: int, odd: Array, activity: Array, time: Array, ends: Array) -> list[tuple[int, Row]]:
        """Read the other rows; those of activities into the columns."""
        found: list[tuple[int, Row]] = []
        places = [int(each) for each in odd]
        for n, row in zip(places, self._log.fetch(self.first + start + n for n in places), strict=True):
            self._runtime[start + n] = self._number(row.runtime)
            if isinstance(row, AcceptedRow):
                ends[n], activity[n], time[n] = ACCEPTED, row.activity, row.created
                self._kind[start + n] = ACCEPTED | (AGAIN if row.again else 0)
            elif isinstance(row, CommitRow):
                ends[n] = OTHER if row.fate is None else COMMIT + 1 + FATES.index(row.fate)
                activity[n], time[n] = row.activity, row.at
                flags = (STATE if row.state is not None else 0) | (SUPERVISED if row.supervision is not None else 0)
                self._kind[start + n] = int(ends[n]) | flags | (AGAIN if row.again else 0)
            elif isinstance(row, RuntimeRow | FieldsRow | RemovedRow):
                time[n] = (row.created or 0.0) if isinstance(row, RuntimeRow) else 0.0
                found.append((start + n, row))
        return found

    def _number(self, id: str) -> int:
        number = self._names.setdefault(id, len(self._ids))
        if number == len(self._ids):
            self._ids.append(id)
        return number

    def _keep(self, start: int, end: int, time: Array, alone: list[tuple[int, Row]]) -> None:
        """Apply the settings, and keep how they stand at the beginning of each segment."""
        latest = np.maximum.accumulate(np.maximum(time, self.now))
        rows = iter([*alone, (end, None)])
        n, row = next(rows)
        for begin in [*range(-(-start // self.every) * self.every, end, self.every), end]:
            while row is not None and n < begin:
                self._apply(self.first + n, row)
                n, row = next(rows)
            if begin < end and not (begin and self._continues(begin)):
                self.starts.append(self.first + begin)
                self.times.append(float(latest[begin - start - 1]) if begin > start else self.now)
                self._keep_frames(self.first + begin)
        self.now = float(latest[-1])

    def _continues(self, row: int) -> bool:
        """Whether a row makes one record with the row before it, or none."""
        if self._begun == self.first + row - 1:  # the state of a runtime that begins
            return True
        kind = int(self._kind[row])
        return bool(kind & AGAIN) and kind & (WIDTH - 1) > COMMIT  # the end of a dead letter that was written again

    def _apply(self, position: int, row: Row) -> None:
        self._index.apply(position, row)
        if isinstance(row, RuntimeRow) and row.begins:
            self._begun = position
        self._touched.add(row.runtime)
        self._settings.setdefault(row.runtime, SettingsFrames()).note(
            position, row, self._index.runtimes.get(row.runtime)
        )

    def _keep_frames(self, position: int) -> None:
        for id in self._touched:
            self._settings[id].keep(position)
        self._touched.clear()

    # ---- to find what belongs together

    def _join(self) -> None:
        """Find the row that ends the waiting of each activity, and what is there twice."""
        places, activities = _concatenate(self._events)
        rows, attempts = _concatenate(self._attempts)
        self._events, self._attempts = [], []
        self._ends: Array = np.zeros(self.count, np.int32)  # 0 where nothing begins to wait
        if not len(places):
            return
        attempts -= activities.min()
        activities -= activities.min()
        if activities.max() < 1 << 32:
            activities = activities.astype(np.uint32)
        order = np.argsort(activities, kind="stable")
        places, activities = places[order], activities[order]
        del order
        if len(rows):
            self._find_retries(places, activities, rows, attempts)
        same = activities[1:] == activities[:-1]
        del activities
        following = np.full(len(places), NEVER, np.int32)
        following[:-1][same] = places[1:][same]
        kind = self._kind[places] & (WIDTH - 1)
        waits = kind == ACCEPTED
        self._ends[places[waits]] = following[waits]
        stays = np.flatnonzero(same & waits[:-1] & waits[1:]) + 1  # it waits already: moved, edited or due
        self._kind[places[stays]] |= AGAIN
        self._rows_before = dict(zip(places[stays].tolist(), places[stays - 1].tolist(), strict=True))
        twice = np.flatnonzero(same & ~waits[:-1] & ~waits[1:]) + 1
        for n in twice:
            self._drop_second(int(places[n - 1]), int(places[n]))

    def _find_retries(self, places: Array, activities: Array, rows: Array, attempts: Array) -> None:
        """Find which row each failed attempt belongs to: the last one of its activity before it."""
        unique, ranks = np.unique(activities, return_inverse=True)
        found = np.searchsorted(unique, attempts)
        keys = (ranks.astype(np.int64) << 32) | places
        before = np.searchsorted(keys, (found << 32) | rows) - 1
        known = (before >= 0) & (activities[before].astype(np.int64) == attempts)
        for place, row in zip(places[before[known]].tolist(), rows[known].tolist(), strict=True):
            self._retries.setdefault(place, []).append(row)

    def _drop_second(self, first: int, second: int) -> None:
        """A commit that was handed over twice, as an exception had interrupted the first time, counts once."""
        if self._kind[second] & AGAIN or self._runtime[first] != self._runtime[second]:
            return
        between = slice(first + 1, second)
        kind = self._kind[between][self._runtime[between] == self._runtime[second]]
        if not ((kind & (WIDTH - 1)) > COMMIT).any():
            self._kind[second] = OTHER

    def _add_up(self) -> None:
        """Make the totals at the beginning of each block of rows."""
        runtimes = len(self._names)
        blocks = max(1, min(-(-self.count // BLOCK), MOST_CELLS // max(1, runtimes * WIDTH)))
        self._block = max(1, -(-self.count // blocks))
        totals = Totals(np.zeros((runtimes, WIDTH), np.int32), *(np.full(runtimes, -1, np.int32) for _ in range(4)))
        self._blocks = []
        for start in range(0, self.count, self._block):
            self._blocks.append(totals.copy())
            self._advance(totals, start, min(start + self._block, self.count))
        starts = np.arange(0, self.count, self._block)
        self._last_ends: Array = np.maximum.reduceat(self._ends, starts) if self.count else self._ends

    def _advance(self, totals: Totals, start: int, end: int) -> None:
        """Add rows to totals."""
        kind, runtime = self._kind[start:end], self._runtime[start:end]
        what = kind & (WIDTH - 1)
        counted = np.flatnonzero((what != OTHER) & (kind & AGAIN == 0))
        cells = runtime[counted].astype(np.int64) * WIDTH + what[counted]
        numbers, found = np.unique(cells, return_counts=True)
        totals.counts.reshape(-1)[numbers] += found.astype(np.int32)
        fresh = kind & AGAIN == 0
        for last, here in (
            (totals.state, kind & STATE != 0),
            (totals.supervised, kind & SUPERVISED != 0),
            (totals.failed, fresh & ((what == FAILED) | (what == TIMED_OUT))),
            (totals.done, fresh & (what == DONE)),
        ):
            rows = np.flatnonzero(here)
            last[runtime[rows]] = rows + start  # of several the last one stays

    # ---- to ask

    def _totals(self, row: int) -> Totals:
        block = min(row // self._block, len(self._blocks) - 1)
        found = self._blocks[block].copy()
        self._advance(found, block * self._block, row)
        return found

    def _counts(self, number: int, row: int) -> Array:
        """How often what had happened to one runtime before a row."""
        block = min(row // self._block, len(self._blocks) - 1)
        here = slice(block * self._block, row)
        kind = self._kind[here][self._runtime[here] == number]
        found = np.bincount(kind[kind & AGAIN == 0] & (WIDTH - 1), minlength=WIDTH)
        counts: Array = self._blocks[block].counts[number] + found
        return counts

    def _waiting(self, row: int) -> dict[int, list[int]]:
        """The positions of what waited before a row, by the number of the runtime."""
        found: dict[int, list[int]] = {}
        for block in np.flatnonzero(self._last_ends[: -(-row // self._block)] >= row):
            start = int(block) * self._block
            rows = np.flatnonzero(self._ends[start : min(start + self._block, row)] >= row) + start
            for number, each in zip(self._runtime[rows].tolist(), rows.tolist(), strict=True):
                found.setdefault(number, []).append(self.first + each)
        return found

    def before(self, position: int) -> list[PlacesBefore]:
        """How each runtime stood before the first row of a segment, in the order in which they came."""
        if not self.count:
            return []
        row = position - self.first
        totals, waiting = self._totals(row), self._waiting(row)
        return [self._place(n, position, totals, waiting.get(n, [])) for n in self._order]

    def _rows_of(self, position: int) -> list[int]:
        """The positions of all rows of an activity, of which this is the last one."""
        rows = [position - self.first]
        while (before := self._rows_before.get(rows[0])) is not None:
            rows.insert(0, before)
        return [self.first + row for row in rows]

    def _retries_of(self, waiting: list[list[int]], position: int) -> dict[int, list[int]]:
        """The positions before this one of the failed attempts of what waits."""
        found = {}
        for rows in waiting:
            retries = [self.first + n for row in rows for n in self._retries.get(row - self.first, ())]
            if retries := [each for each in retries if each < position]:
                found[rows[0]] = retries
        return found

    def _place(self, number: int, position: int, totals: Totals, waiting: list[int]) -> PlacesBefore:
        id = self._ids[number]
        settings = self._settings.get(id)
        stood = None if settings is None else settings.at(position)
        places, removed, renewed, counted, fields, supervised = stood or (RuntimePlaces(), 0, 0, 0, 0, 0)
        places = RuntimePlaces() if places is None else places.copy()
        state, supervision, failed, done = (int(each[number]) + self.first for each in totals[1:])
        if state > max(places.state or 0, fields, renewed) and totals.state[number] >= 0:
            places.state, places.fields = state, {}
        counts = totals.counts[number]
        if counted:
            counts = counts - self._counts(number, counted - self.first)
        for n, name in enumerate(("accepted", *FATES), ACCEPTED):
            places.counts[name] = places.counts.get(name, 0) + int(counts[n])
        stays = [self._rows_of(each) for each in waiting if each > removed]
        has_failed = totals.failed[number] >= 0 and failed > renewed
        return PlacesBefore(
            id,
            places,
            stays,
            self._retries_of(stays, position) if self._retries else {},
            supervision if totals.supervised[number] >= 0 and supervision > max(supervised, renewed) else None,
            (failed, done < failed) if has_failed else None,
        )


def _concatenate(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The first arrays one after the other, and the second ones."""
    empty = np.zeros(0, np.int32), np.zeros(0, np.int64)
    first, second = zip(empty, *parts, strict=True)
    return np.concatenate(first), np.concatenate(second)
