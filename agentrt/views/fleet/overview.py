"""The first lines of the page: is anything wrong, and the totals of all runtimes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ...metrics import Fates
from ..feed import Update
from ..live import Live
from ..text import rate
from ..theme import FATES, LANES, STATUSES
from .health import Health

__all__ = ["Overview", "fates_bar"]

CSS = """
.say { font-size: var(--t3); line-height: 1.35; font-weight: 500; margin-bottom: var(--s3); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(170px, 100%), 1fr)); gap: var(--s3); }
.tile { background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px;
  padding: var(--s2) var(--s3); min-width: 0; }
.tile .big { font-size: var(--t4); font-weight: 600; line-height: 1.3; white-space: nowrap; }
.tile.wide { grid-column: span 2; } @media (max-width: 520px) { .tile.wide { grid-column: span 1; } }
.fates { display: flex; height: 12px; border-radius: 6px; overflow: hidden; background: var(--rt-fill);
  margin: 9px 0 6px; }
.fates b { display: block; height: 100%; background: var(--tone); min-width: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: var(--t0); }
"""
UNDELIVERED = ("dead", "terminated")
RECENT = 300.0  # seconds of the agents' clock: failures that count as recent
EVERY = 0.25  # real seconds between two looks: a person reads no faster
SHARE = 0.04  # of a core, which the sum over all runtimes may take


def fates_bar(fates: Fates, linked: bool = False) -> str:
    """What became of every accepted activity, as one bar that adds up. `linked`: with the way to the dead letters."""
    shown = [(name, getattr(fates, name)) for name in FATES if getattr(fates, name)]
    bars = "".join(f'<b style="--tone:{FATES[name].tone};flex:{n} 1 0"></b>' for name, n in shown)
    words = "".join(f"<span>{_fate(name, n, linked)}</span>" for name, n in shown)
    return (
        f'<div class="fates" aria-hidden="true">{bars}</div><div class="legend">{words or "nothing accepted yet"}</div>'
    )


def _fate(name: str, n: int, linked: bool) -> str:
    look = FATES[name]
    words = f"{n:,} {look.word}"
    if linked and name in UNDELIVERED:
        words = f'<button class="link" data-do="go" data-with="letters">{words}</button>'
    return f'<span class="tone" style="--tone:{look.tone}" aria-hidden="true">{look.glyph}</span> {words}'


class Overview:
    """The pane. A tile a figure; the sentence names runtimes, and clicking one opens it."""

    def __init__(self, manager: Any, go: Callable[[str], Any]) -> None:
        self.manager = manager
        self.health = Health(manager)
        self.fates = Fates()
        self.processed: deque[tuple[float, int]] = deque(maxlen=12)
        self.failures: deque[tuple[float, int]] = deque(maxlen=600)
        self.changed: set[str] = set()
        self.looked_at = self.sum_at = 0.0
        self.rate = 0.0
        self.panel = Live(css=CSS, on={"go": go})

    def update(self, update: Update) -> bool:
        """Look at what changed, and draw."""
        self._count(update)
        now = time.monotonic()
        if not update.first and now - self.looked_at < EVERY:
            return True
        self.health.look_at(None if update.first else self.changed | self.health.moving)
        self.changed.clear()
        self.looked_at = now
        if update.first or now >= self.sum_at:
            self._sum(update.at)
        self.panel.draw(self._html(update.at))
        return bool(self.rate) or bool(self.health.moving)

    def _count(self, update: Update) -> None:
        self.changed |= update.changed
        failed = sum(outcome.kind in ("failed", "timed_out") for outcome in update.failures)
        if failed:
            self.failures.append((update.at, failed))

    def _sum(self, now: float) -> None:
        before = time.thread_time()
        self.fates = fates = self.manager.fates()
        self.processed.append((now, fates.done + fates.failed + fates.timed_out))
        self.sum_at = time.monotonic() + (time.thread_time() - before) / SHARE
        (since, done), (at, total) = self.processed[0], self.processed[-1]
        self.rate = (total - done) / (at - since) if at > since else 0.0

    def _html(self, now: float) -> str:
        recent = sum(n for at, n in self.failures if now - at <= RECENT)
        priority, standard = self.health.waiting
        ended = self.fates.done + self.fates.failed + self.fates.timed_out
        look = STATUSES["error"] if self.health.troubles else FATES["done"]
        mark = (
            f'<span class="tone" style="--tone:{look.tone}" aria-hidden="true">{look.glyph}</span>'
            if len(self.manager)
            else ""
        )
        return f"""<p class="say" role="status">{mark} {self.health.sentence(now)}</p><div class="tiles">
          {_tile("processed", rate(self.rate), f"{ended:,} so far")}
          {_tile("waiting", f"{_lane('priority', priority)} {_lane('standard', standard)}", "priority and standard")}
          {_tile("failed", f"{recent:,}", "in the last 5 minutes")}
          {_tile(f"{self.fates.accepted:,} accepted", "", fates_bar(self.fates, linked=True), wide=True)}</div>"""


def _lane(lane: str, depth: int) -> str:
    look = LANES[lane]
    return f'<span class="tone" style="--tone:{look.tone}" aria-hidden="true">{look.glyph}</span> {depth:,}'


def _tile(title: str, big: str, small: str, wide: bool = False) -> str:
    figure = f'<div class="big">{big}</div>' if big else ""
    kind = "tile wide" if wide else "tile"
    return f'<div class="{kind}"><div class="muted">{title}</div>{figure}<div class="muted">{small}</div></div>'
