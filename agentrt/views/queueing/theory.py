"""Is this queue stable? What queueing theory says of a runtime, beside what was measured, and what it assumes."""

from __future__ import annotations

import math
from typing import Any

import panel as pn

from ...activity import Lane
from ...queueing import little, utilisation, waits
from ...snapshot import Snapshot
from ..feed import News
from ..layout import WIDE, beside
from ..live import Live
from ..text import duration, percent, rate, si
from ..theme import LANES, toned
from .curve import Curve
from .queue_window import Measured, Queue, Reading
from .stability import ENOUGH, assumed, balance, verdict

__all__ = ["Theory"]

WINDOW = 300  # real seconds
REDRAWN = 300  # a window is drawn anew when this part of it has passed

CSS = """
.lane { display: grid; grid-template-columns: max-content 1fr max-content; gap: 3px var(--s3); align-items: center;
  padding: var(--s3) 0 0; }
.lane h4 { grid-column: 1 / -1; margin: 0; font-size: var(--t1); }
.lane .bar { height: 7px; } .lane .num { min-width: 9ch; }
.lane .plain { grid-column: 1 / -1; }
.say { font-size: var(--t2); } .say + p { margin-top: var(--s1); }
ul { padding-left: 18px; margin: var(--s2) 0 var(--s3); color: var(--rt-muted); font-size: var(--t0); }
"""


class Theory(pn.viewable.Viewer):
    """The view of one runtime: a sentence that answers, both lanes measured and predicted, and the curve of the waits.

    The window is the last five minutes of a person's time. `update(news)` costs what is new; the words and the curve
    are drawn about once a second while anything is in the window.
    """

    def __init__(self, runtime: Any) -> None:
        super().__init__()
        self.runtime = runtime
        self.id = runtime.id
        self.measured = Measured(self._wanted())
        self.drawn = -math.inf
        self.say = Live(css=CSS)
        self.lanes = Live(css=CSS, styles={"flex": "1 1 300px", "min-width": "0"})
        self.curve = Curve()
        self.curve.panel.tags = self.lanes.tags = [{"flex": "1 1 min(300px, 100%)"}]
        self.body = beside(self.lanes, self.curve.panel)
        self.panel = pn.Column(self.say, self.body, **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    def _wanted(self) -> float:
        speed = self.runtime.manager.clock.speed
        return WINDOW * speed if 0 < speed < math.inf else WINDOW

    # ---- what is new

    def update(self, news: News) -> bool:
        """Count what is new, and draw it when it is time. True while anything is in the window."""
        records = news.of.get(self.id, [])
        if news.first or news.missed or self.measured.span != self._wanted():
            records = self._start(news)
        self.measured.take(records)
        if records or self.measured.moves:
            return self._draw(news)
        if news.first:
            self._draw(news)
        return False

    def _start(self, news: News) -> list[Any]:
        """Begin anew with all that the ring still has of it; returns that."""
        everything, _, missed = self.runtime.manager.ring.since(0)
        own = [record for record in everything if record.runtime == self.id]
        self.measured = Measured(self._wanted())
        if not missed:
            self.measured.start(max(own[0].at if own else news.at, news.at - self.measured.span), [])
            return own
        first = everything[0] if everything else None
        since = news.at if first is None else first.at
        unseen = [item for item in self.runtime.mailbox_items() if first is None or item.sequence < first.sequence]
        self.measured.start(max(since, news.at - self.measured.span), unseen)
        return own

    # ---- drawing

    def _draw(self, news: News) -> bool:
        if 0 <= news.at - self.drawn < self.measured.span / REDRAWN:
            return True
        self.drawn = news.at
        shot = self.runtime.snapshot(metrics=False)
        reading = self.measured.read(max(news.at, shot.at), shot.current, shot.started)
        fairness = self.runtime.fairness
        ready = reading.ran >= ENOUGH
        self.say.draw(self._words(reading, shot, fairness))
        self.body.visible = ready
        if ready:
            self.lanes.draw(lanes_html(reading))
            self.curve.draw(reading)
        return self.measured.moves

    def _words(self, reading: Reading, shot: Snapshot, fairness: int | None) -> str:
        first, rest = verdict(reading, shot, fairness)
        if reading.ran < ENOUGH:
            return f'<div class="empty"><p class="say"><strong>{first}</strong></p><p>{rest}</p></div>'
        notes = [balance(reading), *assumed(reading, fairness)]
        items = "".join(f"<li>{note}</li>" for note in notes if note)
        return f'<p class="say"><strong>{first}</strong></p><p>{rest}</p><ul>{items}</ul>'


def lanes_html(reading: Reading) -> str:
    """Both lanes: what comes, what was measured and what is predicted, as bars of one scale."""
    queues = dict(zip(Lane, (reading.priority, reading.standard), strict=True))
    predicted = dict(zip(Lane, waits(reading.priority.stream, reading.standard.stream), strict=True))
    longest = max(finite(wait) for wait in (*predicted.values(), *(queue.wait for queue in queues.values())))
    rho = utilisation(reading.priority.stream, reading.standard.stream)
    head = f"""<p class="muted">Over the last {duration(reading.span)}: at work {percent(reading.busy, 1)} of the time,
      offered load &rho; = {rho:.2f}</p>"""
    return head + "".join(_lane(lane, queue, predicted[lane], longest) for lane, queue in queues.items())


def finite(seconds: float) -> float:
    """The same; 0 where it is infinite."""
    return seconds if math.isfinite(seconds) else 0.0


def _lane(lane: Lane, queue: Queue, predicted: float, longest: float) -> str:
    look = LANES[lane.value]
    head = f"<h4>{toned(look, look.word)}</h4>"
    if not queue.arrived and not queue.left:
        return f'<div class="lane">{head}<span class="muted plain">nothing came</span></div>'
    takes = f"each takes {duration(queue.stream.mean)} on the mean" if queue.ran else "none has ended"
    what = f"{rate(queue.rate)} come, {takes}: load {queue.stream.load:.2f}"
    expected = duration(predicted) if math.isfinite(predicted) else "ever longer"
    law = little(queue.rate, queue.wait)
    return f"""<div class="lane" style="--tone:{look.tone}">{head}<span class="muted plain">{what}</span>
      <span>Mean wait, measured</span>{_bar(queue.wait, longest)}<span class="num">{duration(queue.wait)}</span>
      <span>predicted (M/G/1)</span>{_bar(predicted, longest)}<span class="num">{expected}</span>
      <span>Mean length L, measured</span>{_bar(queue.length, max(queue.length, law))}
      <span class="num">{si(queue.length)}</span>
      <span>&lambda;W (Little)</span>{_bar(law, max(queue.length, law))}<span class="num">{si(law)}</span></div>"""


def _bar(value: float, whole: float) -> str:
    share = 100 if math.isinf(value) else 100 * value / whole if whole > 0 else 0
    return f'<span class="bar" aria-hidden="true"><b style="width:{share:.0f}%"></b></span>'
