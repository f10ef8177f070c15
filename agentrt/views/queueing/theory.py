"""Is this queue stable? What queueing theory predicts of a runtime, beside what was measured, and what it assumes."""

from __future__ import annotations

import math
from typing import Any

import panel as pn

from ...activity import Lane
from ...feed.source import Source
from ...queueing import mean_queue_length, mean_waits, utilisation
from ...snapshot import Snapshot
from ..feed import Update
from ..html import Content, Markup, bar, bullets, div, empty, fragment, h4, p, span, strong, with_glyph
from ..layout import WIDE, beside
from ..live import Live
from ..text import duration, percent, rate, si
from ..theme import LANES
from .curve import Curve
from .queue_window import Queue, QueueWindow, Reading
from .stability import ENOUGH, assumptions, littles_law, stability

__all__ = ["Theory"]

WINDOW = 300  # real seconds
REDRAWS = 300  # the window is drawn again this often while it passes once

CSS = """
.lane { display: grid; grid-template-columns: max-content 1fr max-content; gap: 3px var(--s3); align-items: center;
  padding: var(--s3) 0 0; }
.lane h4 { grid-column: 1 / -1; margin: 0; font-size: var(--t1); }
.lane .bar { height: 7px; } .lane .num { min-width: 9ch; }
.lane .plain { grid-column: 1 / -1; }
.model { font-size: var(--t0); margin-top: var(--s3); }
.say { font-size: var(--t2); } .say + p { margin-top: var(--s1); }
ul { padding-left: 18px; margin: var(--s2) 0 var(--s3); color: var(--rt-muted); font-size: var(--t0); }
"""


class Theory(pn.viewable.Viewer):
    """The view of one runtime: a sentence that answers, both lanes measured and predicted, and the curve of the waits.

    The window is the last five minutes of real time. `update(update)` costs per new record; the words and the curve are
    drawn about once a second while anything is in the window.
    """

    def __init__(self, source: Source, id: str) -> None:
        super().__init__()
        self.source = source
        self.id = id
        self.fairness: int | None = None
        self.window = QueueWindow(self._span())
        self.drawn_at = -math.inf
        self.say = Live(css=CSS)
        self.lanes = Live(css=CSS, styles={"flex": "1 1 300px", "min-width": "0"})
        self.curve = Curve()
        self.curve.panel.tags = self.lanes.tags = [{"flex": "1 1 min(300px, 100%)"}]
        self.body = beside(self.lanes, self.curve.panel)
        self.panel = pn.Column(self.say, self.body, **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    def _span(self) -> float:
        speed = self.source.speed
        return WINDOW * speed if 0 < speed < math.inf else WINDOW

    # ---- what is new

    def update(self, update: Update) -> bool:
        """Count the new records, and draw when it is time. True while anything is in the window."""
        records = update.of.get(self.id, [])
        if update.first or update.missed or self.window.span != self._span():
            records = self._start(update)
        self.window.take(records)
        if records or self.window.moves:
            return self._draw(update)
        if update.first:
            self._draw(update)
        return False

    def _start(self, update: Update) -> list[Any]:
        """Begin again with all its records that the ring still has. Returns them."""
        frame = self.source.frame()
        own = [record for record in frame.records if record.runtime == self.id]
        self.window = QueueWindow(self._span())
        if not frame.missed:
            self.window.start(max(own[0].at if own else update.at, update.at - self.window.span), [])
            return own
        first = frame.records[0] if frame.records else None
        since = update.at if first is None else first.at
        waiting = self.source.mailbox(self.id).items
        unseen = [item for item in waiting if first is None or item.sequence < first.sequence]
        self.window.start(max(since, update.at - self.window.span), unseen)
        return own

    # ---- drawing

    def _draw(self, update: Update) -> bool:
        if 0 <= update.at - self.drawn_at < self.window.span / REDRAWS:
            return True
        self.drawn_at = update.at
        shot = self.source.snapshot(self.id, metrics=False)
        if shot is None:
            return False
        reading = self.window.read(max(update.at, shot.at), shot.current, shot.started)
        fairness = self._fairness()
        ready = reading.ran >= ENOUGH
        self.say.draw(self._words(reading, shot, fairness))
        self.body.visible = ready
        if ready:
            self.lanes.draw(measures_html(reading, self.source.speed))
            self.curve.draw(reading)
        return self.window.moves

    def _fairness(self) -> int | None:
        """The limit as it is, or as it was when the runtime ended."""
        settings = self.source.settings(self.id)
        if settings is not None:
            self.fairness = settings.limits.fairness
        return self.fairness

    def _words(self, reading: Reading, shot: Snapshot, fairness: int | None) -> Markup:
        first, rest = stability(reading, shot, fairness, self.source.speed)
        head = p(strong(first), cls="say")
        if reading.ran < ENOUGH:
            return empty(head, p(rest))
        return fragment(head, p(rest), bullets([littles_law(reading), *assumptions(reading, fairness)]))


def measures_html(reading: Reading, speed: float = 1.0) -> Markup:
    """Both lanes: what comes, what was measured and what is predicted, as bars on one scale."""
    queues = dict(zip(Lane, (reading.priority, reading.standard), strict=True))
    predicted = dict(zip(Lane, mean_waits(reading.priority.stream, reading.standard.stream), strict=True))
    longest = max(map(_finite, (*predicted.values(), *(queue.wait for queue in queues.values()))))
    rho = utilisation(reading.priority.stream, reading.standard.stream)
    busy = f"Over the last {duration(reading.span)}: busy {percent(reading.busy, 1)} of the time, "
    head = p(f"{busy}offered load \N{GREEK SMALL LETTER RHO} = {rho:.2f}", cls="muted")
    lanes = [_lane_html(lane, queue, predicted[lane], longest, speed) for lane, queue in queues.items()]
    return fragment(head, lanes, MODEL)


MODEL = p(
    "M/G/1 is the queue of the textbook: arrivals at random (M), times of service as they were measured (G), one "
    "server (1); here with the priority lane first.",
    cls="muted model",
)


def _finite(seconds: float) -> float:
    """The same; 0 where it is infinite."""
    return seconds if math.isfinite(seconds) else 0.0


def _lane_html(lane: Lane, queue: Queue, predicted: float, longest: float, speed: float) -> Markup:
    look = LANES[lane.value]
    head = h4(with_glyph(look))
    if not queue.arrived and not queue.left:
        return div(head, ABOUT("nothing came"), cls="lane")
    law = mean_queue_length(queue.rate, queue.wait)
    most = max(queue.length, law)
    return div(
        *(head, ABOUT(_arrival_words(queue, speed))),
        _measure_cells("Mean wait, measured", queue.wait, longest, duration(queue.wait)),
        _measure_cells("predicted (M/G/1)", predicted, longest, _wait_words(predicted)),
        _measure_cells("Mean length L, measured", queue.length, most, si(queue.length)),
        _measure_cells("λW (Little)", law, most, si(law)),
        cls="lane",
        style=f"--tone:{look.tone}",
    )


def _arrival_words(queue: Queue, speed: float) -> str:
    takes = f"each takes {duration(queue.stream.mean)} on average" if queue.ran else "none has ended"
    return f"{rate(queue.rate, speed)} come, {takes}: load {queue.stream.load:.2f}"


def _wait_words(seconds: float) -> str:
    return duration(seconds) if math.isfinite(seconds) else "ever longer"


def _measure_cells(name: str, value: float, whole: float, words: str) -> Content:
    """A name, a bar and a number: three cells of the lane's grid."""
    share = 100 if math.isinf(value) else 100 * value / whole if whole > 0 else 0
    return span(name), bar(share, aria_hidden="true"), span(words, cls="num")


ABOUT = span.with_(cls="muted plain")
