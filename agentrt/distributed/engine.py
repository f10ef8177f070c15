"""What a cluster needs of an engine: Ray, a network in memory, or another one."""

from __future__ import annotations

from typing import Protocol

from .link import Peer
from .node import GroupsMade, NodeStatus, Wanted
from .placement import Pins
from .resources import Machine

__all__ = ["Engine"]


class Engine(Protocol):
    """What starts nodes and reaches them: Ray, or a network in memory."""

    nodes: tuple[str, ...]
    is_durable: bool
    link: str  # to a page of its own; empty if it has none

    def peer(self, node: str) -> Peer:
        """A node, as the driver reaches it: `send_batch`."""

    async def events_since(self, node: str, reader: str, answer: bytes, wait: float) -> bytes:
        """Fetch what a node has for this reader.

        Args:
            node: Whose.
            reader: The name of the driver.
            answer: That to the batch before.
            wait: Seconds to wait at most.

        Raises:
            UnreachableError: The node does not answer.
        """

    async def status(self, node: str) -> NodeStatus:
        """How a node is."""

    async def has_ended(self, node: str) -> bool:
        """Whether the process of a node has ended, and nothing has it now; False while it may only be slow."""

    async def adopt(self, node: str, host: str, wanted: list[Wanted], pins: Pins, groups: GroupsMade) -> None:
        """Have the process of `host` take over a node, and tell all others where it is.

        Args:
            node: Whose process has ended.
            host: The name of a node whose process has not.
            wanted: The runtimes that were made there.
            pins: Where runtimes are pinned.
            groups: The supervision groups of all nodes.
        """

    async def add(self, node: str, nodes: tuple[str, ...]) -> None:
        """Start one more node, and let all others reach it.

        Args:
            node: Its name.
            nodes: The names of all nodes.

        Raises:
            ConfigurationError: It would run another version of Python or of this package; nothing was changed.
        """

    async def start_again(self, node: str, nodes: tuple[str, ...]) -> None:
        """Start the process of a node again, and let all others reach it: none is left that could take the node over.

        Args:
            node: Its name.
            nodes: The names of all nodes.

        Raises:
            Exception: It could not be started now; it is tried again.
        """

    async def remove(self, node: str) -> None:
        """End a node that has left the cluster."""

    def machines(self) -> dict[str, Machine]:
        """Where the process of each node runs, and what there is. Any thread."""

    def read_feed(self, node: str, reader: str, data: bytes) -> bytes:
        """Have a node answer a frame of whoever looks at it, see `Readers.answer`. Any thread but a loop's; it blocks.

        Raises:
            UnreachableError: The node does not answer.
        """

    def stop(self) -> None:
        """End the nodes that it has started. Any thread."""
