"""The nodes of a cluster: what each has to do and uses, how far its clock is off, and which does not answer."""

from __future__ import annotations

import time

from ...events import Event
from ...feed.nodes import HasNodes, NodeStanding, Usage
from ...feed.source import Source
from ..feed import Update
from ..html import (
    Content,
    Markup,
    a,
    bar,
    div,
    fragment,
    glyph,
    p,
    span,
    strong,
    symbol,
    table,
    tbody,
    td,
    th,
    thead,
    tr,
)
from ..live import Live
from ..text import byte_size, duration, quantity, rate, safe_text
from ..theme import LANES, STATUSES
from .rows import Rates

__all__ = ["ClusterNodes", "offset_words"]

EVERY = 0.5  # real seconds between two drawings
MOST = 12  # nodes that are shown: those with something wrong, then the busiest
NOTHING = 0.001  # seconds by which a clock may be off that nobody needs to know about
RAY = "Ray\N{RIGHT SINGLE QUOTATION MARK}s own dashboard"
CSS = """
.live { container-type: inline-size; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; padding: 0 8px 6px; font-size: var(--t0); font-weight: 600; color: var(--rt-muted);
  border-bottom: 1px solid var(--rt-line); white-space: nowrap; }
td { padding: 6px 8px; border-bottom: 1px solid var(--rt-line); white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
tbody tr:last-child td { border-bottom: 0; }
.n { text-align: right; } .load { display: flex; align-items: center; gap: 8px; justify-content: flex-end; }
.load .bar { flex: 0 1 70px; min-width: 24px; }
.wrong { white-space: normal; overflow-wrap: anywhere; }
.below { font-size: var(--t0); margin: var(--s2) 0 0; }
@container (max-width: 760px) { .c-machine { display: none; } .load .bar { display: none; } }
@container (max-width: 620px) { .c-clock, .c-memory { display: none; } }
@container (max-width: 460px) { .c-rate, .c-load { display: none; } td, th { padding-left: 5px; padding-right: 5px; }
  .word { display: none; } }
"""
HEADS: dict[str, tuple[Content, str]] = {
    "name": ("node", ""),
    "runtimes": ("runtimes", "runtimes that are there now"),
    "priority": ((symbol(LANES["priority"]), span(" priority", cls="word")), "waiting in all priority lanes there"),
    "standard": ((symbol(LANES["standard"]), span(" standard", cls="word")), "waiting in all standard lanes there"),
    "rate": ("rate", "activities done, by the agents' clock"),
    "load": ("load", "processor time of its process, in parts of a core"),
    "memory": ("memory", "of its process"),
    "clock": ("clock", "how far its date and time are from those of the driver"),
    "machine": ("process", "its id, and its machine"),
}


BAD = frozenset({"node_lost", "node_started_again", "members_not_reached"})
WORDS = {
    "node_added": "{node} came.",
    "node_removed": "{node} left; its runtimes are on other nodes.",
    "node_adopted": "the process of {node} ended; all of it goes on in the process of {host}.",
    "node_lost": "{node} ended. What ran there and does not restart elsewhere is gone.",
    "node_started_again": "{node} ended and was started again. What ran there and does not restart is gone.",
    "members_not_reached": "{node} can\N{RIGHT SINGLE QUOTATION MARK}t be reached by the group {group}.",
}


class Known(dict[str, str]):
    """The words of an event; a dash for one that it does not have."""

    def __missing__(self, name: str) -> str:
        return "\N{EM DASH}"


class ClusterNodes:
    """A table with a line for each node."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.panel = Live(css=CSS)
        self.rates = Rates()
        self.drawn_at = 0.0

    def update(self, update: Update) -> bool:
        """Draw, at most twice a second. What a node uses changes by itself."""
        now = time.monotonic()
        if update.first or now - self.drawn_at >= EVERY:
            self.drawn_at = now
            self.panel.draw(self._html(update.at))
        return True

    def _html(self, at: float) -> Markup:
        assert isinstance(self.source, HasNodes)
        nodes = self.source.nodes()
        shown = sorted(sorted(nodes, key=_urgency)[:MOST], key=nodes.index)
        self.rates.keep({node.name for node in nodes})
        head = tr(th(words, cls=_class(name), title=means or None) for name, (words, means) in HEADS.items())
        rows = [self._row(node, at) for node in shown]
        events = [self._event(each) for each in self.source.node_events()]
        return fragment(table(thead(head), tbody(rows)), events, self._below(len(nodes) - len(shown)))

    def _event(self, event: Event) -> Markup:
        """What has become of a node, in a sentence."""
        detail = event.detail if isinstance(event.detail, dict) else {}
        words = WORDS[event.kind].format_map(Known({name: str(value) for name, value in detail.items()}))
        mark = [glyph(STATUSES["error"]), " "] if event.kind in BAD else []
        at = f"{self.source.wall(event.at):%H:%M:%S}: "
        return p(mark, at, safe_text(words, 300), cls="below" if mark else "muted below")

    def _row(self, node: NodeStanding, at: float) -> Markup:
        if node.usage is None or node.words:
            words = node.words or "It has not answered yet."
            told = td(safe_text(words, 300), colspan=len(HEADS) - 1, cls="wrong")
            return tr(td(glyph(STATUSES["error"]), " ", strong(safe_text(node.name, 40))), told)
        return tr(td(cell, cls=_class(name)) for name, cell in self._cells(node, node.usage, at).items())

    def _cells(self, node: NodeStanding, usage: Usage, at: float) -> dict[str, Content]:
        done = self.rates.of(node.name, at, usage.done)
        meter = bar(min(100.0, 100 * usage.load), STATUSES["processing"].tone)
        return {
            "name": strong(safe_text(node.name, 40)),
            "runtimes": f"{usage.runtimes:,}",
            "priority": f"{usage.waiting[0]:,}",
            "standard": f"{usage.waiting[1]:,}",
            "rate": rate(done, self.source.speed),
            "load": div(meter, span(f"{100 * usage.load:.0f} %"), cls="load"),
            "memory": byte_size(usage.memory) if usage.memory else "\N{EM DASH}",
            "clock": offset_words(node.ahead, node.error),
            "machine": f"{usage.pid} on {usage.machine}",
        }

    def _below(self, hidden: int) -> Markup | None:
        assert isinstance(self.source, HasNodes)
        words: list[Content] = [f"{quantity(hidden, 'node')} with less to do. "] if hidden > 0 else []
        if self.source.link:
            words += [a(RAY, href=self.source.link, target="_blank", rel="noreferrer"), " shows what else runs there."]
        return p(words, cls="muted below") if words else None


def _urgency(node: NodeStanding) -> tuple[bool, float, float]:
    """Those with something wrong first, then the busiest."""
    usage = node.usage or Usage()
    return not (node.words or node.usage is None), -usage.load, -float(sum(usage.waiting))


def _class(name: str) -> str:
    return f"c-{name}" if name in ("name", "machine") else f"c-{name} n"


def offset_words(ahead: float | None, error: float) -> str:
    """How far a clock is off, where that is more than what is not known about it.

    >>> offset_words(0.0004, 0.002), offset_words(-1.5, 0.002), offset_words(0.25, 0.01), offset_words(None, 0)
    ('within 2 ms', '1.5 s behind', '250 ms ahead', '—')
    """
    if ahead is None:
        return "\N{EM DASH}"
    if abs(ahead) <= max(error, NOTHING):
        return f"within {duration(max(error, NOTHING))}"
    return f"{duration(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
