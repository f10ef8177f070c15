"""What all trials of an exploration have in common, and what a step leaves of itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from .callbacks import function_label
from .footprint import Footprint, Keys
from .processes import ProcessNames
from .tasks import ExploringLoop

if TYPE_CHECKING:
    from ...manager import RuntimeManager

__all__ = ["Act", "Ground", "Scenario", "Taken"]

Scenario = Callable[["RuntimeManager"], Coroutine[Any, Any, object]]
Act = tuple[str, str, Any]  # what was done, with which runtime, and the activity or outcome


class Ground:
    """What all runs of an exploration have in common.

    Args:
        scenario: What is run.
        seed: Of the managers, and of `random`.
        early_timers: Whether timers may be due before what is ready has run.
        faults: What may go wrong in each run, once.
        most_steps: After so many steps a run is cut.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int = 0,
        early_timers: bool = False,
        faults: tuple[str, ...] = (),
        most_steps: int = 2_000,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.early_timers = early_timers
        self.faults = faults
        self.most_steps = most_steps
        self.keys = Keys()
        self.names = ProcessNames()
        self.loop = ExploringLoop()
        self.numbers: dict[tuple[int, int], int] = {}  # ids, by who draws them and how many it has drawn
        self.names.number(("main",), function_label(scenario))

    def close(self) -> None:
        """Close the loop."""
        self.loop.close()


class Taken:
    """A step that was taken."""

    __slots__ = ("acts", "cause", "footprint", "pid", "rivals")

    def __init__(self, pid: int, cause: int, rivals: int, footprint: Footprint, acts: tuple[Act, ...]) -> None:
        self.pid = pid
        self.cause = cause  # the steps without which it could not be taken, as bits
        self.rivals = rivals  # earlier steps that could have come later, whatever they touch
        self.footprint = footprint
        self.acts = acts
