"""Who sends to whom, how much, and how much of it fails: a live graph of runtimes, in groups where there are many."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import panel as pn

from ...feed.source import Source
from ..app.address import Address
from ..feed import Schedule, Update, run_now
from ..html import NOT_IN_FILE, Markup, action, div, empty, li, p, pre, row, ul
from ..layout import WIDE
from ..live import Live
from ..pace import in_real_time, window
from ..role import Commands
from ..text import plain, quantity, rate, within_last
from .borders import Borders
from .graph import LABEL_END, box_of, edge_of, graph_of, label_of_edge, line_of, node_of, redraw, width_of, zoom_of
from .labels import LabelPlaces, Point
from .node_status import NodeStatuses, label_of
from .nodes import LAST, Node, Places
from .traffic import FlowCount, Pair, Traffic

__all__ = ["Flow"]

Edge = tuple[Node, Node]
EDGES, LABELS, LISTED, MEMBERS = 30, 12, 12, 12  # shown at most
MOST_RUNTIMES = 30_000  # before those that have ended are forgotten
KINDS = {"outside": "still", "rest": "still", "group": "many"}
READABLE = 0.8  # the least zoom at which labels can be read
EVERY = 1.0  # real seconds between two drawings: rates are over a minute, and sending a graph is expensive
EXAMPLE = """async def relay(activity, state, ctx):
    await ctx.send("counter", activity.payload)
    return state + 1

async def counter(activity, state):
    return state + activity.payload

manager.create("counter", 0, counter)
manager.create("relay", 0, relay).send_nowait(1)"""
EMPTY = empty(
    "Nothing was sent yet. Who sends to whom is drawn here as it happens; try it in the notebook or script that runs "
    "this manager:",
    pre(EXAMPLE),
)

LIST = """
.say { font-size: var(--t2); margin-bottom: var(--s2); }
.edges { list-style: none; columns: 2 320px; font-size: var(--t0); margin-top: var(--s2); }
.edges li { break-inside: avoid; padding: 2px 0; overflow-wrap: anywhere; }
.edges .wrong { color: color-mix(in srgb, #D55E00 55%, var(--rt-text)); font-weight: 600; }
"""


class Flow(pn.viewable.Viewer):
    """The graph, and below it the same in words. A click on a runtime opens its page, one on a group its members."""

    def __init__(
        self,
        source: Source,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
    ) -> None:
        super().__init__()
        self.source = source
        self.go = go or (lambda address: None)
        self.schedule = schedule
        self.traffic = Traffic()
        self.statuses = NodeStatuses(source)
        self.nodes = self.statuses.nodes
        self.places = Places()
        self.borders = Borders(source)
        self.crossings: dict[Edge, tuple[str, str]] = {}
        self.stale: set[str] = set()
        self.numbers: dict[Node, str] = {}
        self.looked_at = 0.0
        self.extent = (0, 0)
        self.width: float | None = None  # pixels of the frame, once the page has reported its zoom
        self.misfit = False
        self.graph: Any = None
        self.chosen: Any = None
        self.handlers = {
            "select": self._on_select,
            "hover": self._on_hover,
            "leave": self._on_leave,
            "fit": self._on_fit,
        }
        self.counts: dict[Edge, FlowCount] = {}
        self.say = Live(
            NOT_IN_FILE if source.standing().recorded else EMPTY,
            css=LIST,
            on={"close": self._close, "tidy": self._tidy},
        )
        self.list = Live(css=LIST, on={"go": self.go})
        self.holder = pn.Column(**WIDE)
        self.panel = pn.Column(self.say, self.holder, self.list, **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    @property
    def window(self) -> float:
        """Seconds of the agents' clock over which rates are counted: a minute of real time."""
        return window(self.source.speed)

    def update(self, update: Update) -> bool:
        """Draw what is new. True while anything flows, or may change without a record."""
        self._add_pairs(self.traffic.take(update, self.window))
        if self.misfit:
            self._arrange()
        self.stale |= {id for id in update.changed if id in self.nodes.names}
        every = 2 * EVERY if self.source.watching().over_budget else EVERY
        due = time.monotonic() - self.looked_at >= every
        if self.places.of and (due or update.first or not any(self.extent)):
            self.looked_at = time.monotonic()
            self.statuses.look(self.stale)
            self.stale = set()
            self._draw(update.at)
        return bool(self.counts or self.stale or self.statuses.unsettled)

    def _add_pairs(self, pairs: list[Pair]) -> None:
        """Find nodes and places for runtimes that are new."""
        ids = {id: None for pair in pairs for id in pair if id is not None}
        if self.nodes.add(ids) or not self.places.of:
            self._arrange()
        else:
            self.traffic.count_edges(self._edge_of_pair, self.window)
            self.places.add(map(self._edge_of_pair, pairs))
            if self._group_by_pattern():
                self._arrange()
        self.stale |= ids.keys()
        if len(self.nodes) > max(MOST_RUNTIMES, 2 * len(self.source.runtimes)):
            self._forget()

    def _edge_of_pair(self, pair: Pair) -> Edge:
        return self.nodes.of(pair[0]), self.nodes.of(pair[1])

    def _forget(self) -> None:
        """Forget runtimes that have ended: there are too many."""
        self.statuses.forget()
        self.traffic.forget(self.nodes.names)
        self.stale &= self.nodes.names.keys()
        self._arrange()

    def _arrange(self) -> None:
        self.traffic.regroup(self._edge_of_pair)
        self.places = self._best_places()
        if self._group_by_pattern():
            self.traffic.regroup(self._edge_of_pair)
            self.places = self._best_places()
        self.statuses.sort()
        self.extent, self.misfit = (0, 0), False

    def _best_places(self) -> Places:
        """As many columns as can be read in the width there is."""
        ways, width = self.traffic.edges.of, self.width
        if width is None:
            return Places(ways)
        zooms = {places: zoom_of(places.size, width) for places in (Places(ways, last) for last in range(LAST, 0, -1))}
        return next((places for places, zoom in zooms.items() if zoom >= READABLE), max(zooms, key=zooms.__getitem__))

    def _group_by_pattern(self) -> bool:
        """Where so many nodes can't be read, let one stand for all that differ in their numbers only."""
        return self.width is not None and not self._readable(self.places) and self.nodes.group_by_pattern()

    def _readable(self, places: Places) -> bool:
        return self.width is None or zoom_of(places.size, self.width) >= READABLE

    # ---- what a person does

    def _on_select(self, event: dict[str, Any]) -> None:
        """A node was selected. The page reports that more than once."""
        before, self.chosen = self.chosen, event.get("nodes")
        node = next((node for node, number in self.numbers.items() if [number] == self.chosen), None)
        if node is None or self.chosen == before:
            return
        if node.kind == "runtime":
            self.go(str(Address("runtime", node.name)))
        elif node.kind == "group":
            self.schedule(lambda: self._open(node))

    def _on_hover(self, event: dict[str, Any]) -> None:
        id = str(event.get("edge_id")).removesuffix(LABEL_END)
        words = next((edge["ariaLabel"] for edge in self.graph.edges if edge["id"] == id), "")
        popup = Live(plain(words, 240), width=300, sizing_mode="fixed")
        self.schedule(lambda: self.graph.show_popup(popup, event.get("position")))

    def _on_leave(self, event: dict[str, Any]) -> None:
        self.schedule(self.graph.close_popup)

    def _on_fit(self, viewport: dict[str, Any]) -> None:
        """The page has fitted the graph into its frame. Its zoom gives the width, which decides the layout."""
        zoom = viewport.get("zoom")
        if self.width is not None or not isinstance(zoom, int | float) or zoom <= 0:
            return
        self.width = width_of(self.extent, zoom)
        best = self._best_places()
        self.misfit = best.size != self.extent or not self._readable(best)
        if (
            self.misfit and pn.state.loaded
        ):  # else with the first update: a change before the page has loaded would be lost
            self.schedule(self._rearrange)

    def _open(self, node: Node) -> None:
        busiest: Counter[str] = Counter()
        for (source, target), flow in self.traffic.pairs.recent(self.source.now(), self.window).items():
            for id in (source, target):
                if id is not None:
                    busiest[id] += flow.sent
        members = sorted(self.nodes.members(node), key=lambda id: -busiest[id])
        self.nodes.open(node.name, members[:MEMBERS])
        self._rearrange()

    def _close(self, _: str) -> None:
        def close() -> None:
            self.nodes.close()
            self._rearrange()

        self.schedule(close)

    def _tidy(self, _: str) -> None:
        self.schedule(self._rearrange)

    def _rearrange(self) -> None:
        self._arrange()
        self._draw(self.source.now())

    # ---- what is drawn

    def _draw(self, now: float) -> None:
        self.counts = self.traffic.edges.recent(now, self.window)
        edges = {edge: self.counts.get(edge, FlowCount()) for edge in self.traffic.edges.of}
        busiest = dict(sorted(edges.items(), key=self._rank)[:EDGES])
        self.crossings = self._find_crossings(edges)
        self.say.draw(self._sentence(edges, len(edges) - len(busiest)))
        self.list.draw(self._edge_list(busiest))
        nodes = [self._node(node, edges) for node in self.places.of]
        lines = [edge for edge in busiest if edge[0] != edge[1]]
        texts = {edge: self._texts(edge, busiest[edge], mutual=edge[::-1] in busiest) for edge in lines[:LABELS]}
        # The busiest last, over the lines of the others; then the labels, over all lines.
        drawn = [self._edge(edge, busiest[edge]) for edge in reversed(lines)]
        self._show(nodes, drawn + self._edge_labels(texts))

    def _find_crossings(self, edges: dict[Edge, FlowCount]) -> dict[Edge, tuple[str, str]]:
        """The edges that go from one node of a cluster to another."""
        members = self.nodes.members
        found = {edge: self.borders.crossing(members(edge[0]), members(edge[1])) for edge in edges}
        return {edge: crossing for edge, crossing in found.items() if crossing is not None}

    def _texts(self, edge: Edge, flow: FlowCount, *, mutual: bool) -> list[str]:
        """What its label may say: the rate and what failed, or the rate alone where there is less room.

        Where both send to each other, it says first which of the two it is about.
        """
        wrong = _failures_in_words(flow)
        if not flow.sent and not wrong:
            return []
        arrow = _direction(*(self.places.of[node] for node in edge)) if mutual else ""
        short = arrow + self._rate(flow)
        return [f"{short}, {wrong}", short] if wrong else [short]

    def _edge_labels(self, texts: dict[Edge, list[str]]) -> list[dict[str, Any]]:
        """The labels that find room. What the others would say is in the list below the graph."""
        places = LabelPlaces(map(box_of, self.places.of.values()))
        labels = []
        for edge, says in texts.items():
            source, target = map(self._number, edge)
            line = line_of(*(self.places.of[node] for node in edge))
            for text in says:
                if (place := places.place(line, text)) is not None:
                    move = Point(round(place.x - line[0].x, 1), round(place.y - line[0].y, 1))
                    labels.append(label_of_edge(source, target, text, move))
                    break
        return labels

    def _rank(self, item: tuple[Edge, FlowCount]) -> tuple[int, int, Edge]:
        """The busiest first. The order is fixed: an equal graph in another order would be sent again."""
        edge, flow = item
        return -flow.sent, -flow.failed - flow.lost, edge

    def _show(self, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> None:
        if self.graph is None or any(now > before for now, before in zip(self.places.size, self.extent, strict=True)):
            self.extent = self.places.size
            self.graph = graph_of(nodes, edges, rows=self.extent[1], on=self.handlers)
            self.holder.objects = [self.graph]
        else:
            redraw(self.graph, nodes=nodes, edges=edges)

    def _number(self, node: Node) -> str:
        """The id of a node on the page: never a string of a user."""
        return self.numbers.setdefault(node, f"n{len(self.numbers)}")

    def _node(self, node: Node, edges: dict[Edge, FlowCount]) -> dict[str, Any]:
        tally = self.statuses.of(node)
        label = label_of(node, tally, self.borders.words(self.nodes.members(node)))
        itself = edges.get((node, node))
        if itself is not None and itself.sent:
            label += f"  itself {self._rate(itself)}"
        name = "outside" if node.kind == "outside" else plain(node.name, 120)
        return node_of(self._number(node), self.places.of[node], KINDS.get(node.kind, "one"), name, label, tally.worst)

    def _edge(self, edge: Edge, flow: FlowCount) -> dict[str, Any]:
        source, target = map(self._number, edge)
        words, wrong = self._words(edge, flow), bool(flow.failed or flow.lost)
        crosses = edge in self.crossings
        return edge_of(source, target, words, flow.rate, wrong=wrong, quiet=not flow.sent, crosses=crosses)

    def _words(self, edge: Edge, flow: FlowCount) -> str:
        """One edge in words, as plain text."""
        source, target = map(_name_of, edge)
        wrong = [f"{flow.failed:,} failed"] if flow.failed else []
        wrong += [f"{flow.lost:,} dropped or terminated"] if flow.lost else []
        end = f", {' and '.join(wrong)} {within_last(self.window)}" if wrong else ""
        border = "" if edge not in self.crossings else ", from {} to {}".format(*self.crossings[edge])
        return f"{source} → {target}: {self._rate(flow)}{border}{end}"

    def _rate(self, flow: FlowCount) -> str:
        return rate(flow.rate, self.source.speed)

    def _sentence(self, edges: dict[Edge, FlowCount], hidden: int) -> Markup:
        total = sum(edges.values(), FlowCount())
        wrong = _failures_in_words(total)
        failed, to = f"; {wrong}" if wrong else "", "to" if len(self.nodes) == 1 else "between"
        real = in_real_time(total.rate, self.source.speed)
        sent = f"{self._rate(total)} ({real})" if real else self._rate(total)
        parts = [f"{sent} {to} {quantity(len(self.nodes), 'runtime')}{failed} {within_last(self.window)}."]
        across = sum((edges[edge] for edge in self.crossings), FlowCount())
        parts += [f"{self._rate(across)} of that goes from one node to another (dashed)."] if across.sent else []
        parts += [f"{quantity(hidden, 'connection')} with less are not drawn."] if hidden > 0 else []
        idle = len(self.source.runtimes) - self.statuses.live
        parts += [f"{quantity(idle, 'runtime')} neither sent nor received anything."] if idle > 0 else []
        return div(p(" ".join(parts), cls="say"), row(self._buttons()), cls="row spread")

    def _buttons(self) -> list[Markup]:
        tidy = action("tidy", "tidy up", cls="link")
        if self.nodes.opened is None:
            return [tidy]
        return [action("close", f"close {plain(self.nodes.opened, 40)}", cls="link"), tidy]

    def _edge_list(self, edges: dict[Edge, FlowCount]) -> Markup:
        items = [self._list_item(edge, flow) for edge, flow in list(edges.items())[:LISTED] if flow.sent]
        return ul(items, cls="edges", aria_label="who sends to whom")

    def _list_item(self, edge: Edge, flow: FlowCount) -> Markup:
        return li(plain(self._words(edge, flow), 240), cls="wrong" if flow.failed or flow.lost else None)


def _failures_in_words(flow: FlowCount) -> str:
    """How many activities were not done, in words; empty if all were."""
    wrong = flow.failed + flow.lost
    return f"{wrong:,} {'not done' if flow.lost else 'failed'}" if wrong else ""


def _direction(source: tuple[int, int], target: tuple[int, int]) -> str:
    """The way from a place to another one, as it is seen."""
    if source[0] == target[0]:
        return "↓ " if source[1] < target[1] else "↑ "
    return "→ " if source[0] < target[0] else "← "


def _name_of(node: Node) -> str:
    if node.kind == "outside":
        return "outside"
    return f"{'other ' if node.kind == 'rest' else ''}{plain(node.name, 60)}"
