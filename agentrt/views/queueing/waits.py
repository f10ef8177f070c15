"""Did urgent activities really overtake? The waits of both lanes side by side, over time."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool

from ...activity import Lane
from ...events import Outcome
from ...metrics import LaneMetrics
from ..feed import News
from ..layout import WIDE
from ..live import Live
from ..text import count, duration
from ..theme import LANES
from ..timeline.axes import Scale, TimeAxis

__all__ = ["Waits", "overtaken"]

KEEP, LOOKED = 2000, 300
SLOTS = 24  # pieces of the time in view, each with its percentiles
EVERY = 0.5
CSS = """
.say { font-size: var(--t2); line-height: 1.45; margin-bottom: var(--s2); }
table { border-collapse: collapse; } th, td { padding: 3px 14px 3px 0; text-align: right; }
th { color: var(--rt-muted); font-weight: 600; font-size: var(--t0); }
th:first-child, td:first-child { text-align: left; }
"""
COLUMNS = ("at", "p50", "p95", "words")


def overtaken(outcomes: list[Outcome]) -> tuple[int, int]:
    """How many urgent activities overtook others, and how many standard ones they overtook.

    One is overtaken by one that came later and was done earlier: a runtime does one at a time. However many pass it, it
    is one that was overtaken.
    """
    ran = [each for each in outcomes if each.started is not None]
    urgent = [each for each in ran if each.lane is Lane.PRIORITY]
    standard = [each for each in ran if each.lane is Lane.STANDARD]

    def passed(first: Outcome, other: Outcome) -> bool:
        return first.id > other.id and first.sequence < other.sequence

    who = sum(any(passed(each, other) for other in standard) for each in urgent)
    whom = sum(any(passed(each, other) for each in urgent) for other in standard)
    return who, whom


class Waits(pn.viewable.Viewer):
    """The waits of one runtime: a sentence, the percentiles since it began, and how they went of late."""

    def __init__(self, runtime: Any) -> None:
        super().__init__()
        self.runtime = runtime
        self.axis = TimeAxis(runtime.manager.clock)
        self.outcomes: deque[Outcome] = deque(maxlen=KEEP)
        self.sources = {lane: ColumnDataSource({name: [] for name in COLUMNS}) for lane in Lane}
        self.scale = Scale(1.0)
        self.drawn_at = 0.0
        self.behind = True  # something ended, or began to wait, that is not drawn yet
        self.waiting = (0, 0)
        self.said = Live(css=CSS)
        self.panel = pn.Column(self.said, pn.pane.Bokeh(self._plot(), sizing_mode="stretch_width", margin=0), **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    def _plot(self) -> Any:
        plot = self.axis.figure(200, y_range=self.scale.range, y_axis_label="wait (s)")
        for lane, source in self.sources.items():
            tone = LANES[lane.value].tone
            upper = plot.line("at", "p95", source=source, line_color=tone, line_width=2.5)
            dots = plot.scatter("at", "p95", source=source, size=6, fill_color=tone, line_color=None)
            plot.line("at", "p50", source=source, line_color=tone, line_width=1.5, line_dash="dotted")
            plot.add_tools(HoverTool(tooltips=[("", "@words")], renderers=[upper, dots]))
        return plot

    def update(self, news: News) -> bool:
        """Take in what ended; draw twice a second at the most. True while what it draws moves out of view."""
        mine = [each for each in news.of.get(self.runtime.id, []) if isinstance(each, Outcome)]
        self.outcomes.extend(each for each in mine if each.started is not None)
        self.behind = self.behind or bool(mine) or self.runtime.depth != self.waiting
        if not news.first and time.monotonic() - self.drawn_at < EVERY:
            return True
        self.drawn_at = time.monotonic()
        self.axis.move(news.at)
        recent = [each for each in self.outcomes if each.finished > news.at - self.axis.span]
        if self.behind or news.first:
            self.behind, self.waiting = False, self.runtime.depth
            self.said.draw(self._html(recent))
            self._draw(recent)
        return bool(recent)

    def _draw(self, recent: list[Outcome]) -> None:
        slot = self.axis.span / SLOTS
        top = 0.0
        for lane, source in self.sources.items():
            found: dict[int, list[float]] = {}
            for outcome in recent:
                if outcome.lane == lane:
                    found.setdefault(int((outcome.started or 0.0) / slot), []).append(outcome.wait)
            rows = [self._point(lane, slot * (at + 0.5), sorted(found[at])) for at in sorted(found)]
            source.data = {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}
            top = max([top, *(row[2] for row in rows)])
        self.scale.fit(max(top, 1e-3))

    def _point(self, lane: Lane, at: float, sorted_: list[float]) -> tuple[float, float, float, str]:
        half, most = sorted_[(len(sorted_) - 1) // 2], sorted_[int(0.95 * (len(sorted_) - 1) + 0.5)]
        words = f"{lane.value}: {count(len(sorted_), 'activity')}, half waited less than {duration(half)}, "
        return self.axis.ms(at), half, most, words + f"95 of 100 less than {duration(most)}"

    def _html(self, recent: list[Outcome]) -> str:
        shot = self.runtime.snapshot()
        metrics, (priority, standard) = shot.metrics, shot.depth
        urgent, passed = overtaken(recent[-LOOKED:])
        span = duration(self.axis.span)
        rows = _row(Lane.PRIORITY, metrics.priority, priority) + _row(Lane.STANDARD, metrics.standard, standard)
        names = ("wait, since it began", "count", "p50", "p95", "p99", "longest", "waiting now")
        head = "".join(f"<th>{name}</th>" for name in names)
        return f"""<p class="say" role="status">{_sentence(metrics, urgent, passed, span)}</p>
          <table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
          <p class="muted" style="margin-top:8px">The last {span}. Line: 95 of 100 waited less. Dotted: half.</p>"""


def _row(lane: Lane, metrics: LaneMetrics, waiting: int) -> str:
    look, wait = LANES[lane.value], metrics.wait
    values = [f"{wait.count:,}", *(duration(each) for each in (wait.p50, wait.p95, wait.p99, wait.max))]
    name = f'<span class="tone" style="--tone:{look.tone}">{look.glyph} {look.word}</span>'
    cells = "".join(f"<td>{each if wait.count else '—'}</td>" for each in values)
    return f"<tr><td>{name}</td>{cells}<td>{waiting:,}</td></tr>"


def _sentence(metrics: Any, urgent: int, passed: int, span: str) -> str:
    first, second = metrics.priority.wait, metrics.standard.wait
    if not first.count and not second.count:
        return "Nothing was processed yet: there are no waits to compare."
    if not first.count:
        return "Nothing urgent came yet. Send with <code>priority=True</code> to see it overtake."
    if not second.count:
        return "All of it was urgent: there was nothing to overtake."
    times = f", {second.p95 / first.p95:,.0f} times as long" if first.p95 > 0 and second.p95 >= 1.5 * first.p95 else ""
    overtook = (
        f"{count(urgent, 'urgent activity')} overtook {count(passed, 'standard one')} in the last {span}."
        if passed
        else f"In the last {span} nothing was overtaken: nothing waited when urgent ones came."
    )
    return (
        f"{overtook} Since it began, of 100 urgent activities 95 waited less than {duration(first.p95)}; "
        f"of 100 standard ones, less than {duration(second.p95)}{times}."
    )
