"""The source of a journal file that can also be looked at as it was."""

from __future__ import annotations

from functools import cached_property

from ..events import Record
from ..feed.recorded import RecordedSource
from .moment import Moment
from .row_records import StoredChronicle
from .source import MomentSource
from .stored import SEGMENT, StoredHistory

__all__ = ["FileSource"]

MOST_ROWS = 300_000  # that a page lists as events: all of them are read first


class FileSource(RecordedSource):
    """A `RecordedSource` with a past, which is read when somebody goes back for the first time.

    Of a file with more than 300,000 rows, `events` has the last of them; `past` has any moment.

    >>> import tempfile, agentrt.journal as journals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with journals.SQLiteJournal(f"{folder}/agents.db") as journal:
    ...         journal.append(journals.Created(runtime="counter", state=5))
    ...     source = FileSource(f"{folder}/agents.db")
    ...     [(moment, event)] = source.events()
    ...     past = source.past(moment).snapshot("counter")
    ...     source.close()
    >>> event.kind, past.state
    ('created', 5)
    """

    @cached_property
    def _history(self) -> StoredHistory:
        return StoredHistory(self.path, every=0 if self._mirror.cursor <= MOST_ROWS else SEGMENT)

    @cached_property
    def _latest(self) -> StoredChronicle:
        return self._history.chronicle.latest(MOST_ROWS)

    def events(self) -> list[tuple[int, Record]]:
        """What is stored of what happened, each with its moment: the position in the file."""
        latest = self._latest
        return [each for each in zip(latest.sequences, latest.records, strict=True) if each[0] > latest.let_go]

    def close(self) -> None:
        """Remove the copies of the file. Safe to call again."""
        if "_history" in self.__dict__:
            self._history.close()
        super().close()

    def past(self, moment: int) -> MomentSource:
        """Everything as it was after an event."""
        return Moment(self._history, moment).source
