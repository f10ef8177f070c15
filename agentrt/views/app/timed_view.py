"""A view with a time bar above it: it is made anew for each moment that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from ..feed import Schedule
from ..layout import WIDE
from .time_bar import TimeBar
from .vantage import Vantage

__all__ = ["TimedView"]


class TimedView:
    """Shows what `make()` makes from the vantage, now or at a moment.

    Args:
        vantage: What the view is drawn from; it is changed before each call of `make`.
        make: Makes the view.
        schedule: Runs a call where models may be changed.
        runtime: The id of the runtime that is shown; None for all.
    """

    def __init__(
        self, vantage: Vantage, make: Callable[[], Any], schedule: Schedule, runtime: str | None = None
    ) -> None:
        self.vantage = vantage
        self.make = make
        self.runtime = runtime
        source, _, commands = vantage.now
        self.bar = TimeBar(source, lambda moment: schedule(lambda: self.show(moment)), commands, schedule)
        self.place = pn.Column(**WIDE)
        self._ends: list[Callable[[], Any]] = []

    def show(self, moment: int | None) -> None:
        """Show how it was after a record, or how it is. Call it where models may be changed."""
        while self._ends:
            self._ends.pop()()
        problem = self.vantage.use(moment)
        view = self.make()
        self._ends.append(self.vantage.feed.follow(view))
        end = getattr(view, "end", None)
        if end is not None:
            self._ends.append(end)
        self.place.objects = [view if isinstance(view, pn.viewable.Viewer) else view.panel]
        self.bar.show(self.vantage.moment, self.runtime, problem)
