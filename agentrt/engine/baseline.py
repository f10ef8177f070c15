"""The records that say how a runtime is, so that what was before need not be known to look back."""

from __future__ import annotations

from typing import Any

from ..events import Baseline, CodeChange, Event
from .entry_state import EntryState

__all__ = ["record_baseline", "record_swap"]


def record_baseline(entry: EntryState[Any, Any], kind: str, detail: Any = None, who: str | None = None) -> None:
    """Record an event with how the entry is now. Between two activities."""
    host, accepted = entry.host, entry.accepted
    # Of a new one its copy, which no workflow changes in place. None is made here: the lock is held.
    state = entry.initial if kind == "created" and not entry.resumed else entry.state
    lists = entry.mailbox.lists() if accepted else ()
    waiting = lists if any(lists) else ()
    counts = entry.read_counts() if accepted else ()
    at, now = host.clock.now(), (entry.workflow, state, entry.initial, entry.limits, waiting, counts)
    _append(entry, Baseline(host.number(), entry.id, at, kind, who, detail, *now, entry.paused, entry.failed))


def record_swap(entry: EntryState[Any, Any], who: str | None) -> None:
    """Record that the entry has another workflow now."""
    host, workflow = entry.host, entry.workflow
    at = host.clock.now()
    _append(entry, CodeChange(host.number(), entry.id, at, "swapped", who, workflow.name, workflow=workflow))


def _append(entry: EntryState[Any, Any], event: Event) -> None:
    host = entry.host
    host.record(event)
    host.ring.trim()
    if host.listeners:
        host.notify()
