"""Both lanes in numbers, side by side: how full, how long activities wait, how long they take."""

from __future__ import annotations

from ...metrics import LaneMetrics, Percentiles
from ...snapshot import Snapshot
from ..live import Live
from ..text import duration, percent
from ..theme import LANES, Look

__all__ = ["Lanes", "fill", "lanes_html"]

CSS = """
.lanes { display: grid; grid-template-columns: 1fr 1fr; gap: var(--s4); }
.lane { padding-top: var(--s2); border-top: 3px solid var(--tone); min-width: 0; }
.lane .big { font-size: var(--t4); font-weight: 600; line-height: 1.15; }
.lane dl { display: grid; grid-template-columns: auto 1fr 1fr; gap: 2px var(--s2); margin-top: var(--s2); }
.lane dt { color: var(--rt-muted); } .lane dd { text-align: right; white-space: nowrap; }
"""


def fill(depth: int, capacity: int, tone: str, words: str) -> str:
    """A bar as full as a lane. One activity is always to be seen."""
    width = 0.0 if not depth or not capacity else min(100.0, max(2.0, 100 * depth / capacity))
    bar = f'<b style="width:{width:.1f}%"></b>'
    return f'<span class="bar" style="--tone:{tone}" role="img" aria-label="{words}">{bar}</span>'


def lanes_html(snapshot: Snapshot) -> str:
    """The two columns."""
    metrics = snapshot.metrics
    parts = [metrics.priority, metrics.standard] if metrics else [None, None]
    cells = zip(LANES.values(), snapshot.depth, snapshot.capacity, parts, strict=True)
    return f'<div class="lanes">{"".join(_lane(*cell) for cell in cells)}</div>'


def _lane(look: Look, depth: int, capacity: int, metrics: LaneMetrics | None) -> str:
    words = f"{look.word} lane: {depth:,} of {capacity:,} waiting, {percent(depth, capacity)} full"
    times = _times(metrics) if metrics is not None else ""
    return f"""<section class="lane" style="--tone:{look.tone}">
      <div class="tone"><span aria-hidden="true">{look.glyph}</span> {look.word}</div>
      <div><span class="big">{depth:,}</span> <span class="muted">of {capacity:,} waiting</span></div>
      {fill(depth, capacity, look.tone, words)}{times}</section>"""


def _times(metrics: LaneMetrics) -> str:
    rows = (("wait", metrics.wait), ("service", metrics.service))
    cells = "".join(f"<dt>{name}</dt>{_time(of.p50, of)}{_time(of.p95, of)}" for name, of in rows)
    heads = '<dd class="muted" title="half took less">p50</dd><dd class="muted" title="95 of 100 took less">p95</dd>'
    return f"<dl><dt></dt>{heads}{cells}</dl>"


def _time(seconds: float, of: Percentiles) -> str:
    return f"<dd>{duration(seconds if of.count else None)}</dd>"


class Lanes:
    """The pane."""

    def __init__(self) -> None:
        self.panel = Live(css=CSS)

    def draw(self, snapshot: Snapshot) -> None:
        """Show the lanes of this snapshot."""
        self.panel.draw(lanes_html(snapshot))
