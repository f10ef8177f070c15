"""What a runtime did: a row for each lane, pale while waiting, solid while working, a mark where an activity ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from ...activity import Activity, Lane
from ...events import Outcome
from ...snapshot import Snapshot
from ..feed import Update
from ..text import duration, plain, quantity
from ..theme import FATES, LANES, MARKERS
from .axes import TimeAxis, time_bars

__all__ = ["Bars", "Timeline", "bar_columns", "bar_row", "groups"]

KEEP = 1500
ROW = {Lane.PRIORITY: 1.5, Lane.STANDARD: 0.5}
THICK, WORK = 0.42, 0.26
COLUMNS = ("created", "started", "finished", "y", "tone", "mark", "shape", "size", "words")
DONE, UNDONE = 5, 9  # pixels of a mark: a dot that can be seen, and what is not to be missed
Bars = dict[str, list[Any]]
Items = Callable[[], Iterable[Activity[Any]]]


def bar_columns(outcomes: Iterable[Outcome], axis: Any, least: float) -> Bars:
    """The columns to draw. Activities of one lane that take less than `least` seconds together are one bar."""
    columns: Bars = {name: [] for name in COLUMNS}
    for group in groups(outcomes, least):
        for name, value in zip(COLUMNS, bar_row(group, axis), strict=True):
            columns[name].append(value)
    return columns


def groups(outcomes: Iterable[Outcome], least: float) -> Iterator[list[Outcome]]:
    """The outcomes of one runtime in groups of one lane and fate, each group no longer than `least` seconds."""
    open_: dict[bool, list[Outcome]] = {}
    for outcome in outcomes:
        group = open_.get(outcome.priority)
        if group and outcome.finished - _begin(group[0]) < least and outcome.kind == group[0].kind:
            group.append(outcome)
            continue
        if group:
            yield group
        open_[outcome.priority] = [outcome]
    yield from open_.values()


def _begin(outcome: Outcome) -> float:
    return outcome.finished if outcome.started is None else outcome.started


def bar_row(group: list[Outcome], axis: Any) -> tuple[Any, ...]:
    """A group as a row of `COLUMNS`."""
    lane, fate = group[0].lane, group[0].fate.value
    y = ROW[lane]
    return (
        axis.ms(min(each.created for each in group)),
        axis.ms(_begin(group[0])),
        axis.ms(group[-1].finished),
        y,
        LANES[lane].tone,
        FATES[fate].tone,
        MARKERS.get(fate, "square"),
        DONE if fate == "done" else UNDONE,
        _words(group),
    )


def _words(group: list[Outcome]) -> str:
    first, fate = group[0], FATES[group[0].fate.value].word
    if len(group) > 1:
        return f"{quantity(len(group), 'activity')} {fate}, in {duration(group[-1].finished - _begin(first))}"
    error = f": {plain(first.error, 120)}" if first.error is not None else ""
    if first.was_processed and first.service is None:  # of a journal, which does not store when it was started
        return f"activity {first.id} ended after {duration(first.wait)}, {fate}{error}"
    took = "never started" if first.service is None else f"took {duration(first.service)}"
    return f"activity {first.id} waited {duration(first.wait)}, {took}, {fate}{error}"


class OldestWaiting:
    """Since when the oldest activity of each lane waits, from the records. Bounded by the capacity of the mailbox."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self.created: dict[int, tuple[Lane, float]] = {item.id: (item.lane, item.created) for item in items}

    def take(self, records: Iterable[Any]) -> None:
        """Add what was accepted, and remove what ended."""
        for record in records:
            if record.kind == "accepted":
                self.created[record.id] = (record.lane, record.created)
            elif isinstance(record, Outcome):
                self.created.pop(record.id, None)

    def since(self, lane: Lane, but: int | None) -> float | None:
        """When the oldest of a lane was accepted, apart from the activity that runs."""
        return next((at for id, (of, at) in self.created.items() if of == lane and id != but), None)


class Timeline:
    """The plot. Ended activities are streamed; the two rows of what waits and the bar that grows are replaced."""

    def __init__(self, axis: TimeAxis, height: int = 170) -> None:
        self.axis = axis
        self.ended = ColumnDataSource({name: [] for name in COLUMNS})
        self.now = ColumnDataSource({name: [] for name in (*COLUMNS, "alpha")})
        self.waiting = OldestWaiting()
        self.plot = axis.figure(height, y_range=Range1d(start=0, end=2))
        self.plot.yaxis.ticker = [0.5, 1.5]
        self.plot.yaxis.major_label_overrides = {0.5: "standard", 1.5: "priority"}
        self.plot.ygrid.grid_line_color = None
        self._glyphs()
        self.panel = pn.pane.Bokeh(self.plot, sizing_mode="stretch_width", margin=0)

    def _glyphs(self) -> None:
        look = {"y": "y", "fill_color": "tone", "line_color": None}
        waits = [
            time_bars(self.plot, "created", right, height=2 * THICK, source=source, fill_alpha=0.22, **look)
            for source, right in ((self.ended, "started"), (self.now, "finished"))
        ]
        work = time_bars(self.plot, "started", "finished", height=2 * WORK, source=self.ended, **look)
        time_bars(self.plot, "started", "finished", height=2 * WORK, source=self.now, fill_alpha="alpha", **look)
        marks = self.plot.scatter(
            "finished",
            "y",
            source=self.ended,
            marker="shape",
            size="size",
            line_color="mark",
            fill_color="mark",
            line_width=2,
        )
        self.plot.add_tools(HoverTool(tooltips=[("", "@words")], renderers=[work, marks, waits[1]]))

    def draw(self, snapshot: Snapshot, update: Update, records: list[Any], items: Items) -> None:
        """Add what ended, and bring what runs and waits up to date. `items()` gives the mailbox where it is needed."""
        if update.first or update.missed:
            self.waiting = OldestWaiting(items())
        self.waiting.take(records if not update.first else ())
        new: Any = bar_columns((each for each in records if isinstance(each, Outcome)), self.axis, self.axis.span / 400)
        if new["y"]:
            self.ended.stream(new, KEEP)
        self._draw_now(snapshot)

    def _draw_now(self, snapshot: Snapshot) -> None:
        rows = [row for lane in Lane if (row := self._lane_now(lane, snapshot)) is not None]
        columns = {name: [row[i] for row in rows] for i, name in enumerate((*COLUMNS, "alpha"))}
        if columns != dict(self.now.data):
            self.now.data = columns

    def _lane_now(self, lane: Lane, snapshot: Snapshot) -> tuple[Any, ...] | None:
        current = snapshot.current if snapshot.current is not None and snapshot.current.lane == lane else None
        oldest = self.waiting.since(lane, current.id if current else None) if any(snapshot.depth) else None
        if current is None and oldest is None:
            return None
        now = snapshot.at
        started = now if current is None else min(now, snapshot.started or now)
        # One row shows both: pale as long as something waits, and on it what works, solid and growing.
        created = min(each for each in (oldest, current.created if current else None) if each is not None)
        y, ms = ROW[lane], self.axis.ms
        return (
            ms(created),
            ms(started),
            ms(now),
            y,
            LANES[lane].tone,
            "",
            "",
            0,
            _now_words(lane, current, oldest, snapshot),
            0.85 if current else 0.0,
        )


def _now_words(lane: Lane, current: Any, oldest: float | None, snapshot: Snapshot) -> str:
    works = (
        f"activity {current.id} runs for {duration(snapshot.at - (snapshot.started or snapshot.at))}" if current else ""
    )
    waits = f"the oldest of the {lane} lane waits for {duration(snapshot.at - oldest)}" if oldest is not None else ""
    return ", ".join(filter(None, (works, waits)))
