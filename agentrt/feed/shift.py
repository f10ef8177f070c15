"""Records of one of several managers, with ids, numbers and times that are its own among those of all."""

from __future__ import annotations

from typing import Any

import msgspec

from ..activity import Activity
from ..dead_letters import DeadLetter
from ..debugger import Whereabouts
from ..errors import AgentError
from ..events import Event, Outcome
from ..snapshot import Snapshot
from .source import Reply

__all__ = ["STRIDE", "Shift"]

STRIDE = 10**13  # numbers of one manager: more than it can use, and few enough for a browser's exact numbers
_replace = msgspec.structs.replace


class Shift:
    """What is added to the records of one manager: a prefix to its ids, a stride to its numbers, seconds to its times.

    Args:
        prefix: Stands before the ids of its runtimes.
        index: Which of the managers it is, from 0.
        seconds: Its clock to the common one.

    >>> shift = Shift("tower/", 1, 0.0)
    >>> shift.id("JFK"), shift.number(3)
    ('tower/JFK', 10000000000003)
    """

    def __init__(self, prefix: str, index: int, seconds: float) -> None:
        self.prefix = prefix
        self.first = index * STRIDE
        self.seconds = seconds

    def id(self, id: str) -> str:
        """The id of a runtime among those of all; the empty one stays: it is that of the manager."""
        return self.prefix + id if id else id

    def number(self, number: int | None) -> Any:
        """The number of an activity, a record, a burst or an undo among those of all."""
        return None if number is None else number + self.first

    def at(self, at: float | None) -> Any:
        """A time on the common clock."""
        return None if at is None else at + self.seconds

    def record(self, record: Any) -> Any:
        """An activity, an outcome or an event."""
        if isinstance(record, Activity):
            return self.activity(record)
        return self.outcome(record) if isinstance(record, Outcome) else self._event(record)

    def activity(self, activity: Activity[Any] | None) -> Any:
        """An activity, which may be none."""
        if activity is None:
            return None
        return Activity(
            self.number(activity.id), self.id(activity.runtime), activity.payload, activity.lane,
            self.at(activity.created), activity.timeout, self.at(activity.not_before),
            None if activity.source is None else self.id(activity.source), self.number(activity.parent),
            self.number(activity.correlation), activity.key,
        )  # fmt: skip

    def outcome(self, outcome: Outcome) -> Outcome:
        """An outcome."""
        return _replace(
            outcome,
            sequence=self.number(outcome.sequence),
            id=self.number(outcome.id),
            runtime=self.id(outcome.runtime),
            created=self.at(outcome.created),
            started=self.at(outcome.started),
            finished=self.at(outcome.finished),
            error=self.error(outcome.error),
        )

    def _event(self, event: Event) -> Event:
        detail = event.detail
        if isinstance(detail, dict) and self.first:
            numbers = {key: self.number(detail[key]) for key in ("activity", "as") if isinstance(detail.get(key), int)}
            detail = {**detail, **numbers}
        if isinstance(detail, dict) and isinstance(detail.get("started"), float):
            detail = {**detail, "started": self.at(detail["started"])}
        return Event(
            self.number(event.sequence), self.id(event.runtime), self.at(event.at), event.kind, event.who, detail
        )

    def error(self, error: AgentError | None) -> AgentError | None:
        """An error, which may be none."""
        if error is None or not (self.first or self.prefix):
            return error
        copy = error.copy()
        copy.runtime, copy.activity = copy.runtime and self.id(copy.runtime), self.number(copy.activity)
        copy.__traceback__ = error.__traceback__
        return copy

    def snapshot(self, shot: Snapshot | None) -> Snapshot | None:
        """A snapshot, which may be none."""
        return shot and _replace(
            shot,
            id=self.id(shot.id),
            at=self.at(shot.at),
            current=self.activity(shot.current),
            started=self.at(shot.started),
            error=self.error(shot.error),
            error_at=self.at(shot.error_at),
            first=(self.activity(shot.first[0]), self.activity(shot.first[1])),
        )

    def whereabouts(self, there: Whereabouts | None) -> Whereabouts | None:
        """Where a runtime is; it may be nowhere."""
        return there and _replace(
            there,
            runtime=self.id(there.runtime),
            at=self.at(there.at),
            activity=self.activity(there.activity),
            waits_for=tuple(map(self.id, there.waits_for)),
            stop=there.stop and _replace(there.stop, activity=self.number(there.stop.activity)),
        )

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """A dead letter."""
        return DeadLetter(self.activity(letter.activity), letter.reason, self.at(letter.at))

    def reply(self, reply: Reply) -> Reply:
        """What came of a command."""
        return _replace(
            reply,
            activity=self.number(reply.activity),
            runtime=self.id(reply.runtime),
            burst=self.number(reply.burst),
            undo=self.number(reply.undo),
        )
