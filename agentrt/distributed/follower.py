"""Follower: a driver that asks each of its nodes, again and again, for what is new there."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from typing import Any

from ..errors import AgentError

__all__ = ["NodeFollower"]

RETRY = 0.2  # seconds until a node is asked again whose process has ended


class NodeFollower:
    """Has nodes answer a command that waits until there is something, and takes what each of them answers.

    Args:
        manager: The driver, a `ClusterManager`.
        command: The name of the command.
        take: Takes an answer: it is given the name of the node, and the value.
    """

    def __init__(self, manager: Any, command: str, take: Callable[[str, Any], Awaitable[None]]) -> None:
        self._manager = manager
        self._command = command
        self._take = take
        self._of: dict[str, concurrent.futures.Future[None]] = {}

    def follow(self, node: str) -> None:
        """Begin to ask a node, if it is not asked. Any thread."""
        if node not in self._of or self._of[node].done():
            self._of[node] = self._manager.submit(self._follow(node))

    def close(self) -> None:
        """Ask no more. Any thread."""
        for each in self._of.values():
            each.cancel()

    async def _follow(self, node: str) -> None:
        manager = self._manager
        while not manager.closed and node in manager.nodes:
            promise = manager.courier.command(node, self._command)
            await promise.wait()
            if isinstance(promise.value, AgentError):  # the next life of the node is asked
                await asyncio.sleep(RETRY)
            else:
                await self._take(node, promise.value[0])
