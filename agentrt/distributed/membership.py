"""Membership: nodes that come to a cluster, and nodes that leave it, with the runtimes that change their place."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import chain
from typing import Any

from ..errors import AgentError, ConfigurationError
from .placement import Pins, Placement

__all__ = ["Membership"]

AT_ONCE = 20  # runtimes that are moved at a time
LOOK = 0.05  # seconds between two looks at what a node has still to send


class Membership:
    """What a driver does where the nodes of its cluster change. The loop's thread only.

    Args:
        manager: The driver, a `ClusterManager`.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._courier = manager.courier

    async def add(self, timeout: float | None) -> str:
        """Start one more node; what its score gives it is moved there."""
        manager = self._manager
        node = self._next_name()
        there = Placement([*manager.nodes, node])
        shares = {}
        for other, ids in (await self._ask_all("ids")).items():
            chosen = [id for id in ids if id not in manager.placement.pins and there.node_of(id) == node]
            shares[other] = chosen
        await manager.engine.add(node, (*manager.nodes, node))
        for other, chosen in shares.items():
            await self._pin({id: (other, manager.number()) for id in chosen})  # until they are there
        await self._ask_all("add_node", node)
        manager.placement.add(node)
        manager.fetch_from(node)
        await self._ask(node, "pin_all", manager.placement.list_pins())
        await self._ask(node, "resume_sending")
        for name, given in manager.groups_made.items():
            await self._ask(node, "group", name, *given)
        if manager.groups_made:
            manager.supervisor.follow()
        manager.note_node("node_added", node)
        await self._move(dict.fromkeys(chain.from_iterable(shares.values()), node), timeout)
        return node

    def _next_name(self) -> str:
        numbers = [int(each.rpartition("-")[2]) for each in self._manager.engine.nodes]
        return f"node-{max(numbers, default=0) + 1}"

    async def remove(self, node: str, timeout: float | None) -> None:
        """Move all that is on a node to the others, and end it."""
        manager = self._manager
        manager.placement.check_node(node)
        rest = Placement([each for each in manager.nodes if each != node])
        if not rest.nodes:
            raise ConfigurationError(f"{node!r} is the only node: close the manager to end it")
        here: list[str] = await self._ask(node, "ids")
        failed = await self._move({id: rest.node_of(id) for id in here}, timeout)
        if failed:
            id, why = next(iter(failed.items()))
            raise AgentError(f"{node!r} stays, as {len(failed)} of its runtimes do; {id!r} for one: {why}", runtime=id)
        await self._ask_all("contact", node)
        while await self._has_to_send(node):
            await asyncio.sleep(LOOK)
        await self._ask_all("dismiss_node", node, besides=node)
        manager.dismiss_node(node)
        await manager.engine.remove(node)

    async def _has_to_send(self, node: str) -> bool:
        if await self._ask(node, "unsent"):
            return True
        backlog = (await self._manager.engine.status(node)).backlog
        return any(count for other, count in backlog.items() if other in self._manager.nodes)

    async def _move(self, moving: dict[str, str], timeout: float | None) -> dict[str, AgentError]:
        """Move runtimes to these nodes, some at a time; return why some stay."""
        free = asyncio.Semaphore(AT_ONCE)
        failed: dict[str, AgentError] = {}

        async def move(id: str, node: str) -> None:
            async with free:
                try:
                    await self._manager.move_soon(id, node, timeout)
                except AgentError as error:
                    failed[id] = error
                    self._manager.note_node("runtime_not_moved", node, runtime=id, why=str(error))

        await asyncio.gather(*(move(id, node) for id, node in moving.items()))
        return failed

    # ---- what the journals hold, when a cluster is started again

    async def locate_runtimes(self) -> None:
        """Pin what a journal holds to the node of that journal, wherever its id leads to; send what is to be sent."""
        manager = self._manager
        found: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        for node, stored in (await self._ask_all("stored")).items():
            for id, created in stored.items():
                found[id].append((created, node))
        pins: Pins = {}
        for id, places in found.items():
            *older, (_, node) = sorted(places)
            for _, other in older:  # it was moved from there, and the process ended right then
                await self._ask(other, "discard", [id])
            if manager.placement.node_of(id) != node:
                pins[id] = node, manager.number()
        if pins:
            await self._pin(pins)
        await self._ask_all("resume_sending")

    # ---- commands

    async def _pin(self, pins: Pins) -> None:
        self._manager.placement.pin_all(pins)
        if pins:
            await self._ask_all("pin_all", pins)

    async def _ask(self, node: str, name: str, *arguments: Any) -> Any:
        promise = self._courier.command(node, name, *arguments)
        await promise.wait()
        if isinstance(promise.value, AgentError):
            raise promise.value.copy()
        assert promise.value is not None
        return promise.value[0]

    async def _ask_all(self, name: str, *arguments: Any, besides: str = "") -> dict[str, Any]:
        nodes = [each for each in self._manager.nodes if each != besides]
        answers = await asyncio.gather(*(self._ask(each, name, *arguments) for each in nodes))
        return dict(zip(nodes, answers, strict=True))
