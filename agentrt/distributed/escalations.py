"""Escalations: failures on a node that the driver decides about, as the group has members on other nodes as well.

The member that failed takes nothing more until the driver has decided; what is sent to it meanwhile waits. Then each
node does its part: first what runs is interrupted on all of them, then all begin again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from ..engine.protocols import GROUP
from ..errors import AgentError
from ..groups import interrupt_members, restart_members, stop_members
from .packing import pack_error, unpack_error

__all__ = ["Escalation", "Escalations", "GroupOrder"]

Done = dict[str, tuple[str, int]]  # of each member that was there: its node, and the number there when it was done


class Escalation(NamedTuple):
    """A failure that a group has to decide about.

    Args:
        runtime: Whose.
        group: The name of the group.
        number: That of the node when it happened.
        cause: The error, packed.
    """

    runtime: str
    group: str
    number: int
    cause: bytes


class GroupOrder(NamedTuple):
    """What a group has decided for some of its members.

    Args:
        ids: Which, in the order in which they joined.
        group: The name of the group.
        what: What becomes of them: "restarted" or "stopped".
        cause: The failure that it answers, packed.
        ages: How many seconds ago children of each group have failed, by the name of the group.
    """

    ids: tuple[str, ...]
    group: str
    what: str
    cause: bytes
    ages: dict[str, list[float]]


class Escalations:
    """What one node does for groups that have members on several. The loop's thread only.

    Args:
        manager: The manager of the node.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._waiting: list[Escalation] = []  # that no driver has fetched; one of a member at most, as it is halted
        self._came = asyncio.Event()

    def add(self, entry: Any, group: str) -> None:
        """Have the driver decide about the failure of a member, which is halted until then."""
        with self._manager.lock:
            entry.await_decision(GROUP)
        self._waiting.append(Escalation(entry.id, group, self._manager.number(), pack_error(entry.error)))
        self._came.set()

    async def fetch(self) -> list[Escalation]:
        """Wait until there are any, and return them: to the driver, which asks for them again and again."""
        await self._came.wait()
        self._came.clear()
        found, self._waiting = self._waiting, []
        return found

    def read_failures(self) -> dict[str, list[float]]:
        """How many seconds ago children of each group here have failed, as it was stored with them."""
        now = self._manager.clock.now()
        return {name: [now - at for at in times] for name, times in self._manager.groups.list_failures().items()}

    def carry_out(self, step: str, order: GroupOrder) -> Done | Awaitable[Done]:
        """Do one step of what a group has decided.

        Args:
            step: "interrupt", "restart", "stop" or "release".
            order: For whom. What was moved away is done where it is now.

        Returns:
            What was done, of those that there are.
        """
        away = [id for id in order.ids if self._manager.is_away(id)]
        if not away:
            return self._do_here(step, order)
        return self._do_also_elsewhere(step, order, away)

    async def _do_also_elsewhere(self, step: str, order: GroupOrder, away: list[str]) -> Done:
        done = self._do_here(step, order._replace(ids=tuple(id for id in order.ids if id not in away)))
        for id in away:
            part = order._replace(ids=(id,))
            await self._manager.mover.wait_until_over(id)
            if self._manager.is_away(id):
                done |= await self._manager.ask_node_of(id, "supervise", step, part)
            else:
                done |= self._do_here(step, part)
        return done

    def _do_here(self, step: str, order: GroupOrder) -> Done:
        manager = self._manager
        now = manager.clock.now()
        for name, ages in order.ages.items():
            manager.groups.find(name).restore_failures(now - age for age in ages)
        entries = [entry for id in order.ids if (entry := manager.find_entry(id)) is not None]
        STEPS[step](entries, order, unpack_error(order.cause))
        with manager.lock:
            for entry in entries:
                if step == "interrupt":
                    entry.await_decision(GROUP)
                else:
                    entry.end_wait(GROUP)
        number = manager.number()
        return {entry.id: (manager.node, number) for entry in entries}


Step = Callable[[list[Any], GroupOrder, AgentError], None]


def _interrupt_all(entries: list[Any], order: GroupOrder, cause: AgentError) -> None:
    interrupt_members(entries, order.group, order.what, cause)


def _restart_all(entries: Iterable[Any], order: GroupOrder, cause: AgentError) -> None:
    restart_members(entries, cause)


def _stop_all(entries: list[Any], order: GroupOrder, cause: AgentError) -> None:
    stop_members(entries, order.group, cause)


def _release_all(entries: list[Any], order: GroupOrder, cause: AgentError) -> None:
    """Let them go on as they are: nothing is to be done before that."""


STEPS: dict[str, Step] = {
    "interrupt": _interrupt_all,
    "restart": _restart_all,
    "stop": _stop_all,
    "release": _release_all,
}
