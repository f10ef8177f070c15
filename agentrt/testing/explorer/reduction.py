"""Dynamic partial-order reduction with source sets and sleep sets: one run for each order that makes a difference.

Two runs are the same if one becomes the other by swapping neighbouring steps that are independent. After each run,
every race in it (two dependent steps that could have come the other way round) has to be reversed in some later run.
For this a process is noted at the place of the first step of the race, unless one that would do is noted there already
(a *source set*). A process that was tried at a place *sleeps* in the runs that begin with another one there, until a
step is taken that depends on its own: what would begin with two independent steps in the other order was run already.

The algorithm is Source-DPOR of Abdulla, Aronis, Jonsson and Sagonas, "Source Sets: A Foundation for Optimal Dynamic
Partial Order Reduction" (Journal of the ACM 64, 2017).
"""

from __future__ import annotations

from .footprint import Footprint
from .ground import Ground
from .processes import CLOCK
from .trace import races_of
from .trial import Trial

__all__ = ["ChoicePoint", "Reduction"]


class ChoicePoint:
    """A place in the tree of runs, before a step: what was chosen there, and what is left to try."""

    __slots__ = ("chosen", "ready", "sleep", "todo", "tried")

    def __init__(self, ready: list[int], sleep: dict[int, Footprint], chosen: int) -> None:
        self.ready = ready
        self.sleep = sleep  # what need not be tried, with what its step would touch
        self.chosen = chosen
        self.tried: dict[int, Footprint] = {}
        self.todo = {chosen}


class Reduction:
    """Chooses the orders of one run after the other, so that each that makes a difference is among them."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.points: list[ChoicePoint] = []
        self.past: list[int] = []  # of the steps that the next run has in common with the last
        self.ignored = 0
        self.is_complete = False

    def choose(self, run: Trial, ready: list[int]) -> int | None:
        """The process that takes the next step; None if every one of them was tried."""
        depth = len(run.steps)
        if depth < len(self.points):
            chosen = self.points[depth].chosen
            if chosen in ready:
                return chosen
            run.diverged = True
            return None
        sleep = self._sleep_after(run) if depth else {}
        awake = [pid for pid in ready if pid not in sleep]
        if not awake:
            return None
        last = run.steps[-1].pid if depth else awake[0]
        chosen = last if last in awake and last != CLOCK else awake[0]
        self.points.append(ChoicePoint(ready, sleep, chosen))
        return chosen

    def _sleep_after(self, run: Trial) -> dict[int, Footprint]:
        """What sleeps after the last step: what slept or was tried before it, and is independent of it."""
        point, footprint = self.points[-1], run.steps[-1].footprint
        ignored, chosen = self.ground.keys.ignored, point.chosen
        candidates = {**point.sleep, **point.tried}
        return {
            pid: touched
            for pid, touched in candidates.items()
            if pid != chosen and not footprint.conflicts(touched, ignored)
        }

    def learn(self, run: Trial) -> None:
        """Note what has to be tried because of the races of this run, and go on to the next one."""
        steps, ignored = run.steps, self.ground.keys.ignored
        if ignored != self.ignored:  # a lane may be full, which was not known: races of earlier steps count as well
            self.ignored, self.past = ignored, []
        for j, i in [*races_of(steps, self.past, ignored)]:
            self._reverse(run, j, i)
        for j, pid in run.prevented:
            self.points[j].todo.add(pid)
        self._go_back(run)

    def _reverse(self, run: Trial, j: int, i: int) -> None:
        """Have the later step of a race come first in some run."""
        steps, past, point = run.steps, self.past, self.points[j]
        later = [k for k in range(j + 1, i) if not past[k] >> j & 1] + [i]
        mask = sum(1 << k for k in later)
        first = {steps[k].pid: None for k in later if not past[k] & mask}
        if any(pid in point.todo or pid in point.sleep for pid in first):
            return
        found = [pid for pid in first if pid in point.ready]
        wanted = steps[i].pid
        if found:
            point.todo.add(wanted if wanted in found else found[0])
        else:
            point.todo.update(point.ready)

    def _go_back(self, run: Trial) -> None:
        """Go to the last place where something is left to try."""
        steps = run.steps
        while self.points:
            depth = len(self.points) - 1
            point = self.points[depth]
            if depth < len(steps):
                point.tried[point.chosen] = steps[depth].footprint
            left = [
                pid for pid in point.ready if pid in point.todo and pid not in point.tried and pid not in point.sleep
            ]
            if left:
                point.chosen = left[0]
                del self.past[depth:]
                return
            self.points.pop()
        self.is_complete = True
