"""What may be wrong with a runtime, judged over a minute and not at one look: so that what is said of it stays."""

from __future__ import annotations

import math

from ...snapshot import Snapshot, Status
from ..pace import real_second, window

__all__ = ["FULL", "Judgement", "Sign", "Signs", "is_nearly_full"]

STEADY = 5.0  # real seconds for which something must be so at every look, before it is said that it is so
FULL = 0.9


class Judgement:
    """A time and a pace, by which signs are judged. `unsettled`: one of them is judged otherwise later by itself."""

    def __init__(self, now: float, speed: float) -> None:
        self.now = now
        self.steady = STEADY * real_second(speed)
        self.window = window(speed)
        self.unsettled = False

    def of(self, sign: Sign) -> bool | None:
        """True for what is so, False for what was so within the window, None for neither."""
        if sign.began is not None and self.now - sign.began >= self.steady:
            return True
        recent = sign.began is not None or self.now - sign.seen <= self.window
        self.unsettled |= recent
        return False if recent else None


class Sign:
    """When something was last so, and since when it has been so at every look."""

    __slots__ = ("began", "seen")

    def __init__(self) -> None:
        self.began: float | None = None
        self.seen = -math.inf

    def look(self, so: bool, at: float, since: float) -> None:
        """Note whether it is so at a time; `since`: since when, if it was not so before."""
        if not so:
            self.began = None
            return
        self.seen = max(self.seen, at)
        if self.began is None:
            self.began = since


class Signs:
    """The signs of one runtime: stuck, failing, and of each lane whether it is nearly full, or full."""

    __slots__ = ("ended", "failing", "full", "nearly_full", "started", "status", "stuck")

    def __init__(self) -> None:
        self.status = Status.IDLE
        self.started: float | None = None
        self.stuck, self.failing = Sign(), Sign()
        self.nearly_full, self.full = (Sign(), Sign()), (Sign(), Sign())
        self.ended: tuple[int, int] | None = None  # how many were done and failed at the last look

    def look(self, shot: Snapshot, *, first: bool) -> None:
        """Compare a snapshot with what was seen before. What is full at the `first` look has been so for long."""
        self.status, self.started = shot.status, shot.started
        self.stuck.look(shot.status is Status.STUCK, shot.at, -math.inf)  # the engine has waited to say so
        self._look_at_failures(shot)
        since = -math.inf if first else shot.at
        for lane, (depth, capacity) in enumerate(zip(shot.depth, shot.capacity, strict=True)):
            self.nearly_full[lane].look(is_nearly_full(depth, capacity), shot.at, since)
            self.full[lane].look(0 < capacity <= depth, shot.at, since)

    def _look_at_failures(self, shot: Snapshot) -> None:
        """It is failing while no look finds that more were done than failed since the one before."""
        ended = shot.fates.done, shot.fates.failed + shot.fates.timed_out
        before, self.ended = self.ended or ended, ended
        done, failed = ended[0] - before[0], ended[1] - before[1]
        so = done <= failed and (failed > 0 or shot.status is Status.ERROR or self.failing.began is not None)
        error_at = -math.inf if shot.error_at is None else shot.error_at
        self.failing.look(so, error_at, error_at)
        self.failing.seen = max(self.failing.seen, error_at)


def is_nearly_full(depth: int, capacity: int) -> bool:
    """Whether so many fill a lane, or nearly; a lane of 0 is closed and not full."""
    return bool(capacity) and depth >= FULL * capacity
