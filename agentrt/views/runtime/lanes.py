"""Both lanes in numbers, side by side: how full, how long activities wait, how long they take."""

from __future__ import annotations

from ...metrics import LaneMetrics, Percentiles
from ...snapshot import Snapshot
from ..html import Markup, b, dd, div, dl, dt, quiet, section, span, symbol
from ..live import Live
from ..text import duration, percent
from ..theme import LANES, Look

__all__ = ["Lanes", "fill_bar", "lanes_html"]

CSS = """
.lanes { display: grid; grid-template-columns: 1fr 1fr; gap: var(--s4); }
.lane { padding-top: var(--s2); border-top: 3px solid var(--tone); min-width: 0; }
.lane .big { font-size: var(--t4); font-weight: 600; line-height: 1.15; }
.lane dl { display: grid; grid-template-columns: auto 1fr 1fr; gap: 2px var(--s2); margin-top: var(--s2); }
.lane dt { color: var(--rt-muted); } .lane dd { text-align: right; white-space: nowrap; }
"""


def fill_bar(depth: int, capacity: int, tone: str, words: str) -> Markup:
    """A bar that is as full as a lane, wide enough to see from the first activity on. `words` describe it."""
    percent = 0.0 if not depth or not capacity else min(100.0, max(2.0, 100 * depth / capacity))
    return span(b(style=f"width:{percent:.1f}%"), cls="bar", style=f"--tone:{tone}", role="img", aria_label=words)


def lanes_html(snapshot: Snapshot) -> Markup:
    """The two columns."""
    metrics = snapshot.metrics
    parts = [metrics.priority, metrics.standard] if metrics else [None, None]
    cells = zip(LANES.values(), snapshot.depth, snapshot.capacity, parts, strict=True)
    return div([_lane_column(*cell) for cell in cells], cls="lanes")


def _lane_column(look: Look, depth: int, capacity: int, metrics: LaneMetrics | None) -> Markup:
    words = f"{look.word} lane: {depth:,} of {capacity:,} waiting, {percent(depth, capacity)} full"
    return section(
        div(symbol(look), " ", look.word, cls="tone"),
        div(span(f"{depth:,}", cls="big"), " ", quiet(f"of {capacity:,} waiting")),
        fill_bar(depth, capacity, look.tone, words),
        _percentiles(metrics) if metrics is not None else None,
        cls="lane",
        style=f"--tone:{look.tone}",
    )


def _percentiles(metrics: LaneMetrics) -> Markup:
    rows = (("wait", metrics.wait), ("service", metrics.service))
    p50, p95 = dd("p50", cls="muted", title="half took less"), dd("p95", cls="muted", title="95 of 100 took less")
    return dl(dt(), p50, p95, [(dt(name), _time(of.p50, of), _time(of.p95, of)) for name, of in rows])


def _time(seconds: float, of: Percentiles) -> Markup:
    return dd(duration(seconds if of.count else None))


class Lanes:
    """The pane."""

    def __init__(self) -> None:
        self.panel = Live(css=CSS)

    def draw(self, snapshot: Snapshot) -> None:
        """Show the lanes of this snapshot."""
        self.panel.draw(lanes_html(snapshot))
