"""A time for several managers: the bar that sets it, and each manager's summary as it was then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.source import Rewindable, Source
from ..app.time_bar import CSS, LOOK, PARTS
from ..html import div, quiet, span, strong
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live

__all__ = ["CommonTimeBar", "find_moment"]

NO_HISTORY = "It keeps no history that far back."
NOT_BEGUN = "Nothing had happened in it yet."
NO_TIME = "It can't be looked at as it was."


def find_moment(source: Source, at: float) -> tuple[int | None, str]:
    """The moment of a manager at a time, in seconds since 1970; without one, why there is none.

    Args:
        source: What the manager is read from.
        at: The time.
    """
    if not isinstance(source, Rewindable):
        return None, NO_TIME
    events = source.events()
    place = bisect_right(events, at, key=lambda each: source.wall(each[1].at).timestamp())
    if place:
        return events[place - 1][0], ""
    return None, NO_HISTORY if source.frame().missed else NOT_BEGUN


class CommonTimeBar:
    """Sets a time with `slider`, and goes back to now. `at` is in seconds since 1970; None is now.

    Args:
        changed: Called when a person has set another time.
    """

    def __init__(self, changed: Callable[[], Any]) -> None:
        self.changed = changed
        self.at: float | None = None
        self._since = self._until = 0.0
        self.slider = pmui.IntSlider(
            label="time", start=0, end=PARTS, value=PARTS, show_value=False, sizing_mode="stretch_width", **LOOK
        )
        self.slider.param.watch(self._drag, "value_throttled")
        self.now = pmui.Button(label="Back to live", icon=icon("play"), variant="contained", size="small", margin=0)
        self.now.on_click(lambda event: self.go(None))
        self.live = Live(span(span("● ", cls="dot"), "live", cls="now"), css=CSS, sizing_mode=None, width=56)
        self.words = Live(css=CSS)
        room = {**WIDE["styles"], "flex": "1 1 200px", "padding": "0 8px"}
        slide = pn.Column(self.slider, **{**WIDE, "styles": room})
        styles = {**WIDE["styles"], "gap": "8px"}
        self.panel = pn.Column(line(self.live, self.now, slide), self.words, **{**WIDE, "styles": styles})
        self._arrange()

    def set_range(self, since: float | None, until: float) -> None:
        """From when to when there is anything to look at; it stays while an earlier time is shown."""
        if self.at is None:
            self._since, self._until = (until if since is None else since), until
            disabled = since is None or since >= until
            if self.slider.disabled != disabled:
                self.slider.disabled = disabled

    def go(self, at: float | None) -> None:
        """Show this time; now without one."""
        self.at = at
        self._arrange()
        self.changed()

    def _drag(self, event: Any) -> None:
        if event.new == self._place():
            return
        self.go(None if event.new >= PARTS else self._since + (self._until - self._since) * event.new / PARTS)

    def _place(self) -> int:
        if self.at is None or self._until <= self._since:
            return PARTS
        return round((self.at - self._since) / (self._until - self._since) * PARTS)

    def _arrange(self) -> None:
        then = self.at is not None
        for pane, visible in ((self.live, not then), (self.now, then), (self.words, then)):
            if pane.visible != visible:
                pane.visible = visible
        if self.slider.value != self._place():
            self.slider.value = self._place()
        self.words.draw(None if self.at is None else _past_words(self.at))


def _past_words(at: float) -> Any:
    time = f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    past = quiet("This is the past, each manager as it was then; the agents go on.")
    return div(span("All managers at ", strong(time), "."), past, cls="when then", role="status")
