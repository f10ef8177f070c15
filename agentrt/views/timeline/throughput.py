"""How many activities end per second: both lanes stacked, failures on top of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool

from ...events import Outcome
from ...snapshot import Snapshot
from ..feed import Update
from ..html import br, div
from ..theme import FATES, LANES
from .axes import Scale, TimeAxis

__all__ = ["Throughput"]

BARS = 60
PARTS = {"standard": LANES["standard"].tone, "priority": LANES["priority"].tone, "failed": FATES["failed"].tone}
MIDDLES = {part: f"{part} middle" for part in PARTS}  # of its bar, above those of the parts before it
COUNTS = "@standard{0.[0]} standard, @priority{0.[0]} priority,", br(), "@failed{0.[0]} failed"
HOVER = str(div(*COUNTS, style="font: 12px system-ui"))
FAST = 10  # from this speed of the clock on, the unit is a minute


class Throughput:
    """The plot: a bar for each second of real time, whatever the speed of the agents' clock."""

    def __init__(self, axis: TimeAxis, height: int = 170) -> None:
        self.axis = axis
        self.width = axis.span / BARS
        self.counts: dict[int, Counter[str]] = {}
        self.source = ColumnDataSource({name: [] for name in ("at", "width", *PARTS, *MIDDLES.values())})
        self.scale = Scale(5)
        self.unit = 60 if axis.span >= 60 * FAST else 1
        label = f"ended per {'minute' if self.unit == 60 else 'second'}"
        self.plot = axis.figure(height, y_range=self.scale.range, y_axis_label=label)
        # Not Bokeh's `vbar_stack`: see `time_bars`.
        stack = [
            self.plot.rect(
                x="at",
                width="width",
                y=MIDDLES[part],
                height=part,
                fill_color=tone,
                line_color=None,
                source=self.source,
            )
            for part, tone in PARTS.items()
        ]
        self.plot.add_tools(HoverTool(tooltips=HOVER, renderers=stack))
        self.panel = pn.pane.Bokeh(self.plot, sizing_mode="stretch_width", margin=0)

    def draw(self, snapshot: Snapshot, update: Update, records: list[Any]) -> None:
        """Count what ended."""
        if self.width != self.axis.span / BARS:
            self.width, self.counts = self.axis.span / BARS, {}
            self.unit = 60 if self.axis.span >= 60 * FAST else 1
            self.plot.yaxis.axis_label = f"ended per {'minute' if self.unit == 60 else 'second'}"
        if self._take(records):
            self._show()

    def _take(self, records: list[Any]) -> bool:
        ended = [record for record in records if isinstance(record, Outcome) and record.was_processed]
        for outcome in ended:
            part = outcome.lane.value if outcome.ok else "failed"
            self.counts.setdefault(int(outcome.finished / self.width), Counter())[part] += 1
        for slot in sorted(self.counts)[: -BARS * 2]:
            del self.counts[slot]
        return bool(ended)

    def _show(self) -> None:
        slots = sorted(self.counts)
        # Per second of the agents' clock, like every other number of the view.
        columns = {part: [self.counts[slot][part] / self.width * self.unit for slot in slots] for part in PARTS}
        at = [self.axis.ms((slot + 0.5) * self.width) for slot in slots]
        middles, tops = {}, [0.0] * len(slots)
        for part, middle in MIDDLES.items():
            middles[middle] = [top + count / 2 for top, count in zip(tops, columns[part], strict=True)]
            tops = [top + count for top, count in zip(tops, columns[part], strict=True)]
        self.source.data = {"at": at, "width": [self.width * 900] * len(slots), **columns, **middles}
        self.scale.fit(max(tops, default=1.0))
