"""The recorded source: what a journal file holds, as it was last written. It can be looked at, and not steered."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import Any

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..errors import ConfigurationError
from ..journal.protocol import StoredRuntime, Unreadable
from ..journal.reader import JournalReader
from ..limits import Limits
from ..metrics import Fates, LaneMetrics, Metrics, Percentiles
from ..snapshot import Snapshot, Status
from .source import JournalStanding, Page, Settings, Standing
from .still import MOST_RECORDS, StillSource, StoredIds
from .stored_records import StoredRecords, last_failures, message_of

__all__ = ["RecordedSource"]

SINCE_1970 = 1e9  # a clock that reads more counts from then on: it was so late in 2001
ENDED = Unreadable("it has ended: nothing of it is stored but its dead letters")
LANES = {"priority": 0, "standard": 1, "delayed": 2}


class RecordedSource(StillSource):
    """The source of a journal file that no process holds. See `Source` for what each method does.

    It shows the file as it stood when it was last written: its clock stands still there, nothing in it changes, and
    every command is refused. When activities started is not stored. Of runtimes that have ended there is nothing but
    their dead letters. The clock of a manager with a journal counts the seconds since 1970; the dates of another clock
    are counted from when the file was last written.

    Args:
        path: The file: of a program that has ended, or a backup of one that runs. It is copied and stays as it is.
        name: What it is called; the name of the file if left out.

    Raises:
        JournalError: There is no such file, a process holds it, it is damaged, of a newer version, or no journal.

    >>> import tempfile, agentrt.journal as journals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with journals.SQLiteJournal(f"{folder}/agents.db") as journal:
    ...         journal.append(journals.Created(runtime="counter", state=5))
    ...     source = RecordedSource(f"{folder}/agents.db")
    >>> source.snapshot("counter").state
    5
    >>> source.close()
    """

    def __init__(self, path: str | os.PathLike[str], name: str = "") -> None:
        self._reader = reader = JournalReader(path)
        self.path = reader.path
        self.name = name or reader.path.name
        self.size = reader.size
        stored = reader.runtimes()
        self.runtimes = StoredIds(each.id for each in stored if not _has_ended(each))
        self.ended = StoredIds(each.id for each in stored if _has_ended(each))
        rows, before = reader.history(MOST_RECORDS)
        super().__init__(StoredRecords(reader.codec, rows, reader.last_activity).records, before)
        self._failures = last_failures(self._mirror.records)
        self._written = datetime.fromtimestamp(reader.written, UTC).astimezone()
        self._lists: tuple[str, tuple[list[int], list[int], list[int]]] | None = None  # of the runtime asked for last

    def __repr__(self) -> str:
        return f"<RecordedSource of {self.name!r}>"

    def close(self) -> None:
        """Remove the copy of the file. Safe to call again."""
        self.hub.close()
        self._reader.close()

    # ---- time

    def now(self) -> float:
        """The latest time that is stored."""
        return self._reader.last_time

    def wall(self, at: float) -> datetime:
        """The date and time of a reading: seconds since 1970, or counted from when the file was last written."""
        now = self.now()
        since = datetime.fromtimestamp(now, UTC).astimezone() if now > SINCE_1970 else self._written
        try:
            return since + timedelta(seconds=at - now)
        except OverflowError:
            return (datetime.max if at > now else datetime.min).replace(tzinfo=UTC)

    def standing(self) -> Standing:
        """It is of this file, and stays as it is."""
        written = f"{self._written:%Y-%m-%d at %H:%M:%S}"
        return Standing(recorded=f"the file {self.path.name} as it was last written, on {written}")

    # ---- how things are

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime was."""
        found = self._reader.find(id)
        return None if found is None else self._snapshot(found, metrics, whole=True)

    def _snapshot(self, stored: StoredRuntime, metrics: bool, whole: bool = False) -> Snapshot:
        """A snapshot; `whole` if with its state and its first activities."""
        limits, depth, counts = _limits_of(stored.limits), self._reader.depth(stored.id), Fates.of(stored.counts)
        failure, in_error = self._failures.get(stored.id, (None, False))
        capacity = (limits.priority_capacity, limits.standard_capacity)
        priority = self._reader.accepted_priority[stored.id]
        accepted = (priority, counts.accepted - priority)
        return Snapshot(
            id=stored.id,
            at=self.now(),
            status=_status_of(stored, in_error),
            state=(ENDED if _has_ended(stored) else self._reader.state(stored.id)) if whole else None,
            workflow=f"code {stored.workflow}" if stored.workflow else "",
            depth=depth,
            capacity=capacity,
            current=None,
            started=None,
            spans=(),
            error=None if failure is None else failure.error,
            error_at=None if failure is None else failure.finished,
            fates=counts,
            metrics=_metrics_of(counts, accepted, depth, capacity) if metrics else None,
            first=self._first(stored.id) if whole else (None, None),
        )

    def _first(self, id: str) -> tuple[Activity[Any] | None, Activity[Any] | None]:
        priority, standard, _ = self._waiting(id)
        ids = priority[:1] + standard[:1]
        found = {each.id: each for each in self._reader.activities(id, ids)}
        return found.get(next(iter(priority), 0)), found.get(next(iter(standard), 0))

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table, without states and activities."""
        found = map(self._reader.find, ids)
        return [self._snapshot(stored, metrics) for stored in found if stored is not None]

    def settings(self, id: str) -> Settings | None:
        """What was set of a runtime."""
        found = self._reader.find(id) if id in self.runtimes else None
        return None if found is None else Settings(found.paused, _limits_of(found.limits))

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """What waits in a runtime, in order."""
        if id not in self.runtimes:
            return Page()
        lists = self._waiting(id)
        ids = list(chain(*lists)) if lane is None else list(lists[LANES[lane]])
        if lane == "delayed":
            ids.sort(key=lambda each: self._reader.due(id, each) or 0.0)
        chosen = ids[start : None if count is None else start + count]
        return Page(tuple(self._reader.activities(id, chosen)), len(ids))

    def _waiting(self, id: str) -> tuple[list[int], list[int], list[int]]:
        """The ids of what waits in each lane, and of what is not due yet. A large mailbox takes long to sort."""
        last = self._lists
        if last is None or last[0] != id:
            self._lists = last = id, self._reader.lists(id)
        return last[1]

    @cached_property
    def _letters(self) -> tuple[DeadLetter, ...]:
        return tuple(DeadLetter(each.activity, message_of(each.reason), each.at) for each in self._reader.letters())

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Dead letters, oldest first."""
        return Page(self._letters[start : None if count is None else start + count], len(self._letters))

    def fates(self) -> Fates:
        """The counts of all runtimes, ended ones included."""
        return super().fates() + Fates.of(self._reader.retired)

    def ledger(self) -> Ledger:
        """What became of all dead letters."""
        here, closed = len(self._letters), self._reader.retired
        resent, discarded = closed.get("resent", 0), closed.get("discarded", 0)
        # An older file does not have the counts of runtimes that have ended.
        return Ledger(max(self.fates().dead, here + resent + discarded), here, resent, discarded)

    def journal(self, id: str = "") -> JournalStanding | None:
        """The file: all of it is stored."""
        return JournalStanding(self.path.name, self.size) if not id or id in self.runtimes else None


def _has_ended(stored: StoredRuntime) -> bool:
    """Whether nothing but its dead letters is left; an id that was never created has activities that wait."""
    return stored.created is None and not stored.waiting


def _status_of(stored: StoredRuntime, in_error: bool) -> Status:
    if _has_ended(stored):
        return Status.TERMINATED
    if isinstance(stored.supervision, Mapping) and stored.supervision.get("failed"):
        return Status.FAILED
    if stored.paused:
        return Status.PAUSED
    return Status.ERROR if in_error else Status.IDLE


def _limits_of(stored: Any) -> Limits:
    """The limits that are stored, as they were last; those that can't be read have their defaults."""
    if isinstance(stored, Limits):
        return stored
    limits = Limits()
    if isinstance(stored, Mapping):
        for name, value in (stored.get("now") or stored).items():
            with suppress(ConfigurationError, TypeError):
                limits = limits.with_(name, value)
    return limits


def _metrics_of(counts: Fates, accepted: tuple[int, int], depth: tuple[int, int], most: tuple[int, int]) -> Metrics:
    """Figures without times: a journal stores when an activity was accepted and ended, and not when it started."""
    lanes = [LaneMetrics(*lane, Percentiles(), Percentiles()) for lane in zip(depth, most, accepted, strict=True)]
    return Metrics(counts.done + counts.failed + counts.timed_out, counts.failed + counts.timed_out, *lanes)
