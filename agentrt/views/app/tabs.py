"""Panes of which one is shown and fed at a time; each is made when it is chosen, so what is hidden costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ..layout import WIDE
from ..runtime.steer import Soon, at_once

__all__ = ["TAB_LOOK", "Tabs"]

TAB_LOOK = {
    ".MuiTab-root": {"textTransform": "none", "minHeight": "36px", "padding": "4px 14px", "fontSize": "14px"},
    ".MuiTabs-root": {"minHeight": "36px"},
    # On a narrow page in two lines: what sticks out of one could not be reached.
    ".MuiTabs-list, .MuiTabs-flexContainer": {"flexWrap": "wrap"},
}
Make = Callable[[], Any]


class Tabs:
    """`makers` by title; each makes a viewable with `update(update)`. `chosen(title)` is told when another is chosen.

    `follow(view)` has one fed, and returns what ends that.
    """

    def __init__(
        self,
        makers: dict[str, Make],
        follow: Callable[[Any], Callable[[], Any]],
        *,
        first: str = "",
        chosen: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        self.makers = makers
        self.follow = follow
        self.chosen = chosen
        self._end: Callable[[], Any] | None = None
        # The strip holds nothing: a plot that is in it when the page is loaded is drawn without a size.
        self.holder = pn.Column(**{**WIDE, "margin": (8, 0, 0, 0)})
        titles = list(makers)
        self.strip = pmui.Tabs(
            *((title, pn.Spacer(height=0, margin=0)) for title in titles),
            active=titles.index(first) if first in makers else 0,
            sizing_mode="stretch_width",
            margin=0,
            sx=TAB_LOOK,
        )
        self.strip.param.watch(lambda event: soon(self._turned), "active")
        self.panel = pn.Column(self.strip, self.holder, **WIDE)
        self._show()

    @property
    def title(self) -> str:
        """Which is shown."""
        return list(self.makers)[self.strip.active]

    def _turned(self) -> None:
        self._show()
        if self.chosen is not None:
            self.chosen(self.title)

    def _show(self) -> None:
        self.end()
        view = self.makers[self.title]()
        self.holder.objects = [view]
        self._end = self.follow(view)

    def end(self) -> None:
        """Feed none any more. Idempotent."""
        end, self._end = self._end, None
        if end is not None:
            end()
        self.holder.clear()
