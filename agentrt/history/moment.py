"""A moment: all runtimes as they stood after one record. It can be looked at, and not changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from ..clock import Clock
from .branch import ClockChoice, EffectChoice, fork
from .cells import cell, table
from .source import MomentSource
from .world import World

__all__ = ["Moment"]

MOST_ROWS = 50  # of the table that a cell shows


class Moment(World):
    """All runtimes as they stood after a record. Made by `manager.at()`; any thread.

    Whatever happens later, it stays what it is: `moment["counter"].state`. What the runtimes do meanwhile does not
    concern it.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     counter = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     first = counter.send_nowait(5).result(5)
    ...     second = counter.send_nowait(6).result(5)
    ...     manager.at(first.sequence)["counter"].state, manager.at()["counter"].state
    (5, 11)
    """

    @cached_property
    def source(self) -> MomentSource:
        """What views of it are drawn from."""
        return MomentSource(self)

    def fork(
        self,
        effects: EffectChoice = "recorded",
        clock: ClockChoice | Clock = "virtual",
        workflows: Mapping[str, Callable[..., Any]] | None = None,
        paused: bool = False,
    ) -> Any:
        """Return a new manager in which everything stands as it stood then, and goes on. This one goes on untouched.

        What a runtime was processing then begins again, and gets the receipts of what it had sent; what waits has the
        same numbers. Receipts stay with the first
        manager. Supervision groups and breakpoints are not carried over, and nothing of it is stored.

        Args:
            effects: What `ctx.effect` gives: "recorded" what the record has, in its order, and an error once that is
                used up; "live" calls the functions; "forbidden" is an error.
            clock: "virtual" starts at the moment and leaps to what is due next; "real" passes as a real clock does.
            workflows: Other code, by the id of the runtime.
            paused: Whether all runtimes are paused at first.

        Raises:
            ConfigurationError: A value can't work, or the record does not have the workflow of a runtime.
        """
        return fork(self, effects, clock, workflows, paused)

    def _repr_html_(self) -> str:
        rows = [
            "".join(map(cell, (each.id, each.status.value, *each.depth, each.fates.done, each.state)))
            for each in self.snapshots()[:MOST_ROWS]
        ]
        more = f", the first {MOST_ROWS} of {len(self)}" if len(self) > MOST_ROWS else ""
        title = f"{self.origin.describe()} at {self.wall:%Y-%m-%d %H:%M:%S}, record {self.sequence}{more}"
        return table(title, ("runtime", "status", "priority", "standard", "done", "state"), rows)
