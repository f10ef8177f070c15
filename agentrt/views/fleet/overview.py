"""The first lines of the page: is anything wrong, and the totals of all runtimes."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ...feed.source import JournalStanding, Source
from ...metrics import Fates
from ..app.address import Address
from ..feed import Update
from ..html import Content, Markup, b, div, fragment, glyph, join, link, p, span
from ..journal import is_unsettled, journal_sentence
from ..live import Live
from ..pace import in_real_time, real_second, window
from ..text import rate, within_last
from ..theme import FATES, LANES, STATUSES, Look
from .health import Health

__all__ = ["Overview", "fates_bar"]

CSS = """
.say { font-size: var(--t3); line-height: 1.35; font-weight: 500; margin-bottom: var(--s3); overflow-wrap: anywhere; }
.unbroken { white-space: nowrap; }
.unbroken button { white-space: normal; vertical-align: top; max-width: calc(100% - 3ch); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(170px, 100%), 1fr)); gap: var(--s3); }
.tile { background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px;
  padding: var(--s2) var(--s3); min-width: 0; }
.tile .big { font-size: var(--t4); font-weight: 600; line-height: 1.3; white-space: nowrap; }
.tile.wide { grid-column: span 2; } @media (max-width: 520px) { .tile.wide { grid-column: span 1; } }
.fates { display: flex; height: 12px; border-radius: 6px; overflow: hidden; background: var(--rt-fill);
  margin: 9px 0 6px; }
.fates b { display: block; height: 100%; background: var(--tone); min-width: 2px; }
.stored { font-size: var(--t0); margin: var(--s2) 0 0; font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 12px; font-size: var(--t0); }
"""
UNDELIVERED = ("dead", "terminated")
DEAD_LETTERS = Address("dead-letters")
RECENT = 5  # minutes of who looks: failures that count as recent
EVERY = 0.25  # real seconds between two readings: figures that change faster can't be read
SHARE = 0.04  # of a core, at most, for the sum over all runtimes
LOOKING = 0.1  # of the time, at most, to wait for the figures of those that work: there may be thousands


def fates_bar(fates: Fates, linked: bool = False) -> Markup:
    """What became of every accepted activity, as one bar that adds up. `linked`: with links to the dead letters."""
    counts = [(name, getattr(fates, name)) for name in FATES if getattr(fates, name)]
    bars = [b(style=f"--tone:{FATES[name].tone};flex:{n} 1 0") for name, n in counts]
    words = [span(_fate(name, n, linked)) for name, n in counts]
    return fragment(div(bars, cls="fates", aria_hidden=True), div(words or "nothing accepted yet", cls="legend"))


def _fate(name: str, n: int, linked: bool) -> Content:
    look = FATES[name]
    words = f"{n:,} {look.word}"
    return glyph(look), " ", link(DEAD_LETTERS, words) if linked and name in UNDELIVERED else words


class Overview:
    """The pane: a sentence, whose names open their runtimes, and a tile for each total."""

    def __init__(self, source: Source, go: Callable[[str], Any]) -> None:
        self.source = source
        self.health = Health(source)
        self.fates = Fates()
        self.processed: deque[tuple[float, int]] = deque(maxlen=12)
        self.failures: deque[tuple[float, int]] = deque(maxlen=600)  # since when, how many: a second each
        self.changed: set[str] = set()
        self.looked_at = self.sum_at = 0.0
        self.pause = EVERY
        self.rate = 0.0
        self.panel = Live(css=CSS, on={"go": go})

    def update(self, update: Update) -> bool:
        """Look at what changed, and draw."""
        self._take(update)
        now = time.monotonic()
        if not update.first and now - self.looked_at < self.pause:
            return True
        self.health.look_at(None if update.first else self.changed | self.health.moving)
        self.changed.clear()
        self.looked_at = time.monotonic()
        self.pause = max(EVERY, (self.looked_at - now) / LOOKING)
        if update.first or now >= self.sum_at:
            self._sum(update.at)
        journal = None if self.source.standing().recorded else self.source.journal()
        self.panel.draw(self._html(update.at, journal))
        return bool(self.rate or self.health.moving or self.health.unsettled) or is_unsettled(journal)

    def _take(self, update: Update) -> None:
        self.changed |= update.changed
        second = real_second(self.source.speed)
        for outcome in update.failures:
            if outcome.kind in ("failed", "timed_out"):
                since, failed = self.failures[-1] if self.failures else (-math.inf, 0)
                if outcome.finished - since < second:
                    self.failures[-1] = (since, failed + 1)
                else:
                    self.failures.append((outcome.finished, 1))

    def _sum(self, now: float) -> None:
        before = time.thread_time()
        self.fates = fates = self.source.fates()
        self.processed.append((now, fates.done + fates.failed + fates.timed_out))
        self.sum_at = time.monotonic() + (time.thread_time() - before) / SHARE
        (since, done), (at, total) = self.processed[0], self.processed[-1]
        self.rate = (total - done) / (at - since) if at > since else 0.0

    def _html(self, now: float, journal: JournalStanding | None) -> Markup:
        recently = RECENT * window(self.source.speed)
        recent = sum(n for at, n in self.failures if now - at <= recently)
        ended = self.fates.done + self.fates.failed + self.fates.timed_out
        real = in_real_time(self.rate, self.source.speed)
        waiting = join(" ", map(_depth, LANES.values(), self.health.waiting))
        tiles = [
            _tile(
                "processed", rate(self.rate, self.source.speed), ", ".join(filter(None, (real, f"{ended:,} so far")))
            ),
            _tile("waiting", waiting, "priority and standard"),
            _tile("failed", f"{recent:,}", within_last(recently)),
            _tile(f"{self.fates.accepted:,} accepted", None, fates_bar(self.fates, linked=True), wide=True),
        ]
        stored = None if journal is None else p(journal_sentence(journal), cls="muted stored")
        return fragment(self._say(now, journal), div(tiles, cls="tiles"), stored)

    def _say(self, now: float, journal: JournalStanding | None) -> Markup:
        """Is anything wrong? With the runtimes, or with the disk that they are stored on."""
        problems, words = self.health.problems, self.health.sentence(now)
        mark = glyph(STATUSES["error"] if problems else FATES["done"]) if len(self.source.runtimes) else None
        if journal is not None and journal.error:
            mark = glyph(STATUSES["error"])
            words = fragment("Durable runtimes wait until the journal can be written. ", words if problems else None)
        return p(mark, " ", words, cls="say", role="status")


def _depth(look: Look, depth: int) -> Markup:
    return fragment(glyph(look), f" {depth:,}")


def _tile(title: str, big: Content, small: Content, wide: bool = False) -> Markup:
    figure = div(big, cls="big") if big else None
    return div(div(title, cls="muted"), figure, div(small, cls="muted"), cls="tile wide" if wide else "tile")
