"""How many activities a runtime takes in a second, and how long one may wait in its lane.

A runtime without these limits has no cost from them: its mailbox is a plain one.
"""

from __future__ import annotations

import math
from typing import Any

from ..activity import Activity, Lane
from ..errors import ActivityTimeoutError
from ..events import Fate
from .admission import admit_waiting
from .entry_state import EntryState
from .failure import decide_fate
from .mailbox import Items, PrioritizedMailbox

__all__ = ["LimitedMailbox", "mailbox_for"]

Entry = EntryState[Any, Any]
SLACK = 1e-9  # of a token: sums of floats


def mailbox_for(entry: Entry) -> PrioritizedMailbox:
    """The mailbox that the entry's limits ask for."""
    limits = entry.limits
    bounds = limits.priority_capacity, limits.standard_capacity, limits.fairness
    if limits.rate is None and limits.deadline is None:
        return PrioritizedMailbox(*bounds)
    mailbox = LimitedMailbox(*bounds)
    mailbox.attach_to(entry)
    return mailbox


class LimitedMailbox(PrioritizedMailbox):
    """A mailbox that has room for `rate` activities a second, and times out what waits in it longer than `deadline`.

    The rate is a token bucket that holds what comes in one second, and at least one. What was accepted and not dropped
    has taken a token each, so nobody has to count. Times are the manager's.
    """

    __slots__ = ("_at", "_entry", "_taken", "_tokens", "armed")

    def attach_to(self, entry: Entry) -> None:
        """Take limits, counts and clock from this entry."""
        self._entry = entry
        self._at = entry.host.clock.now()
        self._tokens = max(1.0, entry.limits.rate or 0.0)
        self._taken = entry.accepted - entry.dropped
        self.armed = False

    def room(self, lane: Lane) -> int:
        """How many more the lane takes now, by its bound and by the rate. The lock is held."""
        room = self.free(lane)
        return room if self._entry.limits.rate is None else min(room, int(self._refill() + SLACK) - self.granted)

    def due(self) -> float | None:
        """When the rate allows one more; None if it does now. The lock is held."""
        missing = 1.0 - self._refill()
        if missing <= SLACK:
            return None
        # At least one step of the float later: a clock that jumps must come past it.
        return max(self._at + missing / (self._entry.limits.rate or 1.0), math.nextafter(self._at, math.inf))

    def _refill(self) -> float:
        entry = self._entry
        rate = entry.limits.rate or 0.0
        now, taken = entry.host.clock.now(), entry.accepted - entry.dropped
        self._tokens = min(max(1.0, rate), self._tokens - (taken - self._taken) + (now - self._at) * rate)
        self._at, self._taken = now, taken
        return self._tokens

    def next_lane(self) -> Items | None:
        """The items that the next activity is the first of; those that are not in time any more are timed out."""
        while (lane := super().next_lane()) is not None and self._is_late(lane[0]):
            self._time_out(lane.popleft())
        return lane

    def _is_late(self, activity: Activity[Any]) -> bool:
        deadline = self._entry.limits.deadline
        since = max(activity.created, activity.not_before or activity.created)
        return deadline is not None and self._entry.host.clock.now() - since > deadline

    def _time_out(self, activity: Activity[Any]) -> None:
        entry = self._entry
        error = ActivityTimeoutError(
            f"activity {activity.id} waited longer than {entry.limits.deadline:g} s in the {activity.lane.value} lane "
            f"of {entry.id!r}, its deadline; it was never processed",
            runtime=entry.id,
            activity=activity.id,
        )
        decide_fate(entry, activity, Fate.TIMED_OUT, None, error=error)
        with entry.host.lock:
            admit_waiting(entry)
