"""How the runtimes behind each node of the flow graph are: how many of each status, how much waits; and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from ...snapshot import Snapshot
from ..text import plain
from ..theme import LANES, look_of
from .nodes import Node, Nodes

__all__ = ["Crowd", "How", "Tally", "label_of"]

WORST = ("failed", "stuck", "error", "processing", "paused", "idle", "terminated")


class How(NamedTuple):
    """What is kept of a runtime: its status, and how many wait in its two lanes."""

    status: str
    depth: tuple[int, int]

    @property
    def restless(self) -> bool:
        """Whether its status may change without a record: it runs something, or is about to."""
        return self.status == "processing" or (any(self.depth) and self.status in ("idle", "error"))


class Tally:
    """Statuses and depths of the runtimes of one node together."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.depth = [0, 0]

    def add(self, how: How, sign: int = 1) -> None:
        """Count one more, or with `sign` -1 one less."""
        self.statuses[how.status] += sign
        self.depth[0] += sign * how.depth[0]
        self.depth[1] += sign * how.depth[1]

    @property
    def by_worst(self) -> list[tuple[str, int]]:
        """How many of each status there are, the worst first."""
        return [(status, self.statuses[status]) for status in WORST if self.statuses[status]]

    @property
    def worst(self) -> str:
        """The worst status of them all."""
        return next((status for status, _ in self.by_worst), "idle")


class Crowd:
    """The runtimes of a flow graph, looked at when they changed. Costs what changed, not what is there."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.nodes = Nodes(self._workflow)
        self.known: dict[str, How] = {}
        self.tallies: dict[Node, Tally] = {}
        self.restless: set[str] = set()

    def of(self, node: Node) -> Tally:
        """How those of a node are."""
        return self.tallies.get(node) or Tally()

    @property
    def live(self) -> int:
        """How many have not ended."""
        return sum(tally.statuses.total() - tally.statuses["terminated"] for tally in self.tallies.values())

    def look(self, ids: Iterable[str]) -> None:
        """Look at these again, and at those that may have changed without a word."""
        for id in {*ids, *self.restless}:
            before, how = self.known.get(id), self._how(id)
            tally = self._tally(id)
            if before is not None:
                tally.add(before, -1)
            tally.add(how)
            self.known[id] = how
            (self.restless.add if how.restless else self.restless.discard)(id)

    def _tally(self, id: str) -> Tally:
        node = self.nodes.of(id)
        found = self.tallies.get(node)
        if found is None:
            found = self.tallies[node] = Tally()
        return found

    def sort(self) -> None:
        """Count all anew: they stand for other nodes now."""
        self.tallies = {}
        for id, how in self.known.items():
            self._tally(id).add(how)

    def forget(self) -> None:
        """Forget those that have ended."""
        gone = [id for id in self.nodes.names if id not in self.manager]
        self.nodes.forget(gone)
        self.known = {id: how for id, how in self.known.items() if id in self.nodes.names}
        self.restless &= self.known.keys()

    def _how(self, id: str) -> How:
        shot = self._shot(id)
        return How("terminated", (0, 0)) if shot is None else How(shot.status.value, shot.depth)

    def _shot(self, id: str) -> Snapshot | None:
        known = id in self.manager or id in self.manager.terminated
        found: Snapshot | None = self.manager.snapshot(id, metrics=False) if known else None
        return found

    def _workflow(self, id: str) -> str:
        shot = self._shot(id)
        return shot.workflow if shot is not None else "ended"


def label_of(node: Node, tally: Tally) -> str:
    """What stands in a node: three lines of plain text."""
    if node.kind == "outside":
        return "outside\na cell, a script,\nor a person"
    waiting = "  ".join(f"{look.glyph} {depth:,}" for look, depth in zip(LANES.values(), tally.depth, strict=True))
    if node.kind == "runtime":
        worst = look_of(tally.worst)
        return f"{plain(node.name, 22)}\n{worst.glyph} {worst.word}\n{waiting}"
    more = "+" if node.kind == "rest" else ""
    name = f"{plain(node.name, 15)} {more}{tally.statuses.total():,}"
    said = ", ".join(f"{look_of(status).glyph} {number:,}" for status, number in tally.by_worst)
    return f"{name}\n{said}\n{waiting}"
