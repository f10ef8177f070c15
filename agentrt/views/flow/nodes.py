"""The nodes of the flow graph and their places: runtimes, or groups where there are too many. A place never changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .traffic import OUTSIDE

__all__ = ["LAST", "MOST", "Node", "Nodes", "Places", "pattern"]

MOST = 24  # nodes in the picture
TALL, LAST = 7, 6  # rows of a column before the next one is used; the last column
NUMBER = re.compile(r"\d+")
OTHERS = "others"
HEAD = re.compile(r"\W*[^\W\d_]+")


class Node(NamedTuple):
    """A node of the graph: `outside`, a runtime, or a group of runtimes with a common name."""

    kind: str
    name: str = ""


OUT = Node("outside")


def pattern(id: str) -> str:
    """An id without its numbers.

    >>> pattern("agent-00042"), pattern("row 3, seat 12")
    ('agent-#', 'row #, seat #')
    """
    return NUMBER.sub("#", id)


def _first_word(id: str) -> str:
    found = HEAD.match(id)
    return f"{found.group()}…" if found else OTHERS


class Nodes:
    """The node of each runtime.

    By id while there are few; then by the pattern of the ids, by their first word, by workflow: the first that gives
    few enough nodes. Where none does, the largest groups of the coarsest of these stay, and what is left is "others".
    Groups get coarser as runtimes come, and never finer.
    """

    def __init__(self, workflow: Callable[[str], str], most: int = MOST) -> None:
        self.most = most
        self.keys: tuple[Callable[[str], str], ...] = (
            lambda id: id,
            pattern,
            _first_word,
            workflow,
            self._largest,
        )
        self.largest: set[str] = set()
        self.coarsest: Callable[[str], str] = workflow
        self.level = 0
        self.names: dict[str, str] = {}  # the name of its node, by runtime
        self.ids: dict[str, list[str]] = {}
        self.opened: str | None = None
        self.alone: set[str] = set()  # members of the opened group that are nodes of their own

    def __len__(self) -> int:
        return len(self.names)

    def add(self, ids: Iterable[str]) -> bool:
        """Add these. Returns whether earlier runtimes have other nodes now."""
        regrouped = [self._add(id) for id in ids if id not in self.names]
        level = self.level
        while len(self.ids) > self.most and self.level < len(self.keys) - 1:
            self._coarsen()
        return any(regrouped) or level != self.level

    def group_by_pattern(self) -> bool:
        """Let one node stand for all that differ in their numbers only, from now on. Returns whether there were any."""
        if self.level or len(set(map(pattern, self.names))) == len(self.names):
            return False
        self._coarsen()
        return True

    def _coarsen(self) -> None:
        self.level += 1
        if self.level == len(self.keys) - 1:
            self._find_largest()
        every, self.names, self.ids = list(self.names), {}, {}
        for id in every:
            self._add(id)

    def _find_largest(self) -> None:
        """Choose the groups that stay nodes of their own."""
        sizes = {key: Counter(map(key, self.names)) for key in self.keys[1:-1]}
        self.coarsest = min(sizes, key=lambda key: len(sizes[key]))
        self.largest = {name for name, _ in sizes[self.coarsest].most_common(self.most - 1)}

    def _largest(self, id: str) -> str:
        name = self.coarsest(id)
        return name if name in self.largest else OTHERS

    def forget(self, ids: Iterable[str]) -> None:
        """Remove these."""
        for id in ids:
            name = self.names.pop(id)
            self.ids[name].remove(id)
            if not self.ids[name]:
                del self.ids[name]

    def _add(self, id: str) -> bool:
        """Add one. Returns whether that turns a runtime into a group."""
        name = self.names[id] = self.keys[self.level](id)
        members = self.ids.setdefault(name, [])
        members.append(id)
        return len(members) == 2

    def of(self, id: str | None) -> Node:
        """The node that stands for a runtime, or for outside."""
        if id is OUTSIDE:
            return OUT
        name = self.names[id]
        if id in self.alone or len(self.ids[name]) == 1:
            return Node("runtime", id)
        return Node("rest" if name == self.opened else "group", name)

    def members(self, node: Node) -> list[str]:
        """Which runtimes a node stands for."""
        if node.kind == "runtime":
            return [node.name]
        return [id for id in self.ids.get(node.name, ()) if id not in self.alone]

    def open(self, name: str, members: Iterable[str]) -> None:
        """Show these members of a group as nodes of their own; the rest stays one node."""
        self.opened, self.alone = name, set(members)

    def close(self) -> None:
        """Show the opened group as one again."""
        self.opened, self.alone = None, set()


class Places:
    """The places of nodes: right of those that send to them, up to the `last` column. A place never changes."""

    def __init__(self, pairs: Iterable[tuple[Node, Node]] = (), last: int = LAST) -> None:
        self.last = last
        self.of: dict[Node, tuple[int, int]] = {}
        self.filled: Counter[int] = Counter()
        pairs = list(pairs)
        columns = layers(pairs)
        for node in sorted(columns, key=columns.__getitem__):
            rows = [self.of[source][1] for source, target in pairs if target == node and source in self.of]
            self._place(node, columns[node], near=sum(rows) / len(rows) if rows else 0.0)

    def add(self, pairs: Iterable[tuple[Node, Node]]) -> None:
        """Find places for the new nodes in these pairs."""
        for source, target in pairs:
            self._place(source, 0)
            self._place(target, self.of[source][0] + 1)

    def _place(self, node: Node, column: int, near: float = 0.0) -> None:
        if node in self.of:
            return
        column = min(column, self.last)
        while self.filled[column] >= TALL and column < self.last:
            column += 1
        taken = {row for x, row in self.of.values() if x == column}
        free = [row for row in range(len(taken) + 1) if row not in taken]
        self.of[node] = (column, min(free, key=lambda row: abs(row - near)))
        self.filled[column] += 1

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and rows are used."""
        return 1 + max((x for x, _ in self.of.values()), default=0), 1 + max(
            (y for _, y in self.of.values()), default=0
        )


def layers(pairs: list[tuple[Node, Node]]) -> dict[Node, int]:
    """A column for each node: one more than the last of its senders. Pairs that close a circle are left out."""
    to: dict[Node, list[Node]] = {}
    for source, target in pairs:
        to.setdefault(source, []).append(target)
        to.setdefault(target, [])
    order: list[Node] = []
    forward: list[tuple[Node, Node]] = []
    entered: dict[Node, bool] = {}  # True once all its targets are visited

    def visit(node: Node) -> None:
        entered[node] = False
        for target in to[node]:
            if target not in entered:
                visit(target)
            if entered[target]:
                forward.append((node, target))
        entered[node] = True
        order.append(node)

    receivers = {target for source, target in pairs if source != target}
    for node in sorted(to, key=lambda node: node in receivers):
        if node not in entered:
            visit(node)
    columns = dict.fromkeys(reversed(order), 0)
    for node in columns:
        for source, target in forward:
            if source == node:
                columns[target] = max(columns[target], columns[node] + 1)
    return columns
