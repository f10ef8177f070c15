"""The other ways to choose an order: at random, by priorities that change, all without reduction, or a given one."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .ground import Ground
from .processes import CLOCK
from .reduction import ChoicePoint, Reduction
from .trial import Trial

__all__ = ["EveryOrder", "Following", "PriorityChanges", "RandomWalk", "stay_or_first"]

DEPTH = 3  # how many orders of two steps a fault takes, at most, that PCT has a guarantee for


def stay_or_first(run: Trial, ready: list[int]) -> int:
    """Go on with the process that took the last step, if it can; else with the first that can."""
    last = run.steps[-1].pid if run.steps else -1
    return last if last in ready and last != CLOCK else ready[0]


class EveryOrder(Reduction):
    """Every order of the steps, those that make no difference as well: to compare with, for the smallest scenarios."""

    def choose(self, run: Trial, ready: list[int]) -> int | None:
        """The next process, all others being noted."""
        depth = len(run.steps)
        if depth < len(self.points):
            chosen = self.points[depth].chosen
            run.diverged = chosen not in ready
            return None if run.diverged else chosen
        point = ChoicePoint(ready, {}, ready[0])
        point.todo.update(ready)
        self.points.append(point)
        return ready[0]

    def learn(self, run: Trial) -> None:
        """Go on to the next order."""
        self._go_back(run)


class RandomWalk:
    """Each step is taken by any of those that can, all with the same chance."""

    is_complete = False

    def __init__(self, ground: Ground) -> None:
        self.chance = random.Random(ground.seed)

    def choose(self, run: Trial, ready: list[int]) -> int:
        """Any of them."""
        return self.chance.choice(ready)

    def learn(self, run: Trial) -> None:
        """Nothing."""


class PriorityChanges:
    """Probabilistic concurrency testing: the process of the highest priority goes on, and that changes twice in a run.

    A fault that takes d orders of two steps is found in a run with a chance of at least 1 / (n k^(d - 1)), for n
    processes and k steps (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010). Here d is 3.
    """

    is_complete = False

    def __init__(self, ground: Ground) -> None:
        self.chance = random.Random(ground.seed)
        self.length = 1
        self._begin()

    def _begin(self) -> None:
        self.priorities: dict[int, float] = {}
        self.changes = {self.chance.randrange(self.length): -n for n in range(1, DEPTH)}

    def choose(self, run: Trial, ready: list[int]) -> int:
        """The one of the highest priority; at a change it gets the lowest from then on."""
        for pid in ready:
            if pid not in self.priorities:
                self.priorities[pid] = self.chance.random()
        best = max(ready, key=self.priorities.__getitem__)
        change = self.changes.pop(len(run.steps), None)
        if change is not None:
            self.priorities[best] = change
            best = max(ready, key=self.priorities.__getitem__)
        return best

    def learn(self, run: Trial) -> None:
        """How long a run is, for the places of the changes in the next one."""
        self.length = max(self.length, len(run.steps))
        self._begin()


class Following:
    """Follows a schedule as far as the run has the processes of it; then whoever can goes on.

    `strayed` is the first step at which the process of the schedule could not go on; None if each could.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.next = 0
        self.strayed: int | None = None

    def choose(self, run: Trial, ready: list[int]) -> int:
        """The process that the schedule says."""
        labels = run.ground.names.labels
        while self.next < len(self.names):
            name = self.names[self.next]
            self.next += 1
            found = next((pid for pid in ready if labels[pid] == name), None)
            if found is not None:
                return found
            if self.strayed is None:
                self.strayed = self.next - 1
        return stay_or_first(run, ready)
