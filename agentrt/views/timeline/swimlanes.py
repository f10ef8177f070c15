"""What happened in all runtimes, in what order: a swimlane for each, waiting pale, working solid, its steps below."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import BoxZoomTool, ColumnDataSource, HoverTool, Range1d, ResetTool, TapTool, WheelZoomTool

from ...events import Event, Outcome
from ...feed.source import Source
from ...snapshot import Snapshot
from ..app.address import Address
from ..feed import Schedule, Update, run_now
from ..html import NOT_IN_FILE, Markup, empty, link, pre, quiet
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import duration, plain, quantity, within_last
from ..theme import FATES, LANES, STATUSES
from .axes import TimeAxis, time_bars
from .lane_allocation import LaneAllocation
from .timeline import bar_row, groups

__all__ = ["Swimlanes"]

KEEP, SPANS = 3000, 1500
PIECES = 400  # of the time in view: activities with the same fate within one are one bar
EVERY = 0.4  # real seconds between two sentences: a person can't read faster
DEEP = 2  # levels of nested steps; deeper ones are drawn on the last
TALL, LEAST = 30, 400  # pixels: of one lane, and of the plot at the least
COLUMNS = ("created", "started", "finished", "y", "tone", "mark", "shape", "words", "to", "fate")
FROZEN = quiet(
    "Frozen: the plot stands still, the runtimes go on and nothing is lost. Drag over a part of it to enlarge that; "
    "Live shows the present again."
)
GroupBar = tuple[Any, ...]  # the first outcome of a group, and its `bar_row`
STEP = ("left", "right", "y", "tone", "words", "to")
EMPTY = empty(
    "Nothing happened yet. How activities wait and work is drawn here, each runtime in a lane:",
    pre("runtime.send_nowait(1)"),
)


class Swimlanes(pn.viewable.Viewer):
    """The timeline of a manager's runtimes, or of one; `lanes` at most, see `LaneAllocation`. `search` adds a field.

    It shows the last minute; frozen, it stands still, and a drag or the wheel zooms. A click on an activity opens it
    through `go`.
    """

    def __init__(
        self,
        source: Source,
        id: str | None = None,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
        lanes: int = 40,
        search: bool = False,
    ) -> None:
        super().__init__()
        self.source = source
        self.only = id
        self.go = go
        self.schedule = schedule
        self.most = 1 if self.only is not None else lanes
        self.lanes = LaneAllocation(self.most)
        self.axis = TimeAxis(source)
        self.outcomes: deque[Outcome] = deque(maxlen=KEEP)
        self.wrong: deque[Outcome] = deque(maxlen=KEEP)
        self.steps: deque[Event] = deque(maxlen=SPANS)
        self.last_start: dict[tuple[str, str], float] = {}  # of what is drawn, by runtime and lane
        self.ended = ColumnDataSource({name: [] for name in COLUMNS})
        self.now = ColumnDataSource({name: [] for name in (*COLUMNS, "alpha")})
        self.spans = ColumnDataSource({name: [] for name in STEP})
        self.frozen = False
        self.sentence_at = 0.0
        self.say = Live(EMPTY, on={"go": go or (lambda address: None)}, styles={"flex": "1 1 300px", "min-width": "0"})
        self.freeze = pmui.Button(label="Freeze", icon=icon("pause"), size="small", variant="text", margin=0)
        self.freeze.on_click(lambda event: schedule(self._toggle))
        self.plot = self._plot()
        self.figure = pn.pane.Bokeh(self.plot, sizing_mode="stretch_width", margin=0)
        tools = [self._field(), self.say] if search else [self.say]
        self.panel = pn.Column(line(*tools, self.freeze), self.figure, **WIDE)

    @property
    def rows(self) -> dict[str, int]:
        """The lane of each runtime that has one."""
        return self.lanes.rows

    def _field(self) -> Any:
        field = pmui.TextInput(placeholder="search runtimes", size="small", width=220, margin=0)
        field.param.watch(lambda event: self.search(event.new), "value_input")
        return field

    def __panel__(self) -> Any:
        return self.panel

    def _plot(self) -> Any:
        wanted = min(self.most, len(self.source.runtimes)) * TALL + 40
        height = 130 if self.only is not None else max(LEAST, wanted)
        plot = self.axis.figure(height, y_range=Range1d(start=0, end=self.most))
        plot.ygrid.grid_line_color = None
        plot.min_border_left = 110
        plot.yaxis.ticker = []
        self._bars(plot)
        zoom = BoxZoomTool(dimensions="width")
        plot.add_tools(zoom, WheelZoomTool(dimensions="width"), ResetTool(), TapTool())
        plot.toolbar.active_drag = zoom
        return plot

    def _bars(self, plot: Any) -> None:
        look = {"y": "y", "fill_color": "tone", "line_color": None}
        pale = {"nonselection_fill_alpha": 0.25}
        same = {"nonselection_fill_alpha": 0.9, "nonselection_line_alpha": 0.9}
        waits = [
            time_bars(plot, "created", right, height=0.34, source=source, fill_alpha=0.25, **look, **pale)
            for source, right in ((self.ended, "started"), (self.now, "finished"))
        ]
        work = time_bars(plot, "started", "finished", height=0.24, source=self.ended, **look, **same)
        grows = time_bars(plot, "started", "finished", height=0.24, source=self.now, fill_alpha="alpha", **look)
        steps = time_bars(plot, "left", "right", height=0.04, source=self.spans, **look, **same)
        marks = plot.scatter(
            "finished",
            "y",
            source=self.ended,
            marker="shape",
            size="fate",
            line_color="mark",
            fill_color="mark",
            line_width=2,
        )
        plot.add_tools(HoverTool(tooltips=[("", "@words")], renderers=[work, grows, marks, steps, waits[1]]))
        for source in (self.ended, self.now, self.spans):
            source.selected.on_change("indices", partial(self._open_selection, source))

    # ---- what a person does

    def _open_selection(self, source: Any, name: str, old: Any, indices: list[int]) -> None:
        if indices and self.go is not None:
            self.go(str(Address("activity", source.data["to"][indices[0]])))
            source.selected.indices = []

    def search(self, text: str) -> None:
        """Give lanes only to runtimes with this in their ids."""
        self.lanes.search(text)
        self.schedule(self._restart)

    def _restart(self) -> None:
        self._arrange(self.source.now())
        self._redraw()
        self._say(self.source.now())

    def _toggle(self) -> None:
        self.frozen = not self.frozen
        label, drawing = ("Live", "play") if self.frozen else ("Freeze", "pause")
        self.freeze.param.update(label=label, icon=icon(drawing))
        if self.frozen:
            self.say.draw(FROZEN)
        else:
            self._restart()

    # ---- drawing

    def update(self, update: Update) -> bool:
        """Draw what is new. True while anything runs or waits; never while frozen."""
        ended = update.once("ended of", lambda: _by_runtime(update.outcomes[-KEEP:]))
        steps = [each for each in update.events if each.kind == "step" and self.only in (None, each.runtime)]
        self.outcomes.extend(update.outcomes[-KEEP:] if self.only is None else ended.get(self.only, ()))
        self.steps.extend(steps)
        self._note(update)
        if self.frozen:
            return False
        if self._arrange(update.at) or update.first:
            self._redraw()
        else:
            self._stream(update, ended, steps)
        self.axis.move(update.at)
        runs = self._draw_now()
        due = update.first or time.monotonic() - self.sentence_at >= EVERY
        if due:
            self._say(update.at)
        return runs or not due

    def _note(self, update: Update) -> None:
        ids = update.once(
            "ids", lambda: dict.fromkeys([each.runtime for each in update.records] + sorted(update.changed))
        )
        self.lanes.mark_active((id for id in ids if id and self.only in (None, id)), update.at)
        wrong = [each for each in update.failures if self.only in (None, each.runtime)]
        self.wrong.extend(wrong)
        for outcome in wrong:
            self.lanes.mark_failing(outcome.runtime, outcome.finished)

    def _arrange(self, now: float) -> bool:
        return self.lanes.allocate(now - self.axis.span, (each.runtime for each in self.outcomes))

    def _redraw(self) -> None:
        """Draw all lanes again."""
        middles = {self._middle(row): plain(id, 16) for id, row in self.rows.items()}
        self.plot.y_range.start = self.most - max(min(3, self.most), len(self.rows))
        self.plot.y_range.end = self.most
        self.plot.yaxis.ticker = sorted(middles)
        self.plot.yaxis.major_label_overrides = middles
        self.last_start.clear()
        self.ended.data = self._ended_columns(
            {id: self._bars_of(mine) for id, mine in _by_runtime(self.outcomes).items()}
        )
        self.spans.data = self._step_columns(self.steps)

    def _stream(self, update: Update, ended: dict[str, list[Outcome]], steps: list[Event]) -> None:
        least = self.axis.span / PIECES
        fresh = {
            id: update.once(("bars", id, least), partial(self._bars_of, ended[id])) for id in self.rows if id in ended
        }
        for source, columns in ((self.ended, self._ended_columns(fresh)), (self.spans, self._step_columns(steps))):
            if columns["y"]:
                source.stream(columns, KEEP)

    def _middle(self, row: int) -> float:
        return self.most - row - 0.5

    def _y(self, id: str, lane: str) -> float:
        return self._middle(self.rows[id]) + (0.2 if lane == "priority" else -0.18)

    def _bars_of(self, outcomes: list[Outcome]) -> list[GroupBar]:
        return [(group[0], *bar_row(group, self.axis)) for group in groups(outcomes, self.axis.span / PIECES)]

    def _ended_columns(self, bars: dict[str, list[GroupBar]]) -> Any:
        found = [self._bar(*each) for id, mine in bars.items() if id in self.rows for each in mine]
        return {name: [each[i] for each in found] for i, name in enumerate(COLUMNS)}

    def _bar(self, first: Outcome, created: float, started: float, finished: float, _: float, *look: Any) -> Any:
        tone, mark, shape, _size, words = look
        created = self._waiting_start(first.runtime, first.lane, created, started)
        words = f"{plain(first.runtime, 60)}: {words}"
        wrong = 0 if first.ok else 8
        y = self._y(first.runtime, first.lane)
        return created, started, finished, y, tone, mark, shape, words, str(first.id), wrong

    def _waiting_start(self, id: str, lane: str, created: float, started: float) -> float:
        """Where its waiting bar begins: where bars of one lane would overlap, only one is drawn."""
        before = self.last_start.get((id, lane), created)
        self.last_start[id, lane] = max(before, started)
        return min(started, max(created, before))

    def _step_columns(self, steps: Iterable[Event]) -> Any:
        found = [self._step(each) for each in steps if each.runtime in self.rows]
        return {name: [each[i] for each in found] for i, name in enumerate(STEP)}

    def _step(self, step: Event) -> tuple[Any, ...]:
        detail = step.detail
        look = STATUSES["error"] if detail.get("failed") else FATES["done"]
        y = self._middle(self.rows[step.runtime]) - 0.365 - 0.045 * min(int(detail.get("depth", 0)), DEEP)
        took = duration(step.at - detail["started"])
        words = f"step {plain(detail['name'], 60)} of activity {detail['activity']} took {took}"
        return self.axis.ms(detail["started"]), self.axis.ms(step.at), y, look.tone, words, str(detail["activity"])

    def _draw_now(self) -> bool:
        rows = [row for id in self.rows for row in self._now(id)]
        columns = {name: [row[i] for row in rows] for i, name in enumerate((*COLUMNS, "alpha"))}
        if columns != dict(self.now.data):
            self.now.data = columns
        return bool(rows)

    def _now(self, id: str) -> list[tuple[Any, ...]]:
        """The bars that grow: what waits in each lane, since its first was sent, and what runs."""
        shot = self.source.snapshot(id, metrics=False)
        if shot is None:  # forgotten in between
            return []
        bars = [
            self._growing(shot, first, None, f"{quantity(depth, 'activity')} waiting, the first")
            for first, depth in zip(shot.first, shot.depth, strict=True)
            if first is not None
        ]
        current = shot.current
        if current is not None:
            started = min(shot.at, shot.started or shot.at)
            words = f"activity {current.id} waited {duration(started - current.created)}, runs"
            bars.append(self._growing(shot, current, started, words))
        return bars

    def _growing(self, shot: Snapshot, of: Any, started: float | None, words: str) -> tuple[Any, ...]:
        now, created = self.axis.ms(shot.at), self.axis.ms(min(shot.at, of.created))
        created = min(now, max(created, self.last_start.get((shot.id, of.lane), created)))
        since = of.created if started is None else started
        words = f"{plain(shot.id, 60)}: {words} for {duration(max(0.0, shot.at - since))}"
        begin = now if started is None else self.axis.ms(started)
        tone, y = LANES[of.lane.value].tone, self._y(shot.id, of.lane)
        return created, begin, now, y, tone, "", "dot", words, str(of.id), 0, 0.85

    def _say(self, now: float) -> None:
        self.sentence_at = time.monotonic()
        self.say.draw(self._words(now))

    def _words(self, now: float) -> Markup:
        when = within_last(self.axis.span)
        if not self.rows and self.lanes.wanted:
            return quiet(f"No runtime of that name did anything {when}.")
        if not self.rows:
            return NOT_IN_FILE if self.source.standing().recorded else EMPTY
        since, fits = now - self.axis.span, self.lanes.matches
        failed = [each for each in self.wrong if each.finished >= since and fits(each.runtime)]
        every = not self.lanes.wanted and bool(self.outcomes) and self.outcomes[0].finished >= since
        number = (
            len(self.outcomes)
            if every
            else sum(each.finished >= since and fits(each.runtime) for each in self.outcomes)
        )
        # The deque is bounded: there may have been more than it holds.
        more = "more than " if number == KEEP else ""
        ended = f"{more}{quantity(number, 'activity')} ended {when}"
        wrong = (f", {len(failed):,} of them not done; last ", _outcome_link(failed[-1])) if failed else None
        others = len(self.lanes.left_out)
        out = f"; {quantity(others, 'more runtime')} {'are' if others != 1 else 'is'} not shown" if others else ""
        return quiet(ended, wrong, out, ".")


def _by_runtime(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.runtime, []).append(outcome)
    return found


def _outcome_link(outcome: Outcome) -> Markup:
    words = f"activity {outcome.id} of {plain(outcome.runtime, 40)}"
    return link(Address("activity", str(outcome.id)), words)
