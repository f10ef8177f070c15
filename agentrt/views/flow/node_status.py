"""The status of each node of the flow graph: how many runtimes have which status, how many wait; and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ...feed.source import Source
from ...snapshot import Snapshot
from ..text import plain
from ..theme import LANES, look_of
from .nodes import Node, Nodes

__all__ = ["NodeStatuses", "RuntimeCondition", "Tally", "label_of"]

WORST = ("failed", "stuck", "error", "processing", "paused", "idle", "terminated")


class RuntimeCondition(NamedTuple):
    """The status of a runtime, and how many wait in its two lanes."""

    status: str
    depth: tuple[int, int]

    @property
    def unsettled(self) -> bool:
        """Whether its status may change without a record: it runs something, or is about to."""
        return self.status == "processing" or (any(self.depth) and self.status in ("idle", "error"))


class Tally:
    """Statuses and depths of the runtimes of one node together."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.depth = [0, 0]

    def add(self, condition: RuntimeCondition, sign: int = 1) -> None:
        """Count one more, or with `sign` -1 one less."""
        self.statuses[condition.status] += sign
        self.depth[0] += sign * condition.depth[0]
        self.depth[1] += sign * condition.depth[1]

    @property
    def by_worst(self) -> list[tuple[str, int]]:
        """How many of each status there are, the worst first."""
        return [(status, self.statuses[status]) for status in WORST if self.statuses[status]]

    @property
    def worst(self) -> str:
        """The worst status of them all."""
        return next((status for status, _ in self.by_worst), "idle")


class NodeStatuses:
    """The runtimes of a flow graph, read again when they change. The cost is per change, not per runtime."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes = Nodes(self._workflow)
        self.conditions: dict[str, RuntimeCondition] = {}
        self.tallies: dict[Node, Tally] = {}
        self.unsettled: set[str] = set()

    def of(self, node: Node) -> Tally:
        """The tally of a node."""
        return self.tallies.get(node) or Tally()

    @property
    def live(self) -> int:
        """How many have not ended."""
        return sum(tally.statuses.total() - tally.statuses["terminated"] for tally in self.tallies.values())

    def look(self, ids: Iterable[str]) -> None:
        """Read these again, and those whose status changes without a record."""
        wanted = {*ids, *self.unsettled}
        shots = {shot.id: shot for shot in self.source.figures(wanted, metrics=False)}
        for id in wanted:
            before, condition = self.conditions.get(id), _condition_of(shots.get(id))
            tally = self._tally(id)
            if before is not None:
                tally.add(before, -1)
            tally.add(condition)
            self.conditions[id] = condition
            (self.unsettled.add if condition.unsettled else self.unsettled.discard)(id)

    def _tally(self, id: str) -> Tally:
        node = self.nodes.of(id)
        found = self.tallies.get(node)
        if found is None:
            found = self.tallies[node] = Tally()
        return found

    def sort(self) -> None:
        """Count all again, after runtimes have got other nodes."""
        self.tallies = {}
        for id, condition in self.conditions.items():
            self._tally(id).add(condition)

    def forget(self) -> None:
        """Forget those that have ended."""
        gone = [id for id in self.nodes.names if id not in self.source.runtimes]
        self.nodes.forget(gone)
        self.conditions = {id: each for id, each in self.conditions.items() if id in self.nodes.names}
        self.unsettled &= self.conditions.keys()

    def _workflow(self, id: str) -> str:
        found = self.source.figures([id], metrics=False)
        return found[0].workflow if found else "ended"


def _condition_of(shot: Snapshot | None) -> RuntimeCondition:
    return RuntimeCondition("terminated", (0, 0)) if shot is None else RuntimeCondition(shot.status.value, shot.depth)


def label_of(node: Node, tally: Tally, place: str = "") -> str:
    """The text in a node: three lines, plain. `place`: which node of a cluster it is on."""
    if node.kind == "outside":
        return "outside\na cell, a script,\nor a person"
    waiting = "  ".join(f"{look.glyph} {depth:,}" for look, depth in zip(LANES.values(), tally.depth, strict=True))
    at = f" · {place}" if place else ""
    if node.kind == "runtime":
        worst = look_of(tally.worst)
        return f"{plain(node.name, 22)}\n{worst.glyph} {worst.word}{at}\n{waiting}"
    more = "+" if node.kind == "rest" else ""
    name = f"{plain(node.name, 15)} {more}{tally.statuses.total():,}"
    counts = ", ".join(f"{look_of(status).glyph} {number:,}" for status, number in tally.by_worst)
    return f"{name}\n{counts}{at}\n{waiting}"
