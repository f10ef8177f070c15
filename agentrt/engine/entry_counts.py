"""EntryCounts: how many activities of an entry were accepted and how they ended, and how long they waited and took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..activity import Activity, Lane
from ..events import Fate
from ..metrics import FLUSH_AT, LaneTimes
from .fields import EntryFields

__all__ = ["COUNTS", "EntryCounts"]

COUNTS = {
    Fate.DONE: "done",
    Fate.FAILED: "failed_count",
    Fate.TIMED_OUT: "timed_out",
    Fate.DROPPED: "dropped",
    Fate.TERMINATED: "terminated",
    Fate.DEAD: "dead",
}


class EntryCounts(EntryFields):
    """The counts and the times of one runtime. The processing changes them, the accepting under the lock."""

    __slots__ = ()

    def __init__(self, id: str) -> None:
        self.accepted_priority = self.accepted_standard = 0
        self.done = self.failed_count = self.timed_out = self.dropped = self.terminated = self.dead = 0
        self.restarts = 0  # since it was created here
        # Each at another time: a hundred that are busy at once would all flush in the same turn of the loop.
        self.flush_at = FLUSH_AT + hash(id) % FLUSH_AT
        self.faulted_at = -1
        # Waits and services per lane, and where they are added. Made when the first activity is processed.
        self.times: tuple[LaneTimes, LaneTimes] | None = None
        self.priority_recorders: Any = None
        self.standard_recorders: Any = None

    # ---- to read: any thread

    @property
    def accepted(self) -> int:
        """How many activities were accepted."""
        return self.accepted_priority + self.accepted_standard

    @property
    def processed(self) -> int:
        """How many activities were run to an end."""
        return self.done + self.failed_count + self.timed_out

    @property
    def decided(self) -> int:
        """How many activities have a fate."""
        return self.processed + self.dropped + self.terminated + self.dead

    def read_counts(self) -> tuple[int, ...]:
        """How many were accepted in the priority lane and in the standard lane, and had each fate as in `Fate`."""
        return (self.accepted_priority, self.accepted_standard, *(getattr(self, name) for name in COUNTS.values()))

    # ---- to count

    def _count_in_lane(self, lane: Lane, n: int) -> None:
        if lane is Lane.PRIORITY:
            self.accepted_priority += n
        else:
            self.accepted_standard += n

    def count_move(self, was: Lane, to: Lane) -> None:
        """An activity that was accepted in one lane waits in the other now."""
        n = (to is Lane.PRIORITY) - (was is Lane.PRIORITY)
        self.accepted_priority += n  # no call between the two: nothing can interrupt them there
        self.accepted_standard -= n

    def count_past(self, fate: Fate | None, lane: Lane = Lane.STANDARD, n: int = 1) -> None:
        """An activity that was accepted elsewhere is counted here, or with `n` -1 no longer; with its fate, if any."""
        self._count_in_lane(lane, n)
        if fate is not None:
            setattr(self, COUNTS[fate], getattr(self, COUNTS[fate]) + n)

    def count(self, fate: Fate) -> None:
        """Count one more activity with this fate."""
        name = COUNTS[fate]
        setattr(self, name, getattr(self, name) + 1)

    def fault_again(self) -> bool:
        """Whether nothing got a fate since the last fault of this entry."""
        again, self.faulted_at = self.faulted_at == self.decided, self.decided
        return again

    def restore_counts(self, counts: Mapping[str, int]) -> None:
        """Go on from the counts of a journal. By lane it has none: see `share_counts`."""
        for fate, name in COUNTS.items():
            setattr(self, name, counts.get(fate.value, 0))
        self.accepted_priority, self.accepted_standard = 0, counts.get("accepted", 0)

    def set_counts(self, counts: tuple[int, ...]) -> None:
        """Go on from these, as `read_counts` gives them."""
        self.accepted_priority, self.accepted_standard, *fates = counts
        for name, count in zip(COUNTS.values(), fates, strict=True):
            setattr(self, name, count)

    def add_counts(self, other: EntryCounts) -> None:
        """Add the counts of another entry of the same id."""
        for name in (*COUNTS.values(), "accepted_priority", "accepted_standard"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    # ---- times

    def record_times(self, activity: Activity[Any], started: float, finished: float) -> None:
        """Add how long an activity waited and how long it took."""
        urgent = activity.lane is Lane.PRIORITY
        add_wait, add_service = self.priority_recorders if urgent else self.standard_recorders
        add_wait(started - activity.created)
        add_service(finished - started)

    def complete_times(self, activity: Activity[Any], started: float, finished: float) -> None:
        """Add the times of an activity as far as they are missing, after an exception from outside."""
        if self.times is None:
            return
        ran = self.processed + self.terminated  # what was dropped or dead did not run
        waits, services = map(sum, zip(*(lane.counts for lane in self.times), strict=True))
        add_wait, add_service = self.priority_recorders if activity.lane is Lane.PRIORITY else self.standard_recorders
        if waits < ran:
            add_wait(started - activity.created)
        if services < ran:
            add_service(finished - started)

    def start_times(self) -> None:
        """Begin to record how long activities wait and take."""
        self.times = (LaneTimes(), LaneTimes())
        self._look_up_recorders(self.times)

    def flush(self) -> None:
        """Keep the arrays of times short. The processing only, between two activities."""
        self.flush_at = self.processed + FLUSH_AT
        if self.times is not None:
            for lane in self.times:
                lane.flush()
            self._look_up_recorders(self.times)

    def _look_up_recorders(self, times: tuple[LaneTimes, LaneTimes]) -> None:
        self.priority_recorders, self.standard_recorders = ((lane.add_wait, lane.add_service) for lane in times)
