"""Which node of a cluster the runtimes of a flow graph are on, and which of its edges go from one to another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ...feed.nodes import HasNodes
from ...feed.source import Source
from ..text import plain, quantity

__all__ = ["Borders"]

MOST = 20  # members of a group that are looked at


class Borders:
    """Of a source that is no cluster, all is on one node without a name."""

    def __init__(self, source: Source) -> None:
        self._source = source if isinstance(source, HasNodes) else None

    def places(self, ids: Sequence[str]) -> set[str]:
        """The names of the nodes that these are on; of many the first are looked at."""
        if self._source is None:
            return set()
        return set(map(self._source.node_of, islice(ids, MOST))) - {""}

    def words(self, ids: Sequence[str]) -> str:
        """Where these are, in a word or two; empty where there are no nodes."""
        found = self.places(ids)
        if len(found) > 1:
            return quantity(len(found), "node")
        return plain(next(iter(found)), 20) if found else ""

    def crossing(self, source: Sequence[str], target: Sequence[str]) -> tuple[str, str] | None:
        """From which node to which what these send to those goes; None if it stays, or if they are on several."""
        here, there = self.places(source), self.places(target)
        if len(here) != 1 or len(there) != 1 or here == there:
            return None
        return here.pop(), there.pop()
