"""Takeover: where the process of a node has ended, another one takes its place."""

from __future__ import annotations

from typing import Any

from .breakpoint_copies import BreakpointCopies
from .node import Wanted, begins_again
from .placement import score

__all__ = ["Takeover"]


class Takeover:
    """What a driver does where the process of a node has ended. The loop's thread only.

    Args:
        manager: The driver, a `ClusterManager`.
        created: What was created through this driver and has not ended, by id.
        breakpoints: Its copy of all breakpoints.
    """

    def __init__(self, manager: Any, created: dict[str, Wanted], breakpoints: BreakpointCopies) -> None:
        self._manager = manager
        self._created = created
        self._breakpoints = breakpoints

    async def replace(self, node: str) -> None:
        """Have another process go on from the journal of a node; without one, begin again what its supervision says.

        Raises:
            Exception: That process has ended as well, or the journal can't be opened yet: it may be tried again.
        """
        manager = self._manager
        living = [each for each in manager.nodes if each != node and not await manager.engine.has_ended(each)]
        if manager.engine.is_durable:
            await self._reassign(node, living)
        elif living:
            self._give_up(node)
        else:
            await self._start_anew(node)

    async def _reassign(self, node: str, living: list[str]) -> None:
        manager = self._manager
        if not living:
            await manager.engine.start_again(node, manager.nodes)
        host = max(living or [node], key=lambda each: score(each, node))
        wanted = list(map(self._breakpoints.add_to, self._runtimes_of(node)))
        await manager.engine.adopt(node, host, wanted, manager.placement.list_pins(), manager.groups_made)
        manager.note_node("node_adopted", node, host=host)
        manager.greet(node)
        for each in manager.nodes:
            manager.courier.command(each, "greet", node)

    def _give_up(self, node: str) -> None:
        """Begin again on the other nodes."""
        manager = self._manager
        again, gone = self._divide(node)
        manager.lose_node(node, gone)
        for other in manager.nodes:
            manager.courier.command(other, "lose", node, gone)
        for each in again:
            manager.courier.command(manager.placement.node_of(each[0]), "create", [self._breakpoints.add_to(each)])

    async def _start_anew(self, node: str) -> None:
        """Begin again in a new process of the node: there is no other one."""
        manager = self._manager
        again, gone = self._divide(node)
        manager.placement.note_losses(dict.fromkeys(gone, node))
        manager.courier.lose(node)
        # Before the process is there: so it does this before it takes what is sent meanwhile.
        for name, given in manager.groups_made.items():
            manager.courier.command(node, "group", name, *given)
        manager.courier.command(node, "pin_all", manager.placement.list_pins())
        for each in manager.nodes:
            manager.courier.command(each, "note_losses", manager.placement.lost)
        manager.courier.command(node, "create", list(map(self._breakpoints.add_to, again)))
        await manager.engine.start_again(node, manager.nodes)
        manager.note_node("node_started_again", node)

    def _runtimes_of(self, node: str) -> list[Wanted]:
        return [each for id, each in self._created.items() if self._manager.placement.node_of(id) == node]

    def _divide(self, node: str) -> tuple[list[Wanted], list[str]]:
        """Of the runtimes of a node those that begin again, and the ids of the others: they are forgotten."""
        here = self._runtimes_of(node)
        gone = [each[0] for each in here if not begins_again(each)]
        for id in gone:
            del self._created[id]
            self._manager.groups.remove(id)
        return [each for each in here if begins_again(each)], gone
