"""The records of what happened, made of the rows of a journal."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import AgentError
from ..events import Event, Outcome, Record
from ..journal import Unreadable
from ..journal.codec import Codec
from ..journal.rows import AcceptedRow, CommitRow, FieldsRow, RemovedRow, Row, RuntimeRow, make_activity
from .failures import FailureRecord, error_of

__all__ = ["StoredRecords", "last_failures", "message_of", "stored_error"]

MOST_FIELDS = 500_000  # of large states, in all records together
KINDS = {
    "failed": "ProcessingError",
    "timed_out": "ActivityTimeoutError",
    "dropped": "MailboxFullError",
    "terminated": "RuntimeTerminatedError",
}
CAUSE = re.compile(r"(?:^|on activity \d+: )([A-Za-z_]\w*): (.*)", re.DOTALL)
REPR = re.compile(r"[A-Za-z_]\w*\((['\"].*['\"])\)", re.DOTALL)
WITHOUT_WORDS = "what went wrong is not stored"
NO_TRACE = "A journal stores no traceback.\n"
PARTLY = Unreadable("a large state, of which only the last is shown")
UNKNOWN = Unreadable("a state from before the records that are shown")


def message_of(text: str) -> str:
    """The message of an error whose repr is stored; another text as it is.

    >>> message_of("ProcessingError('no such gate')"), message_of("no such gate")
    ('no such gate', 'no such gate')
    """
    found = REPR.fullmatch(text)
    try:
        return text if found is None else str(ast.literal_eval(found[1]))
    except (ValueError, SyntaxError):
        return text


def stored_error(fate: str, text: str, runtime: str, activity: int) -> AgentError:
    """The error of an activity, of the text that is stored. Its traceback is not."""
    text = message_of(text)
    found = CAUSE.search(text) if fate in ("failed", "retry") else None
    cause = None if found is None else FailureRecord(found[1], found[2], trace=NO_TRACE)
    kind = KINDS.get(fate, "ProcessingError" if fate == "retry" else "AgentError")
    return error_of(FailureRecord(kind, text or WITHOUT_WORDS, runtime, activity, trace=NO_TRACE, cause=cause))


class StoredRecords:
    """Makes records of rows in their order. `records` are those made so far.

    Args:
        codec: Makes the values.
        rows: The rows with their positions.
        last_activity: The highest id of an activity. The sequence numbers of other records come after it.
    """

    def __init__(self, codec: Codec, rows: Iterable[tuple[int, Row]], last_activity: int) -> None:
        self.records: list[Record] = []
        self._codec = codec
        self._now = 0.0
        self._accepted: dict[int, AcceptedRow] = {}
        self._attempts: Counter[int] = Counter()
        self._states: dict[str, Any] = {}
        self._fields = 0
        for position, row in rows:
            self._add(last_activity + position, row)

    def _add(self, sequence: int, row: Row) -> None:
        if isinstance(row, AcceptedRow):
            self._add_activity(row)
        elif isinstance(row, CommitRow):
            self._add_commit(sequence, row)
        elif isinstance(row, RuntimeRow):
            self._add_settings(sequence, row)
        elif isinstance(row, FieldsRow):
            self._states[row.runtime] = self._join(row)
        elif isinstance(row, RemovedRow):
            self._event(sequence, row.runtime, "terminated")

    def _event(self, sequence: int, runtime: str, kind: str, detail: Any = None) -> None:
        self.records.append(Event(sequence, runtime, self._now, kind, detail=detail))

    def _add_activity(self, row: AcceptedRow) -> None:
        self._now = max(self._now, row.created)
        known = row.activity in self._accepted
        self._accepted[row.activity] = row
        if not known and not row.again:  # else it was edited or moved, or is carried on
            self.records.append(make_activity(self._codec, row))

    def _add_commit(self, sequence: int, row: CommitRow) -> None:
        if row.fate is None:
            self._count_attempts(row)
        if row.again:
            return
        self._now = max(self._now, row.at)
        if row.fate is None:
            self._add_retry(sequence, row)
            return
        state = self._states.get(row.runtime, UNKNOWN)
        if row.state is not None:
            state = self._states[row.runtime] = self._codec.decode(row.state, "the state")
        begun = self._accepted.get(row.activity)
        self.records.append(
            Outcome(
                sequence=sequence,
                id=row.activity,
                runtime=row.runtime,
                priority=begun is not None and begun.lane,
                kind=row.fate,
                created=row.at if begun is None else begun.created,
                started=None,  # it is not stored
                finished=row.at,
                state=state,
                reply=msgspec.UNSET if row.reply is None else self._codec.decode(row.reply, "the reply"),
                error=None if row.fate == "done" else stored_error(row.fate, row.error, row.runtime, row.activity),
                attempts=self._attempts.pop(row.activity, 0) + 1,
            )
        )

    def _count_attempts(self, row: CommitRow) -> None:
        """Count the attempts that have failed; in a row that is there again are all before it."""
        self._attempts[row.activity] = row.attempts + (0 if row.again else self._attempts[row.activity])

    def _add_retry(self, sequence: int, row: CommitRow) -> None:
        error = stored_error("retry", row.error, row.runtime, row.activity)
        detail = {"activity": row.activity, "retry": self._attempts[row.activity], "error": error}
        self._event(sequence, row.runtime, "retry", detail)

    def _add_settings(self, sequence: int, row: RuntimeRow) -> None:
        self._now = max(self._now, row.created or 0.0)
        if row.state is not None:
            self._states[row.runtime] = self._codec.decode(row.state, "the state")
        if row.new:
            self._event(sequence, row.runtime, "created")
        elif row.paused is not None and row.counts is None:
            self._event(sequence, row.runtime, "paused" if row.paused else "resumed")

    def _join(self, row: FieldsRow) -> Any:
        """The state after fields of it were written: a copy of the one before, so only so many are made."""
        before = {} if row.whole else self._states.get(row.runtime)
        if not isinstance(before, dict) or self._fields > MOST_FIELDS:
            return PARTLY
        decode = self._codec.decode
        gone = {decode(name) for name in row.gone}
        after = {name: value for name, value in before.items() if name not in gone}
        after.update({decode(name): decode(value, "the state") for name, value in row.values.items()})
        self._fields += len(after)
        return after


def last_failures(records: Iterable[Record]) -> dict[str, tuple[Outcome[Any], bool]]:
    """The last activity that failed of each runtime, and whether nothing was done since."""
    found: dict[str, tuple[Outcome[Any], bool]] = {}
    for record in records:
        if isinstance(record, Outcome):
            if record.kind in ("failed", "timed_out"):
                found[record.runtime] = record, True
            elif record.ok and record.runtime in found:
                found[record.runtime] = found[record.runtime][0], False
    return found
