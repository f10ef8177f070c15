"""The time axis that every plot of a view shares: the last minute, as the agents' clock counts it."""

from __future__ import annotations

from typing import Any

from bokeh.core.properties import expr
from bokeh.models import CustomJSExpr, CustomJSTickFormatter, DatetimeTicker, NoOverlap, Range1d
from bokeh.plotting import figure

from ...feed.source import Time
from ..pace import window
from ..theme import style

__all__ = ["Scale", "TimeAxis", "time_bars"]

LEAST = 1e-3

# Hours, minutes and seconds of the date of a reading; with fractions where the ticks are closer than a second.
TICKS = """
const iso = new Date(tick).toISOString().slice(11)
const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1000
return step < 1000 ? iso.slice(3, 10) : step < 60000 ? iso.slice(0, 8) : iso.slice(0, 5)
"""


BETWEEN = """
const [from, to] = [this.data[left], this.data[right]]
return Float64Array.from(to, (at, i) => wide ? at - from[i] : (at + from[i]) / 2)
"""


def time_bars(plot: Any, left: str, right: str, **look: Any) -> Any:
    """Bars from one column to another; `look` has the rest of what a rectangle of Bokeh takes.

    Not its `hbar`: that draws what lies left of the plot as a line along the edge.
    """
    x, width = (
        expr(CustomJSExpr(args={"left": left, "right": right, "wide": wide}, code=BETWEEN)) for wide in (False, True)
    )
    return plot.rect(x=x, width=width, **look)


class TimeAxis:
    """One range for all plots of a view: one change moves them all. Positions are milliseconds of a date."""

    def __init__(self, clock: Time) -> None:
        self.clock = clock
        self._origin = self._ms_of(0.0)
        self.range = Range1d()
        self.move(clock.now())

    def _ms_of(self, at: float) -> float:
        wall = self.clock.wall(at)
        offset = wall.utcoffset()
        return (wall.timestamp() + (offset.total_seconds() if offset else 0.0)) * 1000

    def ms(self, at: float) -> float:
        """Where a reading of the clock (seconds) is on the axis."""
        return self._origin + at * 1000

    @property
    def span(self) -> float:
        """Seconds of the agents' clock in view."""
        return window(self.clock.speed)

    def move(self, now: float) -> None:
        """Move the axis: it ends a little after `now`."""
        span = self.span * 1000
        end = self.ms(now) + span * 0.01
        self.range.update(start=end - span, end=end)

    def figure(self, height: int, **options: Any) -> Any:
        """An empty plot on this axis."""
        plot = figure(
            height=height,
            x_range=self.range,
            x_axis_type="datetime",
            sizing_mode="stretch_width",
            tools="",
            toolbar_location=None,
            **options,
        )
        plot.xaxis.formatter = CustomJSTickFormatter(code=TICKS)
        plot.xaxis.ticker = DatetimeTicker(desired_num_ticks=4)
        plot.xaxis.major_label_policy = NoOverlap(min_distance=16)  # on a narrow page there is room for fewer
        return style(plot)


class Scale:
    """The value axis, from 0. It grows at once and shrinks only when far too large, so that the plot does not jump."""

    def __init__(self, top: float) -> None:
        self.top = top
        self.range = Range1d(start=0, end=top)

    def fit(self, most: float, room: float = 1.25) -> None:
        """Make room for `most`."""
        if most > self.top or most < self.top * 0.4:
            self.top = most * room
            self.range.end = self.top
