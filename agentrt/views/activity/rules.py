"""Which rules acted on an activity, in words: deadlines, retries, overflow, supervision, and a person. Plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ...errors import ActivityTimeoutError
from ...events import Event, Fate, Outcome
from ..text import duration, plain, quantity
from .activity_records import UNKNOWN, CausalTrace

__all__ = ["AppliedRule", "applied_rules", "fate_sentence"]


class AppliedRule(NamedTuple):
    """A rule that acted: its name, what it did, when (on the manager's clock) and by whom, where that is on record."""

    name: str
    words: str
    at: float | None = None
    who: str | None = None


def fate_sentence(trace: CausalTrace) -> str:
    """Its fate in one sentence."""
    if trace.message is None:
        return _missing_sentence(trace)
    if trace.outcome is None:
        return _pending_sentence(trace)
    wait, service = duration(trace.wait), duration(trace.service)
    ran = f"It waited {wait} and was processed for {service}"
    if trace.service is None:  # of a journal, which does not store when it was started
        ran = f"It waited or was processed for {wait}"
    says = {
        Fate.DONE: f"{ran}; the state after it is committed.",
        Fate.FAILED: f"{ran}, then failed; the state is what it was before.",
        Fate.TIMED_OUT: f"{ran} without an end, and was cancelled; the state is what it was before.",
        Fate.DROPPED: f"It was never processed: it was dropped after it had waited {wait}.",
        Fate.TERMINATED: f"{ran} when its runtime was terminated; the state is what it was before.",
        Fate.DEAD: f"It was never processed: its runtime was terminated after {wait}. It is a dead letter now.",
    }
    return says[trace.outcome.fate]


def _missing_sentence(trace: CausalTrace) -> str:
    if trace.id > trace.newest:
        return f"There is no activity {trace.id} yet: the newest record is {trace.newest}."
    if trace.let_go:
        return f"Activity {trace.id} is no longer recorded: the ring has dropped its {trace.let_go:,} oldest records."
    return f"There is no activity {trace.id}: an event has that number. Activities and events are numbered together."


def _pending_sentence(trace: CausalTrace) -> str:
    if trace.running:
        ran = f"It waited {duration(trace.wait)} and has been processed for {duration(trace.service)}"
        return f"{ran}{_step_words(trace)}{_deadline_words(trace)}."
    due = trace.activity.not_before if trace.activity is not None else None
    if due is not None and due > trace.at:
        return f"It is delayed for another {duration(due - trace.at)}."
    ahead = f", {quantity(trace.place, 'activity')} of its lane before it" if trace.place else ""
    first = ", the first of its lane" if trace.place == 0 else ""
    paused = "; its runtime is paused" if trace.snapshot is not None and trace.snapshot.status == "paused" else ""
    return f"It has waited for {duration(trace.wait)}{ahead}{first}{paused}."


def _step_words(trace: CausalTrace) -> str:
    spans = trace.snapshot.spans if trace.snapshot is not None else ()
    return f", now in {plain(spans[-1], 60)}" if spans else ""


def _deadline_words(trace: CausalTrace) -> str:
    own = trace.activity.timeout if trace.activity is not None else None
    limit = own if own is not None else trace.timeout
    if limit is None:
        return ""
    left = limit - (trace.service or 0.0)
    return f"; its deadline is in {duration(left)}" if left > 0 else "; it is past its deadline"


def applied_rules(trace: CausalTrace) -> list[AppliedRule]:
    """Every rule that acted on it, in the order of time."""
    found = [rule for find in FINDERS for rule in find(trace)]
    return sorted(found, key=lambda rule: rule.at if rule.at is not None else trace.at)


def _of_persons(trace: CausalTrace) -> Iterator[AppliedRule]:
    says: dict[str, Callable[[dict[str, Any]], str]] = {
        "moved": lambda detail: f"moved {'to the front of' if detail.get('first') else 'to'} the {detail['lane']} lane",
        "edited": lambda detail: f"its payload was edited; it was {plain(detail.get('from'), 120)}",
        "dropped_by_hand": lambda detail: "dropped from the mailbox by a command",
        "breakpoint": lambda detail: f"stopped at the breakpoint {plain(str(detail.get('at')), 60)}",
        "resent": lambda detail: f"sent again as activity {detail.get('as')}",
    }
    for note in trace.notes:
        if note.kind in says:
            yield AppliedRule(note.kind.replace("_", " "), says[note.kind](note.detail), note.at, note.who)


def _of_retries(trace: CausalTrace) -> Iterator[AppliedRule]:
    for note in trace.notes:
        if note.kind == "retry":
            error = note.detail["error"]
            cause = plain(f"{type(error.__cause__ or error).__name__}: {error.__cause__ or error}", 120)
            yield AppliedRule("retry", f"attempt {note.detail['retry']} failed ({cause}); it was tried again", note.at)
    outcome = trace.outcome
    if outcome is None or outcome.started is None:
        return
    if outcome.attempts > 1:
        what = "succeeded" if outcome.ok else "failed too: the retries were exhausted"
        yield AppliedRule("retries", f"attempt {outcome.attempts}, the last, {what}", outcome.finished)
    elif outcome.fate is Fate.FAILED and not _by_group(outcome):
        yield AppliedRule("no retries", "its first error was its last: no retries are set", outcome.finished)


def _by_group(outcome: Outcome) -> bool:
    """Whether its group ended it because another runtime failed: the error begins with that."""
    return str(outcome.error).startswith(
        (f"{outcome.runtime!r} was restarted by", f"{outcome.runtime!r} was stopped by")
    )


def _of_deadline(trace: CausalTrace) -> Iterator[AppliedRule]:
    for note in trace.notes:
        if note.kind == "stuck":
            yield AppliedRule("stuck", "it ignored its cancellation; nothing else runs until it ends", note.at)
    outcome = trace.outcome
    if outcome is not None and isinstance(outcome.error, ActivityTimeoutError):
        own = trace.activity is not None and trace.activity.timeout is not None
        whose = "its own timeout" if own else f"the timeout of {plain(outcome.runtime, 60)}"
        yield AppliedRule("timeout", f"{whose} passed{_limit_words(trace)}", outcome.finished)


def _limit_words(trace: CausalTrace) -> str:
    seconds = trace.activity.timeout if trace.activity is not None else None
    if seconds is None and trace.outcome is not None:
        changed = (e for e in trace.around if e.kind == "limit" and e.detail.get("name") == "timeout")
        later = next((e.detail["from"] for e in changed if e.sequence > trace.outcome.sequence), None)
        seconds = later if later is not None else trace.timeout
    return f": {duration(seconds)}" if seconds is not None else ""


def _of_overflow(trace: CausalTrace) -> Iterator[AppliedRule]:
    outcome = trace.outcome
    if outcome is None or outcome.fate is not Fate.DROPPED:
        return
    if any(note.kind == "dropped_by_hand" for note in trace.notes):
        return
    newest = str(outcome.error).endswith("(overflow='drop_newest')")
    policy = "drop_newest: there was no room for it" if newest else "drop_oldest: a newer one took its place"
    yield AppliedRule("overflow", f"its lane was full, and overflow is {policy}", outcome.finished)


def _of_supervision(trace: CausalTrace) -> Iterator[AppliedRule]:
    outcome = trace.outcome
    if outcome is None:
        return
    if _by_group(outcome):
        yield AppliedRule("supervision", plain(str(outcome.error), 300), outcome.finished)
    for event in trace.around:
        if event.kind == "terminated" and outcome.fate in (Fate.TERMINATED, Fate.DEAD):
            yield AppliedRule("terminated", "its runtime was terminated", event.at, event.who)
        elif _caused_by(event, trace):
            yield AppliedRule("supervision", SUPERVISOR[event.kind], event.at)


SUPERVISOR = {
    "restarted": "the supervisor then restarted the runtime from its initial state",
    "failed": "the supervisor then stopped the runtime; what waits stays, and `recover()` continues",
}


def _caused_by(event: Event, trace: CausalTrace) -> bool:
    return event.kind in SUPERVISOR and getattr(event.detail, "activity", UNKNOWN) == trace.id


FINDERS = (_of_persons, _of_retries, _of_deadline, _of_overflow, _of_supervision)
