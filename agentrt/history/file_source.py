"""The source of a journal file that can also be looked at as it was."""

from __future__ import annotations

from functools import cached_property

from ..errors import ConfigurationError
from ..events import Record
from ..feed.recorded import RecordedSource
from .moment import Moment
from .source import MomentSource
from .stored import StoredHistory

__all__ = ["FileSource"]

MOST_EVENTS = 300_000  # of a file that a page looks back at: all of them are read first


class FileSource(RecordedSource):
    """A `RecordedSource` with a past. The file is read as a whole when somebody goes back for the first time.

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
        count = self._mirror.cursor
        if count > MOST_EVENTS:
            raise ConfigurationError(
                f"the file holds {count:,} events, and a page looks back at {MOST_EVENTS:,}; "
                f"in a notebook, use agentrt.history.stored.StoredHistory({str(self.path)!r})"
            )
        return StoredHistory(self.path, every=0)

    def events(self) -> list[tuple[int, Record]]:
        """What is stored of what happened, each with its moment: the position in the file."""
        chronicle = self._history.chronicle
        return list(zip(chronicle.sequences, chronicle.records, strict=True))

    def past(self, moment: int) -> MomentSource:
        """Everything as it was after an event."""
        return Moment(self._history, moment).source
