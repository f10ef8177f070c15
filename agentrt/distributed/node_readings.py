"""Readings of nodes: what each of them counts, for the metrics of a cluster."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..integrations.readings import ManagerReader, ManagerReading, ReadNodes
from ..receipt import Promise

__all__ = ["NodeReadings", "read_nodes"]

WAIT = 1.0  # seconds for the answers of all nodes
MOST_READERS = 4  # that a node has at a time: each keeps the counts of runtimes that have ended


class NodeReadings:
    """What a node answers to those who read its counts. The loop's thread.

    Args:
        manager: The manager of the node.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._readers: dict[str, ManagerReader] = {}

    def read(self, key: str, label: Callable[[str], str] | None, most: int) -> ManagerReading:
        """What there is now.

        Args:
            key: Says who reads: it gets the counts as well of what ended since it read first.
            label: As in `ManagerReader`.
            most: As in `ManagerReader`.
        """
        reader = self._readers.pop(key, None) or ManagerReader(self._manager, label, most)
        self._readers[key] = reader  # the last one: it was used last
        if len(self._readers) > MOST_READERS:
            del self._readers[next(iter(self._readers))]
        return reader.read()


class ClusterReader:
    """Reads all nodes of a cluster. Any thread but the agents'.

    Args:
        manager: The driver, a `ClusterManager`.
        label: As in `ManagerReader`.
        most: As in `ManagerReader`.
    """

    def __init__(self, manager: Any, label: Callable[[str], str] | None, most: int) -> None:
        self._manager = manager
        self._arguments = secrets.token_hex(8), label, most
        self._asked: dict[str, Promise[Any]] = {}  # by node; one that has not answered is not asked again
        self.read()  # from here on what ends is counted

    def read(self) -> dict[str, ManagerReading | None]:
        """What each node counts now; None for one that does not answer within a second, or did not the last time."""
        manager, deadline = self._manager, time.monotonic() + WAIT
        silent = {node for node, promise in self._asked.items() if promise.value is None}
        for node in manager.nodes:
            if node not in silent:
                self._asked[node] = manager.courier.command(node, "metrics", *self._arguments)
        found: dict[str, ManagerReading | None] = {}
        for node in manager.nodes:
            promise = self._asked[node]
            if node not in silent:
                with suppress(TimeoutError):
                    promise.block(max(0.0, deadline - time.monotonic()), "asyncio.to_thread(...) around it")
            found[node] = promise.value[0] if isinstance(promise.value, tuple) else None
        self._asked = {node: promise for node, promise in self._asked.items() if node in found}
        return found


def read_nodes(manager: Any, label: Callable[[str], str] | None = None, most: int = 100) -> ReadNodes:
    """Make what reads all nodes of a cluster. Contract: `agentrt.integrations.readings.HasNodeReadings`."""
    return ClusterReader(manager, label, most).read
