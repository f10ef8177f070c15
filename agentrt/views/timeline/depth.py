"""How many activities wait: both lanes over time on one scale, with their capacities as lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.annotations import Span
from bokeh.models.glyphs import VAreaStep
from bokeh.models.renderers import GlyphRenderer

from ...activity import Lane
from ...snapshot import Snapshot
from ..feed import Update
from ..html import br, div
from ..theme import LANES
from .axes import Scale, TimeAxis

__all__ = ["Depth", "depth_history"]

KEEP = 1200  # points: two minutes at ten a second
BEGIN = 300  # points of the past, with the first update
SEEN = 600  # points in view, which set the scale

Point = tuple[float, int, int]


def depth_history(records: Iterable[Any], depth: tuple[int, int], now: float) -> list[Point]:
    """The depth of both lanes at each change, computed backwards from the depth now.

    An activity enters its lane when it is accepted and leaves it when it starts, or when it ends without a start.
    """
    priority, standard = depth
    points: list[Point] = [(now, priority, standard)]
    for at, lane, change in sorted(_changes(records), key=lambda each: each[0], reverse=True):
        points.append((at, priority, standard))
        if lane == Lane.PRIORITY:
            priority = max(0, priority - change)
        else:
            standard = max(0, standard - change)
    return points[::-1]


def _changes(records: Iterable[Any]) -> Iterable[tuple[float, Lane, int]]:
    for record in records:
        if record.kind == "accepted":
            yield record.at, record.lane, 1
        elif hasattr(record, "fate"):
            yield record.finished if record.started is None else record.started, record.lane, -1


class Depth:
    """The plot. `draw` adds one point a flush."""

    def __init__(self, axis: TimeAxis, height: int = 190) -> None:
        self.axis = axis
        self.source = ColumnDataSource({"at": [], "priority": [], "standard": []})
        self.scale = Scale(10)
        self.plot = axis.figure(height, y_range=self.scale.range, y_axis_label="activities waiting")
        self.plot.yaxis.ticker.min_interval = 1
        self.areas: list[GlyphRenderer[VAreaStep]] = []
        self.capacities = {lane: self._lane(lane) for lane in ("standard", "priority")}
        self.plot.add_tools(HoverTool(tooltips=HOVER, mode="vline", renderers=self.plot.renderers[-1:]))
        self.panel = pn.pane.Bokeh(self.plot, sizing_mode="stretch_width", margin=0)

    def _lane(self, lane: str) -> Span:
        look = LANES[lane]
        # Bokeh's script never comes to an end of an area without points: it is hidden until it has some.
        area = self.plot.varea_step(
            "at", 0, lane, source=self.source, fill_color=look.tone, fill_alpha=0.22, step_mode="after", visible=False
        )
        self.areas.append(area)
        self.plot.step("at", lane, source=self.source, color=look.tone, line_width=2, mode="after")
        capacity = Span(location=0, dimension="width", line_color=look.tone, line_dash="dashed", line_width=1.5)
        self.plot.add_layout(capacity)
        return capacity

    def draw(self, snapshot: Snapshot, update: Update, records: list[Any]) -> None:
        """Add the depth of both lanes now; with the first update, their past too."""
        if update.first:
            points = depth_history(records, snapshot.depth, snapshot.at)[-BEGIN:]
        else:
            points = [(snapshot.at, *snapshot.depth)]
        if update.first or self._is_visible(points[0]):
            at, priority, standard = zip(*points, strict=True)
            self.source.stream(
                {"at": list(map(self.axis.ms, at)), "priority": list(priority), "standard": list(standard)}, KEEP
            )
            for area in self.areas:
                area.visible = True
        self._scale(snapshot)

    def _is_visible(self, point: Point) -> bool:
        """Whether the point changes the line: always, unless nothing waits and nothing changed."""
        data = self.source.data
        last = (data["priority"][-1], data["standard"][-1]) if len(data["at"]) else None
        return point[1:] != last or any(point[1:])

    def _scale(self, snapshot: Snapshot) -> None:
        self.scale.fit(max([4, *self.source.data["priority"][-SEEN:], *self.source.data["standard"][-SEEN:]]))
        for lane, capacity in zip(LANES, snapshot.capacity, strict=True):
            if self.capacities[lane].location != capacity:
                self.capacities[lane].location = capacity


HOVER = str(
    div("@priority waiting in the priority lane,", br(), "@standard in the standard lane", style="font: 12px system-ui")
)
