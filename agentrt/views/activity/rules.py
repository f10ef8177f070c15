"""Which rule acted on an activity, in words: deadlines, retries, overflow, supervision, and hands. Plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ...errors import ActivityTimeoutError
from ...events import Event, Fate, Outcome
from ..text import count, duration, plain
from .activity_records import UNKNOWN, Story

__all__ = ["Rule", "rules", "verdict"]


class Rule(NamedTuple):
    """One rule: a word for it, what it did, when (on the manager's clock) and who was behind it, where known."""

    name: str
    words: str
    at: float | None = None
    who: str | None = None


def verdict(told: Story) -> str:
    """Its fate in one sentence."""
    if told.message is None:
        return _unknown(told)
    if told.outcome is None:
        return _so_far(told)
    wait, service = duration(told.wait), duration(told.service)
    ran = f"It waited {wait} and was processed for {service}"
    says = {
        Fate.DONE: f"{ran}; the state after it is committed.",
        Fate.FAILED: f"{ran}, then failed; the state is what it was before.",
        Fate.TIMED_OUT: f"{ran} without an end, and was cancelled; the state is what it was before.",
        Fate.DROPPED: f"It never ran: dropped after it had waited {wait}.",
        Fate.TERMINATED: f"{ran} when its runtime was terminated; the state is what it was before.",
        Fate.DEAD: f"It never ran: its runtime was terminated after it had waited {wait}. It is a dead letter now.",
    }
    return says[told.outcome.fate]


def _unknown(told: Story) -> str:
    if told.id > told.newest:
        return f"There is no activity {told.id} yet: the newest record is {told.newest}."
    if told.let_go:
        return (
            f"Activity {told.id} is no longer on the record: the ring has let go of its {told.let_go:,} oldest records."
        )
    return f"{told.id} is the number of another record, not of an activity."


def _so_far(told: Story) -> str:
    if told.running:
        ran = f"It waited {duration(told.wait)} and has been processed for {duration(told.service)}"
        return f"{ran}{_step(told)}{_deadline(told)}."
    due = told.activity.not_before if told.activity is not None else None
    if due is not None and due > told.at:
        return f"It is held back for another {duration(due - told.at)}."
    ahead = f", {count(told.place, 'activity')} of its lane before it" if told.place else ""
    first = ", the first of its lane" if told.place == 0 else ""
    held = "; its runtime is paused" if told.snapshot is not None and told.snapshot.status == "paused" else ""
    return f"It has waited for {duration(told.wait)}{ahead}{first}{held}."


def _step(told: Story) -> str:
    spans = told.snapshot.spans if told.snapshot is not None else ()
    return f", now in {plain(spans[-1], 60)}" if spans else ""


def _deadline(told: Story) -> str:
    own = told.activity.timeout if told.activity is not None else None
    limit = own if own is not None else told.timeout
    if limit is None:
        return ""
    left = limit - (told.service or 0.0)
    return f"; its deadline is in {duration(left)}" if left > 0 else "; it is past its deadline"


def rules(told: Story) -> list[Rule]:
    """Every rule that acted on it, in the order of time."""
    found = [rule for of in OF for rule in of(told)]
    return sorted(found, key=lambda rule: rule.at if rule.at is not None else told.at)


def _of_hands(told: Story) -> Iterator[Rule]:
    says: dict[str, Callable[[dict[str, Any]], str]] = {
        "moved": lambda detail: f"moved {'to the front of' if detail.get('first') else 'to'} the {detail['lane']} lane",
        "edited": lambda detail: f"its payload was edited; it was {plain(detail.get('from'), 120)}",
        "dropped_by_hand": lambda detail: "taken out of the mailbox by hand",
        "breakpoint": lambda detail: f"stopped at the breakpoint {plain(str(detail.get('at')), 60)}",
        "resent": lambda detail: f"sent again as activity {detail.get('as')}",
    }
    for note in told.notes:
        if note.kind in says:
            yield Rule(note.kind.replace("_", " "), says[note.kind](note.detail), note.at, note.who)


def _of_retries(told: Story) -> Iterator[Rule]:
    for note in told.notes:
        if note.kind == "retry":
            error = note.detail["error"]
            cause = plain(f"{type(error.__cause__ or error).__name__}: {error.__cause__ or error}", 120)
            yield Rule("retry", f"attempt {note.detail['retry']} failed ({cause}); it was tried again", note.at)
    outcome = told.outcome
    if outcome is None or outcome.started is None:
        return
    if outcome.attempts > 1:
        what = "succeeded" if outcome.ok else "failed too: the retries were exhausted"
        yield Rule("retries", f"attempt {outcome.attempts}, the last, {what}", outcome.finished)
    elif outcome.fate is Fate.FAILED and not _by_group(outcome):
        yield Rule("no retries", "its first error was its last: no retries are set", outcome.finished)


def _by_group(outcome: Outcome) -> bool:
    """Whether its group ended it, because of another's failure: the error says so first."""
    return str(outcome.error).startswith(
        (f"{outcome.runtime!r} was restarted by", f"{outcome.runtime!r} was stopped by")
    )


def _of_deadline(told: Story) -> Iterator[Rule]:
    for note in told.notes:
        if note.kind == "stuck":
            yield Rule("stuck", "it ignored that it was cancelled; nothing is started beside it", note.at)
    outcome = told.outcome
    if outcome is not None and isinstance(outcome.error, ActivityTimeoutError):
        own = told.activity is not None and told.activity.timeout is not None
        whose = "its own timeout" if own else f"the timeout of {plain(outcome.runtime, 60)}"
        yield Rule("timeout", f"{whose} passed{_limit(told)}", outcome.finished)


def _limit(told: Story) -> str:
    seconds = told.activity.timeout if told.activity is not None else None
    if seconds is None and told.outcome is not None:
        changed = (e for e in told.around if e.kind == "limit" and e.detail.get("name") == "timeout")
        later = next((e.detail["from"] for e in changed if e.sequence > told.outcome.sequence), None)
        seconds = later if later is not None else told.timeout
    return f": {duration(seconds)}" if seconds is not None else ""


def _of_overflow(told: Story) -> Iterator[Rule]:
    outcome = told.outcome
    if outcome is None or outcome.fate is not Fate.DROPPED:
        return
    if any(note.kind == "dropped_by_hand" for note in told.notes):
        return
    newest = str(outcome.error).endswith("(overflow='drop_newest')")
    policy = "drop_newest: there was no room for it" if newest else "drop_oldest: it gave way to a newer one"
    yield Rule("overflow", f"its lane was full, and overflow is {policy}", outcome.finished)


def _of_supervision(told: Story) -> Iterator[Rule]:
    outcome = told.outcome
    if outcome is None:
        return
    if _by_group(outcome):
        yield Rule("supervision", plain(str(outcome.error), 300), outcome.finished)
    for event in told.around:
        if event.kind == "terminated" and outcome.fate in (Fate.TERMINATED, Fate.DEAD):
            yield Rule("terminated", "its runtime was terminated", event.at, event.who)
        elif _because(event, told):
            yield Rule("supervision", SUPERVISOR[event.kind], event.at)


SUPERVISOR = {
    "restarted": "the supervisor then restarted the runtime from its initial state",
    "failed": "the supervisor then stopped the runtime; it keeps what waits, and `recover()` goes on",
}


def _because(event: Event, told: Story) -> bool:
    return event.kind in SUPERVISOR and getattr(event.detail, "activity", UNKNOWN) == told.id


OF = (_of_hands, _of_retries, _of_deadline, _of_overflow, _of_supervision)
