"""Did priority activities overtake standard ones? The waits of both lanes side by side, over time."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, HoverTool

from ...activity import Lane
from ...events import Outcome
from ...feed.source import Source
from ...metrics import LaneMetrics
from ...snapshot import Snapshot
from ..feed import Update
from ..html import Markup, code, fragment, p, table, tbody, td, th, thead, tr, with_glyph
from ..layout import WIDE
from ..live import Live
from ..text import duration, quantity, within_last
from ..theme import LANES
from ..timeline.axes import Scale, TimeAxis

__all__ = ["Waits", "count_overtaken"]

KEEP = 2000  # outcomes
LOOKED = 300  # latest outcomes among which overtaking is counted
SLOTS = 24  # pieces of the time in view, each with its percentiles
EVERY = 0.5
CSS = """
.say { font-size: var(--t2); line-height: 1.45; margin-bottom: var(--s2); }
table { border-collapse: collapse; } th, td { padding: 3px 14px 3px 0; text-align: right; }
th { color: var(--rt-muted); font-weight: 600; font-size: var(--t0); }
th:first-child, td:first-child { text-align: left; } td { white-space: nowrap; }
.live { container-type: inline-size; }
@container (max-width: 520px) { th, td { padding-right: 8px; } .rare { display: none; } }
"""
SECONDS = """
if (tick === 0) return "0"
const most = Math.max(...ticks.map(Math.abs))
const [size, unit] = most >= 1 ? [1, "s"] : most >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"]
return `${Number((tick / size).toPrecision(3))} ${unit}`
"""
COLUMNS = ("at", "p50", "p95", "words")


def count_overtaken(outcomes: list[Outcome]) -> tuple[int, int]:
    """How many priority activities overtook standard ones, and how many they overtook.

    One is overtaken by another that came later and ended earlier: a runtime does one at a time. One that several
    overtake counts once.
    """
    ran = [each for each in outcomes if each.started is not None]
    priority = [each for each in ran if each.lane is Lane.PRIORITY]
    standard = [each for each in ran if each.lane is Lane.STANDARD]

    def overtakes(first: Outcome, other: Outcome) -> bool:
        return first.id > other.id and first.sequence < other.sequence

    who = sum(any(overtakes(each, other) for other in standard) for each in priority)
    whom = sum(any(overtakes(each, other) for each in priority) for other in standard)
    return who, whom


class Waits(pn.viewable.Viewer):
    """The waits of one runtime: a sentence, the percentiles since it began, and a plot of the last minute."""

    def __init__(self, source: Source, id: str) -> None:
        super().__init__()
        self.source = source
        self.id = id
        self.axis = TimeAxis(source)
        self.outcomes: deque[Outcome] = deque(maxlen=KEEP)
        self.sources = {lane: ColumnDataSource({name: [] for name in COLUMNS}) for lane in Lane}
        self.scale = Scale(1.0)
        self.drawn_at = 0.0
        self.stale = True  # something ended or began to wait since it was drawn
        self.waiting = (0, 0)
        self.words = Live(css=CSS)
        self.panel = pn.Column(self.words, pn.pane.Bokeh(self._plot(), sizing_mode="stretch_width", margin=0), **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    def _plot(self) -> Any:
        plot = self.axis.figure(200, y_range=self.scale.range, y_axis_label="wait")
        plot.yaxis.formatter = CustomJSTickFormatter(code=SECONDS)
        for lane, source in self.sources.items():
            tone = LANES[lane.value].tone
            upper = plot.line("at", "p95", source=source, line_color=tone, line_width=2.5)
            dots = plot.scatter("at", "p95", source=source, size=6, fill_color=tone, line_color=None)
            plot.line("at", "p50", source=source, line_color=tone, line_width=1.5, line_dash="dotted")
            plot.add_tools(HoverTool(tooltips=[("", "@words")], renderers=[upper, dots]))
        return plot

    def update(self, update: Update) -> bool:
        """Add what ended, and draw twice a second at most. True while a plotted point has yet to leave the window."""
        mine = [each for each in update.of.get(self.id, []) if isinstance(each, Outcome)]
        self.outcomes.extend(each for each in mine if each.started is not None)
        shot = self.source.snapshot(self.id)
        if shot is None:
            return False
        self.stale = self.stale or bool(mine) or shot.depth != self.waiting
        if not update.first and time.monotonic() - self.drawn_at < EVERY:
            return True
        self.drawn_at = time.monotonic()
        self.axis.move(update.at)
        recent = [each for each in self.outcomes if each.finished > update.at - self.axis.span]
        if self.stale or update.first:
            self.stale, self.waiting = False, shot.depth
            self.words.draw(self._html(recent, shot))
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
        last = len(sorted_) - 1
        half, most = sorted_[last // 2], sorted_[int(0.95 * last + 0.5)]
        words = f"{lane.value}: {quantity(len(sorted_), 'activity')}, half waited less than {duration(half)}, "
        return self.axis.ms(at), half, most, words + f"95 of 100 less than {duration(most)}"

    def _html(self, recent: list[Outcome], shot: Snapshot) -> Markup:
        metrics, when = shot.metrics, within_last(self.axis.span)
        assert metrics is not None
        lanes = zip(Lane, (metrics.priority, metrics.standard), shot.depth, strict=True)
        return fragment(
            p(_sentence(metrics, *count_overtaken(recent[-LOOKED:]), when), cls="say", role="status"),
            table(HEAD, tbody(_lane_row(*lane) for lane in lanes)),
            p(f"{when.capitalize()}. Line: 95 of 100 waited less. Dotted: half.", cls="muted", style="margin-top:8px"),
        )


def _lane_row(lane: Lane, metrics: LaneMetrics, waiting: int) -> Markup:
    wait = metrics.wait
    values = [f"{wait.count:,}", *(duration(each) for each in (wait.p50, wait.p95, wait.p99, wait.max))]
    cells = [(RARE if at in (0, 3) else td)(each if wait.count else "—") for at, each in enumerate(values)]
    return tr(td(with_glyph(LANES[lane.value])), cells, td(f"{waiting:,}"))


RARE = td.with_(cls="rare")  # which a narrow page has no room for
HEAD = thead(
    tr(
        th("wait, since it began"), th("count", cls="rare"), th("p50"), th("p95"), th("p99", cls="rare"),
        th("longest"), th("waiting now"),
    )
)  # fmt: skip


NO_PRIORITY = fragment("No priority activity came yet. Send with ", code("priority=True"), " to see one overtake.")


def _sentence(metrics: Any, priority: int, overtaken: int, when: str) -> str:
    first, second = metrics.priority.wait, metrics.standard.wait
    if not first.count and not second.count:
        return "Nothing was processed yet: there are no waits to compare."
    if not first.count:
        return NO_PRIORITY
    if not second.count:
        return "There were only priority activities: there was nothing to overtake."
    times = f", {second.p95 / first.p95:,.0f} times as long" if first.p95 > 0 and second.p95 >= 1.5 * first.p95 else ""
    overtook = (
        f"{quantity(priority, 'priority activity')} overtook {quantity(overtaken, 'standard one')} {when}."
        if overtaken
        else f"{when.capitalize()} nothing was overtaken: nothing waited when priority ones came."
    )
    return (
        f"{overtook} Since it began, of 100 priority activities 95 waited less than {duration(first.p95)}; "
        f"of 100 standard ones, less than {duration(second.p95)}{times}."
    )
