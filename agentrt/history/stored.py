"""What a journal file holds, to look back at: the same moments and replays as of a manager that runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from weakref import finalize

from ..errors import ConfigurationError
from ..journal.log_copy import LogCopy
from .origin import Running
from .progress import Progress
from .row_records import HistoryRecords, StoredChronicle
from .segments import SegmentedChronicle

__all__ = ["StoredHistory"]

SINCE_1970 = 1e9
NOT_STORED = frozenset({"step", "log", "metric", "refused", "now", "arguments"})
MOST_AT_ONCE = 50_000  # rows of a file that is kept in memory
SEGMENT = 500  # rows that are read for a moment of a larger one


class StoredHistory:
    """What moments and replays of a journal file are read from. All of a small one is read at once.

    Of a large one it is found in a quick pass where everything stands, and a moment reads some rows around it. What
    takes more than a second says on the terminal how far it is.

    Args:
        path: The file, which no process holds.
        modules: The modules that may be imported to find the classes of what is stored.
        every: Rows of a segment, of a file that is read in segments; 0 reads all of it at once. Without it, files of
            more than 50,000 rows are read in segments.

    Raises:
        JournalError: What `LogCopy` raises.
    """

    seed = None
    not_recorded = NOT_STORED

    def __init__(self, path: str | os.PathLike[str], modules: Iterable[str] = (), every: int | None = None) -> None:
        self._log = log = LogCopy(path, tuple(modules))
        self.name = log.path.name
        self._written = datetime.fromtimestamp(log.written, UTC).astimezone()
        before, count = log.extent
        if every is None:
            every = 0 if count <= MOST_AT_ONCE else SEGMENT
        self.chronicle: StoredChronicle
        with Progress(f"reading {self.name}", count) as progress:
            if every:
                self.chronicle = chronicle = SegmentedChronicle(log, every, progress.advance)
                self._last = chronicle.last_time
                self._end = finalize(self, log.close)
            else:
                found = HistoryRecords(log.codec, progress.count(log.rows()))
                self.chronicle, self._last = StoredChronicle(found.records, found.numbers, before), found.last_time
                log.close()

    def close(self) -> None:
        """Remove the copy of the file. Safe to call again."""
        self._log.close()

    def readings(self, activity: int) -> list[float]:
        """Nothing: what the clock gave is not stored."""
        return []

    def running(self) -> dict[str, Running]:
        """Nothing: nothing runs."""
        return {}

    def present(self) -> None:
        """Nothing: nobody runs it."""

    def make_manager(self, **options: Any) -> NoReturn:
        """Refused: a file does not have the code of its runtimes."""
        raise ConfigurationError("a file has no code to go on with; open it with RuntimeManager(journal=...)")

    def now(self) -> float:
        """The latest time that is stored."""
        return self._last

    def wall(self, at: float) -> datetime:
        """The date and time of a reading: seconds since 1970, or counted from when the file was last written."""
        since = datetime.fromtimestamp(self._last, UTC).astimezone() if self._last > SINCE_1970 else self._written
        return since + timedelta(seconds=at - self._last)

    def describe(self) -> str:
        """What this is."""
        return f"the file {self.name}"
