"""A runtime that goes on from how another one stood: its mailbox, its counts, its flags."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import AgentError
from .admission import set_timer
from .baseline import record_baseline
from .entry_state import EntryState

__all__ = ["place", "restore_entry"]

Entry = EntryState[Any, Any]


def restore_entry(
    entry: Entry,
    initial: Any,
    waiting: Iterable[Activity[Any]],
    counts: tuple[int, ...],
    paused: bool,
    failed: bool,
    error: tuple[AgentError, float, bool] | None,
) -> None:
    """Have a new entry stand so, and process what waits. The lock is held.

    Args:
        entry: One that has processed nothing.
        initial: The state that a restart goes back to.
        waiting: What waits, in order; each gets a receipt that nobody holds.
        counts: As `read_counts` gives them.
        paused: Whether it is paused.
        failed: Whether its supervisor has stopped it.
        error: Its last error, when it was, and whether nothing was done since.
    """
    entry.set_counts(counts)
    entry.use_newest(entry.state, initial)
    entry.restore(entry.state, (), failed, paused)
    if error is not None:
        entry.record_error(error[0], error[2], error[1])
    now = entry.host.clock.now()
    for activity in waiting:
        due = activity.not_before
        receipt = entry.new_receipt(activity.id)
        place(entry, msgspec.structs.replace(activity, receipt=receipt), None if due is None or due <= now else due)
    record_baseline(entry, "forked")
    if len(entry.mailbox):
        entry.wake()


def place(entry: Entry, activity: Activity[Any], due: float | None) -> None:
    """Put an activity that was accepted before in its lane at once, or when it is `due`."""
    if due is None:
        entry.mailbox.add(activity)
    else:
        entry.mailbox.delay(activity)
        entry.host.post(partial(set_timer, entry, activity.id, due))
