"""What the record says an activity did: what it was given, what it called, and what it came to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..events import Event, Outcome, Record
from ..schema.preview import preview

__all__ = ["Attempt", "CallKind", "RecordIndex", "RecordedCall", "Script", "content_of", "is_ended_from_outside"]

BEGINS_AGAIN = {"retry", "retried"}  # by itself after an error, and by a command of the debugger
CALLS = {"effect", "step", "log", "metric", "refused"}


class CallKind:
    """What a workflow may do that is recorded."""

    SEND = "send"
    EFFECT = "effect"
    STEP = "step"
    LOG = "log"
    METRIC = "metric"
    REFUSED = "refused"


class RecordedCall(msgspec.Struct, frozen=True):
    """One thing that a workflow did, and what it got.

    Args:
        kind: One of `CallKind`.
        name: Of the effect, the step or the metric; the id of the runtime that it sent to.
        value: The payload, the message, the number, or the arguments of the effect.
        result: What it got: the outcome of what it sent, the result of the effect.
        error: What it got instead.
        lane: The lane that it sent to.
        activity: The number of what it sent.
        at: When it got it, on the manager's clock; None if that is not known.
        options: With which `delay`, `timeout` and `key` it sent, as far as they were given; None if that is not known.
    """

    kind: str
    name: str = ""
    value: Any = None
    result: Any = msgspec.UNSET
    error: BaseException | None = None
    lane: str = ""
    activity: int = 0
    at: float | None = None
    options: dict[str, Any] | None = None

    def __repr__(self) -> str:
        parts = [self.kind, self.name, "" if self.value is None else preview(self.value, 120)]
        parts += [f"{name}={value!r}" for name, value in (self.options or {}).items()]
        return " ".join([*filter(None, parts), *(["with priority"] if self.lane == Lane.PRIORITY else [])])


class Attempt(msgspec.Struct, frozen=True):
    """One try of an activity.

    Args:
        calls: What it called.
        error: What it ended with, if it was tried again.
        began: When it began, on the manager's clock; None if that is not known.
        workflow: The `Workflow` that it ran; None if the record does not have it.
        late: What tasks that it had started have called after its end.
    """

    calls: tuple[RecordedCall, ...] = ()
    error: BaseException | None = None
    began: float | None = None
    workflow: Any = None
    late: tuple[RecordedCall, ...] = ()


class Script(msgspec.Struct, frozen=True):
    """One activity, as the record has it.

    Args:
        activity: What was processed.
        state: The state before.
        outcome: What became of it.
        attempts: How it was tried, the last one last.
        readings: What the clock gave to it.
        seed: Of the manager; None if it is not known.
        speed: Of the manager's clock.
        not_recorded: The kinds of calls that are not on the record; of effects only the results are.
    """

    activity: Activity[Any]
    state: Any
    outcome: Outcome[Any]
    attempts: tuple[Attempt, ...] = (Attempt(),)
    readings: tuple[float, ...] = ()
    seed: int | None = 0
    not_recorded: frozenset[str] = frozenset()
    speed: float = 1.0

    @property
    def error(self) -> BaseException | None:
        """What the workflow raised, if it did; None if it was done, or was ended from outside."""
        error = self.outcome.error
        return None if error is None else error.__cause__


PLAIN_FIELDS = set(Activity.__struct_fields__)


def content_of(activity: Activity[Any]) -> Any:
    """What was sent: the payload; of an activity with fields of its own, the activity without what its runtime adds."""
    if set(type(activity).__struct_fields__) == PLAIN_FIELDS:
        return activity.payload
    plain = Activity(payload=activity.payload)
    return msgspec.structs.replace(activity, **{name: getattr(plain, name) for name in PLAIN_FIELDS})


def options_of(activity: Activity[Any]) -> dict[str, Any]:
    """With which options it was sent, as far as they were given."""
    due = activity.not_before
    delay = None if due is None else round(due - activity.created, 6)
    found = {"delay": delay, "timeout": activity.timeout, "key": activity.key}
    return {name: value for name, value in found.items() if value is not None}


class RecordIndex:
    """Records by the activity that they are about. `has_options`: whether it is recorded with what was sent."""

    def __init__(self, records: Iterable[Record], has_options: bool = True) -> None:
        self._has_options = has_options
        self.sent: dict[int, list[Activity[Any]]] = defaultdict(list)  # by the activity whose workflow sent them
        self.events: dict[int, list[Event]] = defaultdict(list)
        self.outcomes: dict[int, Outcome[Any]] = {}
        self.activities: dict[int, Activity[Any]] = {}
        self._order: dict[int, int] = {}  # the place of each record
        for place, record in enumerate(records):
            self._order[id(record)] = place
            self._add(record)

    def _add(self, record: Record) -> None:
        if isinstance(record, Activity):
            self.activities[record.id] = record
            if record.parent is not None and record.source is not None:
                self.sent[record.parent].append(record)
        elif isinstance(record, Outcome):
            self.outcomes[record.id] = record
        elif record.kind == "sent_before":  # in a branch: it stands for what is on the record of the other manager
            sent = record.detail["sent"]
            self.sent[record.detail["activity"]].append(sent)
            self._order[id(sent)] = self._order[id(record)]
        elif isinstance(record.detail, dict) and record.kind in {*CALLS, *BEGINS_AGAIN, "breakpoint"}:
            self.events[record.detail.get("activity", 0)].append(record)

    def attempts(self, outcome: Outcome[Any]) -> tuple[Attempt, ...]:
        """How an activity was tried. What a command has broken off is left out."""
        activity, began = outcome.id, outcome.started
        found: list[Attempt] = []
        calls: list[RecordedCall] = []
        late: list[RecordedCall] = []
        stopped: list[str] = []  # the steps that it was in when it was stopped
        broken: list[str] = []  # and those of them that a command has broken off
        both: list[Record] = [*self.events.get(activity, ()), *self.sent.get(activity, ())]
        for record in sorted(both, key=lambda each: self._order[id(each)]):
            if isinstance(record, Event) and record.kind in BEGINS_AGAIN:
                if record.kind == "retry":
                    found.append(Attempt(tuple(calls), record.detail["error"].__cause__, began))
                else:
                    broken = list(stopped)
                calls, began = [], record.at
            elif isinstance(record, Event) and record.kind == "breakpoint":
                stopped = record.detail.get("steps", [])
            elif not _is_broken_off(record, began, broken):
                (calls if record.sequence < outcome.sequence else late).append(self._call(record))
        return (*found, Attempt(tuple(calls), None, began, late=tuple(late)))

    def _call(self, record: Record) -> RecordedCall:
        if isinstance(record, Activity):
            outcome = self.outcomes.get(record.id)
            result = msgspec.UNSET if outcome is None else outcome
            message = content_of(record)
            return RecordedCall(
                CallKind.SEND,
                record.runtime,
                message,
                result,
                lane=record.lane.value,
                activity=record.id,
                options=options_of(record) if self._has_options else None,
            )
        detail = record.detail if isinstance(record, Event) else {}
        name = str(detail.get("key") or detail.get("name") or "")
        if record.kind == CallKind.EFFECT:
            value = detail.get("value", msgspec.UNSET)
            raised = detail.get("raised")
            return RecordedCall(CallKind.EFFECT, name, detail.get("args", ()), value, raised, at=record.at)
        if record.kind == CallKind.REFUSED:
            return RecordedCall(CallKind.REFUSED, "", detail.get("payload"), error=detail["error"])
        return RecordedCall(record.kind, name, detail.get("message", detail.get("value")))


def _is_broken_off(record: Record, began: float | None, broken: list[str]) -> bool:
    """Whether this is the end of a step in which the activity was when a command began it again."""
    if not isinstance(record, Event) or record.kind != "step" or not record.detail.get("failed") or began is None:
        return False
    name, started = record.detail["name"], record.detail["started"]
    if started == began and name in broken:
        broken.remove(name)
        return True
    return bool(started < began)


def is_ended_from_outside(outcome: Outcome[Any]) -> bool:
    """Whether something else than its workflow decided what became of it."""
    if outcome.kind == "done":
        return False
    return outcome.kind != "failed" or outcome.error is None or outcome.error.__cause__ is None
