"""Placement: which node a runtime is on.

An id is placed by rendezvous hashing (Thaler and Ravishankar, 1996): each node has a score for it, and the highest one
wins. When a node leaves, only what was on it gets another place; when one comes, it takes its share and nothing else
moves. A runtime that was created with `placement=`, or moved, is pinned: it is where it was put.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from ..errors import ConfigurationError, RuntimeFailedError

__all__ = ["Pins", "Placement", "score"]

Pins = dict[str, tuple[str, int]]  # where runtimes are pinned, and since which number, by id


def score(node: str, id: str) -> int:
    """How much a node is to have a runtime: any two processes come to the same number.

    >>> score("a", "JFK") == score("a", "JFK")
    True
    """
    return int.from_bytes(blake2b(f"{len(node)}:{node}{id}".encode(), digest_size=8).digest(), "big")


class Placement:
    """Where each runtime is.

    Args:
        nodes: The names of the nodes that take runtimes.

    >>> placement = Placement(["a", "b", "c"])
    >>> before = {str(i): placement.node_of(str(i)) for i in range(1000)}
    >>> placement.remove("b")
    >>> sorted({before[id] for id in before if placement.node_of(id) != before[id]})
    ['b']
    """

    def __init__(self, nodes: Iterable[str] = ()) -> None:
        self.nodes = tuple(dict.fromkeys(nodes))
        self.pins: dict[str, str] = {}
        self.epochs: dict[str, int] = {}  # the number of what has pinned it: an older one changes nothing
        self.lost: dict[str, str] = {}  # runtimes that have ended with their node, by id
        self._found: dict[str, str] = {}

    def node_of(self, id: str) -> str:
        """The name of the node that has a runtime, or would have it.

        Raises:
            RuntimeFailedError: It has ended with its node.
            ConfigurationError: There is no node at all.
        """
        if self.lost and id in self.lost:
            raise RuntimeFailedError(
                f"{id!r} has ended with {self.lost[id]!r}, the node that it was on; create it again, or connect with "
                "journal= to have such runtimes resumed",
                runtime=id,
            )
        node = self.pins.get(id) or self._found.get(id)
        if node is None:
            if not self.nodes:
                raise ConfigurationError("the cluster has no node that takes runtimes")
            node = self._found[id] = max(self.nodes, key=lambda each: score(each, id))
        return node

    def pin(self, id: str, node: str, epoch: int = 0) -> bool:
        """It is there, whatever its score says.

        Args:
            id: Which runtime.
            node: The name of its node.
            epoch: The number of the command or the move that has put it there.

        Returns:
            Whether nothing newer is known.

        Raises:
            ConfigurationError: There is no node of this name.
        """
        self.check_node(node)
        if epoch < self.epochs.get(id, 0):
            return False
        self.pins[id], self.epochs[id] = node, epoch
        return True

    def check_node(self, node: str) -> None:
        """Raise `ConfigurationError` unless there is a node of this name."""
        if node not in self.nodes:
            raise ConfigurationError(f"there is no node {node!r}; there are: {', '.join(self.nodes) or 'none'}")

    def list_pins(self) -> Pins:
        """Where each pinned runtime is, and since which number."""
        return {id: (node, self.epochs.get(id, 0)) for id, node in self.pins.items()}

    def pin_all(self, pins: Pins) -> None:
        """Pin several, as another process has them."""
        for id, (node, epoch) in pins.items():
            self.pin(id, node, epoch)

    def note_losses(self, lost: Mapping[str, str]) -> None:
        """These runtimes have ended with their nodes."""
        self.lost.update(lost)

    def forget_loss(self, id: str) -> None:
        """What has ended with its node is made again."""
        self.lost.pop(id, None)

    def add(self, node: str) -> None:
        """One more node takes runtimes: its share, but for what is pinned."""
        if node not in self.nodes:
            self.nodes = (*self.nodes, node)
            self._found = {}

    def remove(self, node: str, lost: Iterable[str] = ()) -> None:
        """A node has left, and these runtimes have ended with it. What was pinned to it is placed by its score."""
        self.note_losses(dict.fromkeys(lost, node))
        self.nodes = tuple(each for each in self.nodes if each != node)
        self.pins = {id: each for id, each in self.pins.items() if each != node}
        self._found = {}
