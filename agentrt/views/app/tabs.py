"""Panes of which one is shown and fed at a time. Each is made when it is chosen: a hidden one costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ..feed import Schedule, run_now
from ..layout import WIDE

__all__ = ["TAB_LOOK", "Tabs"]

TAB_LOOK = {
    ".MuiTab-root": {"textTransform": "none", "minHeight": "36px", "padding": "4px 14px", "fontSize": "14px"},
    ".MuiTabs-root": {"minHeight": "36px"},
    # On a narrow page in two lines: a tab beyond the edge could not be reached.
    ".MuiTabs-list, .MuiTabs-flexContainer": {"flexWrap": "wrap"},
    # The line of the strip is always in its last row, so each tab has a line of its own.
    ".MuiTabs-indicator": {"display": "none"},
    ".MuiTab-root.Mui-selected": {"boxShadow": "inset 0 -2px currentColor"},
}
Make = Callable[[], Any]


class Tabs:
    """`makers` by title, each of a viewable with `update(update)`. `on_choose(title)` is called for another choice.

    `follow(view)` feeds a view, and returns the call that ends that.
    """

    def __init__(
        self,
        makers: dict[str, Make],
        follow: Callable[[Any], Callable[[], Any]],
        *,
        first: str = "",
        on_choose: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
    ) -> None:
        self.makers = makers
        self.follow = follow
        self.on_choose = on_choose
        self._end: Callable[[], Any] | None = None
        # The strip itself is empty: a plot in it while the page loads is drawn without a size.
        self.holder = pn.Column(**{**WIDE, "margin": (8, 0, 0, 0)})
        titles = list(makers)
        self.strip = pmui.Tabs(
            *((title, pn.Spacer(height=0, margin=0)) for title in titles),
            active=titles.index(first) if first in makers else 0,
            sizing_mode="stretch_width",
            margin=0,
            sx=TAB_LOOK,
        )
        self.strip.param.watch(lambda event: schedule(self._switch), "active")
        self.panel = pn.Column(self.strip, self.holder, **WIDE)
        self._show()

    @property
    def title(self) -> str:
        """The title of the one that is shown."""
        return list(self.makers)[self.strip.active]

    def _switch(self) -> None:
        self._show()
        if self.on_choose is not None:
            self.on_choose(self.title)

    def _show(self) -> None:
        self.end()
        view = self.makers[self.title]()
        self.holder.objects = [view]
        self._end = self.follow(view)

    def end(self) -> None:
        """Stop feeding the one that is shown. Idempotent."""
        end, self._end = self._end, None
        if end is not None:
            end()
        self.holder.clear()
