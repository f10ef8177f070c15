"""The records of the rows of a journal, with what only a history needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ..activity import Activity, Lane
from ..errors import ConfigurationError
from ..events import Baseline, Event, Record
from ..feed.stored_records import UNKNOWN, StoredRecords, stored_error
from ..journal.codec import Codec
from ..journal.rows import AcceptedRow, CommitRow, EffectRow, FieldsRow, RemovedRow, Row, RuntimeRow, make_activity
from ..limits import Limits
from ..metrics import Fates
from .chronicle import Chronicle, Cut
from .replica import Replica
from .track import Track

__all__ = ["ErrorRow", "HistoryRecords", "StoredChronicle", "WaitingRow"]

SINCE_1970 = 1e9
NOT_STORED = frozenset({"step", "log", "metric", "refused", "now", "arguments"})


class ErrorRow(NamedTuple):
    """The last failure of a runtime before the rows that are read, and whether nothing was done since."""

    runtime: str
    row: CommitRow
    in_error: bool


class WaitingRow(NamedTuple):
    """An activity that waited before the rows that are read, as it was stored first, and its failed attempts."""

    runtime: str
    row: AcceptedRow
    retries: list[CommitRow]


class HistoryRecords(StoredRecords):
    """The records of rows, with what only a history needs. `numbers` has the position of the row of each."""

    def __init__(self, codec: Codec, rows: Iterable[tuple[int, Row | ErrorRow | WaitingRow]], now: float = 0.0) -> None:
        self.numbers: list[int] = []
        self._new: RuntimeRow | None = None  # a runtime that begins, and whose state comes in the next row
        self._begun: set[str] = set()  # the runtimes of which it is known how they stand,
        self._stateless: set[str] = set()  # but for the state of these
        self._rows: dict[str, dict[int, AcceptedRow]] = defaultdict(dict)  # what waits, by runtime
        self._top: dict[tuple[str, bool], float] = {}  # the highest rank that there was in each lane
        self._delayed: set[int] = set()
        self._place = 0
        self._limits: dict[str, Limits] = {}
        self.last_time = now  # that any row has
        super().__init__(codec, self._leave_out_letters(rows), 0)
        self._begin(self._place)
        self.numbers += [self._place] * (len(self.records) - len(self.numbers))

    def _add(self, sequence: int, row: Row | ErrorRow | WaitingRow) -> None:
        self._place = sequence
        self._now = self.last_time
        if isinstance(row, ErrorRow):
            self._add_error(row)
            return
        if isinstance(row, WaitingRow):
            self._add_waiting(sequence, row.row)
            for retry in row.retries:
                self._count_attempts(retry)
            return
        self._go_to(row)
        is_state = isinstance(row, FieldsRow) or (isinstance(row, RuntimeRow) and row.state is not None and not row.new)
        is_rest = is_state and not (isinstance(row, RuntimeRow) and row.begins)
        if self._new is not None and not (is_rest and row.runtime == self._new.runtime):
            self._begin(sequence)
        super()._add(sequence, row)
        if isinstance(row, RemovedRow):
            self._begun.discard(row.runtime)
            self._rows.pop(row.runtime, None)
        begins = is_state and self._begin(sequence)
        if isinstance(row, EffectRow):
            value = self._codec.decode(row.value, "the effect")
            detail = {"activity": row.activity, "name": row.name, "value": value, "args": msgspec.UNSET}
            self._note(sequence, row.runtime, "effect", detail)
        elif is_state and not begins and (row.runtime in self._stateless or getattr(row, "counts", 0) is None):
            self._note(sequence, row.runtime, "state_stored", {"to": self._states[row.runtime]})
        self.numbers += [sequence] * (len(self.records) - len(self.numbers))

    def _add_error(self, row: ErrorRow) -> None:
        failure = row.row
        self._begin(self._place)
        error = stored_error(failure.fate or "failed", failure.error, row.runtime, failure.activity)
        detail = {"error": error, "at": failure.at, "in_error": row.in_error}
        self._note(self._place, row.runtime, "error_stored", detail)
        self.numbers += [self._place] * (len(self.records) - len(self.numbers))

    def _add_waiting(self, sequence: int, row: AcceptedRow) -> None:
        self._begin(sequence)
        self._accepted[row.activity] = row
        self._place_row(row)
        self.numbers.append(sequence)

    def _note(self, sequence: int, runtime: str, kind: str, detail: Any = None) -> None:
        self.records.append(Event(sequence, runtime, self._now, kind, None, detail))

    def _go_to(self, row: Any) -> None:
        """Go on to the time of a row, if it has one."""
        self.last_time = max(self.last_time, getattr(row, "at", 0.0), getattr(row, "created", 0.0) or 0.0)
        self._now = self.last_time

    def _leave_out_letters(self, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Leave out dead letters that were written again: of their two rows, the first one says that it waits."""
        held: tuple[int, Any] | None = None
        for each in rows:
            row = each[1]
            if held is not None:
                before, held = held, None
                if isinstance(row, CommitRow) and row.again and row.fate and row.activity == before[1].activity:
                    self._go_to(before[1])
                    self._go_to(row)
                    continue
                yield before
            if isinstance(row, AcceptedRow) and row.again:
                held = each
            else:
                yield each
        if held is not None:
            yield held

    def _begin(self, sequence: int) -> bool:
        """Record a runtime that begins, now that its state is known; whether there was one."""
        row, self._new = self._new, None
        if row is None:
            return False
        self._begun.add(row.runtime)
        kind, waiting = ("created", ()) if row.new else ("continued", self._lists(row.runtime))
        state = self._states.get(row.runtime, UNKNOWN)
        limits = self._limits.get(row.runtime, Limits())
        counts = () if row.counts is None else _counts_of(row.counts)
        name = f"code {row.workflow}" if row.workflow else ""
        at = row.created or self._now
        failed = row.supervision is not None and _has_failed(self._codec, row.supervision)
        how = None, state, state, limits, waiting, counts, bool(row.paused), failed
        self.records.append(Baseline(sequence, row.runtime, at, kind, None, name, *how))
        self._stateless.discard(row.runtime)
        if state is UNKNOWN:
            self._stateless.add(row.runtime)
        return True

    def _lists(self, runtime: str) -> tuple[Sequence[Activity[Any]], ...]:
        """What waits: in the priority lane, in the standard lane, not yet due."""
        lists: tuple[list[Activity[Any]], ...] = ([], [], [])
        for row in sorted(self._rows[runtime].values(), key=_rank):
            place = 2 if row.activity in self._delayed else 0 if row.lane else 1
            lists[place].append(make_activity(self._codec, row))
        return lists if any(lists) else ()

    def _add_settings(self, sequence: int, row: RuntimeRow) -> None:
        self._now = max(self._now, row.created or 0.0)
        if row.limits is not None:
            self._use_limits(sequence, row)
        if row.state is not None:
            self._states[row.runtime] = self._codec.decode(row.state, "the state")
        if row.begins and (row.new or row.runtime not in self._begun):
            self._new = row
        elif row.begins:  # where a row was let go and a later one of its activity stays, that one was counted twice
            self._note(sequence, row.runtime, "counts_stored", {"counts": _counts_of(row.counts or {})})
        elif row.paused is not None:
            self._note(sequence, row.runtime, "paused" if row.paused else "resumed")

    def _use_limits(self, sequence: int, row: RuntimeRow) -> None:
        stored = self._codec.decode(row.limits or b"", "the limits")
        old, new = self._limits.get(row.runtime, Limits()), _limits_from(stored)
        self._limits[row.runtime] = new
        for name in new.__struct_fields__ if row.runtime in self._begun and not row.new else ():
            if getattr(old, name) != getattr(new, name):
                detail = {"name": name, "from": getattr(old, name), "to": getattr(new, name)}
                self._note(sequence, row.runtime, "limit", detail)

    # ---- what waits

    def _add_activity(self, row: AcceptedRow) -> None:
        known = self._rows[row.runtime].get(row.activity)
        count = len(self.records)
        super()._add_activity(row)
        if known is not None:
            self._change(known, row)
            self._keep_row(row)
        elif row.again and count == len(self.records):
            self._place_row(row)
        else:
            self._delay(row)
            self._keep_row(row)
            if row.rank is not None:  # it was moved; its first row was let go
                self._note_move(row)

    def _place_row(self, row: AcceptedRow) -> None:
        """Record an activity that waited before the rows that are read, or before those that were let go."""
        self._delay(row)
        # Behind it is what has a higher rank: most often nothing, and that is not looked for.
        before = self._follower(row) if _rank(row) < self._top.get((row.runtime, row.lane), 0) else None
        waiting = make_activity(self._codec, row)
        detail = {"waiting": waiting, "delayed": row.activity in self._delayed, "before": before}
        self._note(self._place, row.runtime, "placed", detail)
        self._keep_row(row)

    def _delay(self, row: AcceptedRow) -> None:
        """Remember an activity that is not due yet: once it is, it has a rank."""
        if row.not_before is not None and row.not_before > row.created and row.rank is None:
            self._delayed.add(row.activity)

    def _keep_row(self, row: AcceptedRow) -> None:
        self._rows[row.runtime][row.activity] = row
        lane = row.runtime, row.lane
        self._top[lane] = max(self._top.get(lane, 0), _rank(row))

    def _change(self, was: AcceptedRow, row: AcceptedRow) -> None:
        """An activity that waits was stored again: it is due, was moved, or has another payload."""
        id = row.activity
        if was.payload != row.payload:
            value = self._codec.decode(row.payload, "the payload")
            self._note(self._place, row.runtime, "edited", {"activity": id, "to": value})
        if id in self._delayed and row.lane == was.lane and row.rank is not None:
            self._delayed.discard(id)
            self._note(self._place, row.runtime, "due", {"activity": id})
        elif row.lane != was.lane or row.rank != was.rank:
            self._note_move(row)

    def _note_move(self, row: AcceptedRow) -> None:
        lane = Lane.PRIORITY if row.lane else Lane.STANDARD
        detail = {"activity": row.activity, "lane": lane.value, "before": self._follower(row)}
        self._note(self._place, row.runtime, "moved", detail)

    def _follower(self, row: AcceptedRow) -> int | None:
        """What waits right behind an activity."""
        rank = _rank(row)
        behind = [
            each for each in self._rows[row.runtime].values()
            if each.lane == row.lane and each.activity not in self._delayed
            and each.activity != row.activity and _rank(each) > rank
        ]  # fmt: skip
        return min(behind, key=_rank).activity if behind else None

    def _add_commit(self, sequence: int, row: CommitRow) -> None:
        super()._add_commit(sequence, row)
        if row.state is not None:
            self._stateless.discard(row.runtime)
        if row.fate is not None:
            self._rows[row.runtime].pop(row.activity, None)
            self._delayed.discard(row.activity)


def _has_failed(codec: Codec, supervision: bytes) -> bool:
    """Whether a supervisor has stopped it."""
    stored = codec.decode_plain(supervision, "the supervision")
    return isinstance(stored, Mapping) and bool(stored.get("failed"))


def _rank(row: AcceptedRow) -> float:
    return row.activity if row.rank is None else row.rank


def _counts_of(stored: Mapping[str, int]) -> tuple[int, ...]:
    """Counts in the order of a baseline. By lane they are not stored."""
    fates = (stored.get(name, 0) for name in ("done", "failed", "timed_out", "dropped", "terminated", "dead"))
    return (0, stored.get("accepted", 0), *fates)


def _limits_from(stored: Any) -> Limits:
    limits = Limits()
    values = (stored.get("now") or stored) if isinstance(stored, Mapping) else {}
    for name, value in values.items():
        with suppress(ConfigurationError, TypeError):
            limits = limits.with_(name, value)
    return limits


class StoredChronicle(Chronicle):
    """The records of a file by the positions of its rows: sequence numbers are stored of activities only."""

    def __init__(self, records: list[Record], numbers: list[int], before: int) -> None:
        self._activities: dict[int, Activity[Any]] = {}
        super().__init__(NothingNew(), _refuse_cut)
        self.let_go = before
        for record, number in zip(records, numbers, strict=True):
            track = self.tracks.get(record.runtime)
            if track is None:
                track = self.tracks[record.runtime] = Track(Replica(record.runtime))
            track.add(record, number)
            if isinstance(record, Activity):
                self._activities[record.id] = record
        self.records, self.sequences = records, numbers
        self.retired = Fates()

    def pull(self) -> None:
        """Nothing: a file stays as it is."""

    def latest(self, count: int) -> StoredChronicle:
        """The records of the last rows: so many, or more."""
        return self

    def activity(self, id: int) -> Activity[Any] | None:
        """An activity by its number."""
        return self._activities.get(id)


class NothingNew:
    """A ring in which nothing happens."""

    let_go = 0

    def since(self, cursor: int, until: int | None = None) -> tuple[list[Any], int, int]:
        """Nothing."""
        return [], 0, 0


def _refuse_cut() -> Cut:
    raise AssertionError("a file is read once")
