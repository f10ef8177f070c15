"""How waits grow with the load: what theory says for this mix of activities, and where it stands now."""

from __future__ import annotations

import math

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter, Range1d
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from ...activity import Lane
from ...queueing import Stream, mean_waits, utilisation
from ..html import p, with_glyph
from ..layout import WIDE
from ..live import Live
from ..text import duration, percent
from ..theme import LANES, NEUTRAL, style
from ..timeline.axes import Scale
from .queue_window import Reading

__all__ = ["Curve"]

POINTS = 60
END = 1.1
KEY = p(
    "Mean wait over load. Lines are predicted, dots measured: ",
    *(with_glyph(LANES["priority"]), " solid, ", with_glyph(LANES["standard"]), " dashed."),
    cls="muted",
)
UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


class Curve:
    """Mean waits of both lanes over the load: lines; dots where they were measured; a dotted line at the load now."""

    def __init__(self, height: int = 260) -> None:
        self.unit = ""
        self.scale = Scale(1.0)
        self.lines = ColumnDataSource({"load": [], **{lane.value: [] for lane in Lane}})
        self.dots = ColumnDataSource({name: [] for name in ("load", "wait", "tone", "words")})
        self.now = Span(location=0, dimension="height", line_color=NEUTRAL, line_dash="dotted")
        self.plot = figure(
            height=height,
            sizing_mode="stretch_width",
            x_range=Range1d(start=0, end=END),
            y_range=self.scale.range,
            x_axis_label="load: work that comes in per second of time",
            tools="",
            toolbar_location=None,
        )
        self._draw_marks()
        style(self.plot)
        self.plot.xaxis.formatter = NumeralTickFormatter(format="0 %")
        drawn = pn.pane.Bokeh(self.plot, sizing_mode="stretch_width", margin=0)
        self.panel = pn.Column(Live(KEY), drawn, **WIDE)

    def _draw_marks(self) -> None:
        for lane in Lane:
            look = LANES[lane.value]
            dash = "solid" if lane is Lane.PRIORITY else "dashed"
            self.plot.line(
                "load",
                lane.value,
                source=self.lines,
                color=look.tone,
                line_width=2,
                line_dash=dash,
            )
        dots = self.plot.scatter("load", "wait", source=self.dots, size=11, color="tone", line_color=NEUTRAL)
        full = Span(location=1, dimension="height", line_color=NEUTRAL, line_width=1)
        self.plot.add_layout(full)
        self.plot.add_layout(self.now)
        self.plot.add_tools(HoverTool(tooltips=[("", "@words")], renderers=[dots]))

    def draw(self, reading: Reading) -> None:
        """Show this reading."""
        streams = (reading.priority.stream, reading.standard.stream)
        load = utilisation(*streams)
        if load <= 0:
            return
        queues = [(lane, q) for lane, q in zip(Lane, (reading.priority, reading.standard), strict=True) if q.ran]
        top = max([q.wait for _, q in queues] + [w for w in mean_waits(*streams) if math.isfinite(w)], default=0.0)
        size, unit = next((each for each in UNITS if top >= each[0]), UNITS[-1])
        if unit != self.unit:
            self.unit = unit
            self.plot.yaxis.axis_label = f"mean wait ({unit})"
        self.scale.fit(max(top / size, 1e-9), room=1.8)
        self._lines(streams, load, size)
        place = min(load, END - 0.02)
        self.now.location = place
        self.dots.data = {
            "load": [place] * len(queues),
            "wait": [queue.wait / size for _, queue in queues],
            "tone": [LANES[lane.value].tone for lane, _ in queues],
            "words": [
                f"{lane.value}: {duration(q.wait)} measured, at a load of {percent(load, 1)}" for lane, q in queues
            ],
        }

    def _lines(self, streams: tuple[Stream, Stream], load: float, size: float) -> None:
        columns: dict[str, list[float]] = {"load": [], **{lane.value: [] for lane in Lane}}
        for step in range(POINTS):
            at = step / POINTS
            scaled = [stream._replace(rate=stream.rate * at / load) for stream in streams]
            columns["load"].append(at)
            for lane, wait in zip(Lane, mean_waits(scaled[0], scaled[1]), strict=True):
                columns[lane.value].append(wait / size)
        self.lines.data = columns
