"""Who talks to whom, how much, and how it goes: a live graph of runtimes; groups of them where there are many."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import panel as pn

from ..app.address import Address
from ..feed import Update
from ..layout import WIDE
from ..live import Live
from ..role import Commands
from ..runtime.steer import Soon, at_once
from ..text import count, duration, plain, rate, safe_text
from ..timeline.axes import SECONDS
from .graph import edge_of, graph_of, node_of, redraw, width_of, zoom_of
from .node_status import Crowd, label_of
from .nodes import LAST, Node, Places
from .traffic import Flowing, Pair, Traffic

__all__ = ["Flow"]

Way = tuple[Node, Node]
EDGES, LABELLED, LISTED, OPENED = 30, 12, 12, 12
KNOWN = 30_000  # runtimes, before those that have ended are forgotten
KINDS = {"outside": "still", "rest": "still", "group": "many"}
READABLE = 0.8  # a zoom
EVERY = 1.0  # real seconds between two looks: rates are over a minute, and a picture that is sent is dear
EMPTY = """<div class="empty">Nobody has sent anything yet. Who sends to whom is drawn here as it happens; try it in the
notebook or script that runs this manager:
<pre>async def relay(activity, state, ctx):
    await ctx.send("counter", activity.payload)
    return state + 1

async def counter(activity, state):
    return state + activity.payload

manager.create("counter", 0, counter)
manager.create("relay", 0, relay).send_nowait(1)</pre></div>"""

LIST = """
.say { font-size: var(--t2); margin-bottom: var(--s2); }
.edges { list-style: none; columns: 2 320px; font-size: var(--t0); margin-top: var(--s2); }
.edges li { break-inside: avoid; padding: 2px 0; overflow-wrap: anywhere; }
.edges .wrong { color: color-mix(in srgb, #D55E00 55%, var(--rt-text)); font-weight: 600; }
"""


class Flow(pn.viewable.Viewer):
    """The graph, with the same in words below it. A click on a runtime opens its page, one on a group its members."""

    def __init__(
        self,
        manager: Any,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        super().__init__()
        self.manager = manager
        self.go = go or (lambda address: None)
        self.soon = soon
        self.traffic = Traffic()
        self.crowd = Crowd(manager)
        self.nodes = self.crowd.nodes
        self.places = Places()
        self.stale: set[str] = set()
        self.numbers: dict[Node, str] = {}
        self.looked_at = 0.0
        self.extent = (0, 0)
        self.width: float | None = None  # of the frame, once the page has said how large the picture is in it
        self.misfit = False
        self.graph: Any = None
        self.chosen: Any = None
        self.does = {"chosen": self._clicked, "over": self._hovered, "off": self._left, "fitted": self._fitted}
        self.flowing: dict[Way, Flowing] = {}
        self.say = Live(EMPTY, css=LIST, on={"close": self._close, "tidy": self._tidy})
        self.list = Live(css=LIST, on={"go": self.go})
        self.holder = pn.Column(**WIDE)
        self.panel = pn.Column(self.say, self.holder, self.list, **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    @property
    def window(self) -> float:
        """Seconds of the agents' clock that rates are over: what a person sees pass in a minute."""
        speed = self.manager.clock.speed
        return SECONDS * speed if 0 < speed < math.inf else float(SECONDS)

    def update(self, update: Update) -> bool:
        """Draw what is new. True while anything flows, or is about to change by itself."""
        self._meet(self.traffic.take(update, self.window))
        if self.misfit:
            self._arrange()
        self.stale |= {id for id in update.changed if id in self.nodes.names}
        hub = self.manager.hub
        every = 2 * EVERY if hub.pause > 2 * hub.interval else EVERY  # where drawing is over its budget
        due = time.monotonic() - self.looked_at >= every
        if self.places.of and (due or update.first or not any(self.extent)):
            self.looked_at = time.monotonic()
            self.crowd.look(self.stale)
            self.stale = set()
            self._draw(update.at)
        return bool(self.flowing or self.stale or self.crowd.restless)

    def _meet(self, pairs: list[Pair]) -> None:
        """Find nodes and places for who has not been seen before."""
        ids = {id: None for pair in pairs for id in pair if id is not None}
        if self.nodes.add(ids) or not self.places.of:
            self._arrange()
        else:
            self.traffic.on_ways(self._way, self.window)
            self.places.add(map(self._way, pairs))
        self.stale |= ids.keys()
        if len(self.nodes) > max(KNOWN, 2 * len(self.manager)):
            self._forget()

    def _way(self, pair: Pair) -> Way:
        return self.nodes.of(pair[0]), self.nodes.of(pair[1])

    def _forget(self) -> None:
        """Let go of runtimes that have ended: there are too many to keep."""
        self.crowd.forget()
        self.traffic.forget(self.nodes.names)
        self.stale &= self.nodes.names.keys()
        self._arrange()

    def _arrange(self) -> None:
        self.traffic.regroup(self._way)
        self.places = self._placed()
        self.crowd.sort()
        self.extent, self.misfit = (0, 0), False

    def _placed(self) -> Places:
        """As wide as can be read where there is room, in fewer columns where there is not."""
        ways, width = self.traffic.ways.of, self.width
        if width is None:
            return Places(ways)
        zooms = {places: zoom_of(places.size, width) for places in (Places(ways, last) for last in range(LAST, 0, -1))}
        return next((places for places, zoom in zooms.items() if zoom >= READABLE), max(zooms, key=zooms.__getitem__))

    # ---- what a click does

    def _clicked(self, event: dict[str, Any]) -> None:
        """A node was chosen in the page, which says so more than once."""
        before, self.chosen = self.chosen, event.get("nodes")
        node = next((node for node, number in self.numbers.items() if [number] == self.chosen), None)
        if node is None or self.chosen == before:
            return
        if node.kind == "runtime":
            self.go(str(Address("runtime", node.name)))
        elif node.kind == "group":
            self.soon(lambda: self._open(node))

    def _hovered(self, event: dict[str, Any]) -> None:
        words = next((edge["ariaLabel"] for edge in self.graph.edges if edge["id"] == event.get("edge_id")), "")
        said = Live(safe_text(words, 240), width=300, sizing_mode="fixed")
        self.soon(lambda: self.graph.show_popup(said, event.get("position")))

    def _left(self, event: dict[str, Any]) -> None:
        self.soon(self.graph.close_popup)

    def _fitted(self, viewport: dict[str, Any]) -> None:
        """The page has fitted the picture into its frame: what that says of its width decides how it is laid out."""
        zoom = viewport.get("zoom")
        if self.width is not None or not isinstance(zoom, int | float) or zoom <= 0:
            return
        self.width = width_of(self.extent, zoom)
        self.misfit = self._placed().size != self.extent
        if self.misfit and pn.state.loaded:  # else with the first update: before, the page would lose it
            self.soon(self._tidied)

    def _open(self, node: Node) -> None:
        busiest: Counter[str] = Counter()
        for (source, target), flowing in self.traffic.pairs.flowing(self.manager.clock.now(), self.window).items():
            for id in (source, target):
                if id is not None:
                    busiest[id] += flowing.sent
        members = sorted(self.nodes.members(node), key=lambda id: -busiest[id])
        self.nodes.open(node.name, members[:OPENED])
        self._tidied()

    def _close(self, _: str) -> None:
        def close() -> None:
            self.nodes.close()
            self._tidied()

        self.soon(close)

    def _tidy(self, _: str) -> None:
        self.soon(self._tidied)

    def _tidied(self) -> None:
        self._arrange()
        self._draw(self.manager.clock.now())

    # ---- what is drawn

    def _draw(self, now: float) -> None:
        self.flowing = self.traffic.ways.flowing(now, self.window)
        edges = {way: self.flowing.get(way, Flowing()) for way in self.traffic.ways.of}
        shown = dict(sorted(edges.items(), key=self._rank)[:EDGES])
        self.say.draw(self._sentence(edges, len(edges) - len(shown)))
        self.list.draw(self._listed(shown))
        nodes = [self._node(node, edges) for node in self.places.of]
        drawn = [pair for pair in shown if pair[0] != pair[1]]
        named = set(drawn[:LABELLED])
        # The busiest last: its label is over the lines of the others.
        self._show(nodes, [self._edge(pair, shown[pair], label=pair in named) for pair in reversed(drawn)])

    def _rank(self, edge: tuple[Way, Flowing]) -> tuple[int, int, Way]:
        """The busiest first; never by chance, or what is the same would be sent again."""
        way, flowing = edge
        return -flowing.sent, -flowing.failed - flowing.lost, way

    def _show(self, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
        if self.graph is None or any(now > was for now, was in zip(self.places.size, self.extent, strict=True)):
            self.extent = self.places.size
            self.graph = graph_of(nodes, edges, rows=self.extent[1], on=self.does)
            self.holder.objects = [self.graph]
        else:
            redraw(self.graph, nodes=nodes, edges=edges)

    def _number(self, node: Node) -> str:
        """What the page calls a node: never a string of somebody else's."""
        return self.numbers.setdefault(node, f"n{len(self.numbers)}")

    def _node(self, node: Node, edges: dict[Way, Flowing]) -> dict[str, Any]:
        tally = self.crowd.of(node)
        label = label_of(node, tally)
        itself = edges.get((node, node))
        if itself is not None and itself.sent:
            label += f"  ↻ {rate(itself.rate)}"
        name = "outside" if node.kind == "outside" else plain(node.name, 120)
        return node_of(self._number(node), self.places.of[node], KINDS.get(node.kind, "one"), name, label, tally.worst)

    def _edge(self, pair: Way, flowing: Flowing, *, label: bool) -> dict[str, Any]:
        wrong = flowing.failed + flowing.lost
        said = (
            f"{rate(flowing.rate)}{f', {wrong:,} failed' if wrong else ''}" if label and (flowing.sent or wrong) else ""
        )
        source, target = map(self._number, pair)
        words = self._words(pair, flowing)
        return edge_of(source, target, said, words, flowing.rate, wrong=bool(wrong), quiet=not flowing.sent)

    def _words(self, pair: Way, flowing: Flowing) -> str:
        """One edge in words. Plain text."""
        source, target = map(_named, pair)
        wrong = [f"{flowing.failed:,} failed"] if flowing.failed else []
        wrong += [f"{flowing.lost:,} dropped or lost"] if flowing.lost else []
        end = f", {' and '.join(wrong)} in the last {self._span()}" if wrong else ""
        return f"{source} → {target}: {rate(flowing.rate)}{end}"

    def _span(self) -> str:
        return {60.0: "minute", 3600.0: "hour"}.get(self.window) or duration(self.window)

    def _sentence(self, edges: dict[Way, Flowing], hidden: int) -> str:
        total = sum(edges.values(), Flowing())
        wrong = total.failed + total.lost
        failed = f"; {wrong:,} failed" if wrong else ""
        parts = [f"{rate(total.rate)} between {count(len(self.nodes), 'runtime')}{failed} in the last {self._span()}."]
        parts += [f"{count(hidden, 'connection')} with less are not drawn."] if hidden > 0 else []
        quiet = len(self.manager) - self.crowd.live
        parts += [f"{count(quiet, 'runtime')} neither sent nor got anything."] if quiet > 0 else []
        said = f'<p class="say">{" ".join(parts)}</p>'
        return f'<div class="row spread">{said}<div class="row">{"".join(self._buttons())}</div></div>'

    def _buttons(self) -> list[str]:
        tidy = '<button class="link" data-do="tidy">tidy up</button>'
        if self.nodes.opened is None:
            return [tidy]
        return [f'<button class="link" data-do="close">close {safe_text(self.nodes.opened, 40)}</button>', tidy]

    def _listed(self, edges: dict[Way, Flowing]) -> str:
        rows = "".join(self._row(pair, flowing) for pair, flowing in list(edges.items())[:LISTED] if flowing.sent)
        return f'<ul class="edges" aria-label="who sends to whom">{rows}</ul>'

    def _row(self, pair: Way, flowing: Flowing) -> str:
        wrong = ' class="wrong"' if flowing.failed or flowing.lost else ""
        return f"<li{wrong}>{safe_text(self._words(pair, flowing), 240)}</li>"


def _named(node: Node) -> str:
    if node.kind == "outside":
        return "outside"
    return f"{'other ' if node.kind == 'rest' else ''}{plain(node.name, 60)}"
