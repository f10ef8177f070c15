"""Supervision groups whose members are on several nodes: the driver decides, and has all nodes carry it out.

A failure is counted once, whichever node it was on. What a group has decided is done in its order, one node after the
other: first all that runs is interrupted, in the reverse of the order in which the members joined, then they begin
again in that order. A node that does not answer is on the record as `members_not_reached`; it does its part once it is
reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from ..errors import AgentError, RuntimeFailedError
from ..groups import Group, Groups
from .escalations import Escalation, GroupOrder
from .follower import NodeFollower
from .packing import pack_error, unpack_error

__all__ = ["ClusterGroup", "ClusterGroups", "GroupSupervisor"]

PATIENCE = 5.0  # seconds that a node may take for its part before the next one does its own
RETRY = 0.2  # seconds until a node is asked again whose process has ended


class ClusterMember:
    """A runtime of a group, wherever it is."""

    group_failures: dict[str, Iterable[float]] = {}  # each node has what was stored with its own

    def __init__(self, id: str) -> None:
        self.id = id


class Decision(NamedTuple):
    """What a group has decided about members: that they are "restarted" or "stopped"."""

    ids: tuple[str, ...]
    group: str
    what: str
    cause: AgentError


class ClusterGroup(Group):
    """A group of all nodes. What it decides is left to the `GroupSupervisor`. Contract: `Group`."""

    def decide(self, child: str, cause: AgentError) -> list[Decision]:
        """What is to be done about the failure of a child. The loop's thread."""
        decisions: list[Decision] = []
        self._manager.groups.decisions = decisions
        self._handle_failure(child, cause)
        return decisions

    @property
    def _manager(self) -> Any:
        return self._host

    def _restart(self, children: tuple[str, ...], cause: AgentError) -> None:
        self._forget_failures_of(children)
        self._note_decision("restarted", children, cause)

    def _stop(self, children: tuple[str, ...], cause: AgentError) -> None:
        self._note_decision("stopped", children, cause)

    def _note_decision(self, what: str, children: tuple[str, ...], cause: AgentError) -> None:
        ids = tuple(member.id for member in self._runtimes(children))
        self._manager.groups.decisions.append(Decision(ids, self.name, what, cause))

    def _note_response(self, runtime: str, detail: dict[str, Any]) -> None:
        super()._note_response("", detail)
        for node in self._manager.nodes:
            self._manager.courier.command(node, "note_response", runtime, detail)

    def recover(self) -> None:
        """Let all its runtimes continue that were stopped, on all nodes. Contract: `Group.recover`."""
        self._forget_failures()
        self._manager.recover_group(self.name)


class ClusterGroups(Groups):
    """The groups of a cluster, and who is in which. Contract: `Groups`."""

    kind = ClusterGroup

    def __init__(self, host: Any) -> None:
        super().__init__(host)
        self.decisions: list[Decision] = []

    def add(self, id: str, group: str) -> None:
        """A runtime was made: it is the last member of its group."""
        with self._host.lock:
            self.remove(id)
            member: Any = ClusterMember(id)
            self.join(member, group)

    def remove(self, id: str) -> None:
        """A runtime has ended."""
        with self._host.lock:
            member: Any = ClusterMember(id)
            self.leave(member)


class GroupSupervisor:
    """Takes from each node the failures that groups have to decide about, and has all nodes do what they decide.

    Args:
        manager: The driver, a `ClusterManager`.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._courier = manager.courier
        self._following = NodeFollower(manager, "escalations", self._answer_all)
        self._one_at_a_time = asyncio.Lock()
        self._orders: dict[str, asyncio.Task[None]] = {}  # the last one of each node
        self._done: dict[str, tuple[str, int]] = {}  # when each member was last restarted or stopped, see `Done`
        self._recalled: set[str] = set()  # groups of which the failures are known that the journals hold

    def follow(self) -> None:
        """Begin to ask the nodes for failures that were not asked. Any thread."""
        for node in self._manager.nodes:
            self._following.follow(node)

    def close(self) -> None:
        """Ask no more. Any thread."""
        self._following.close()

    async def _answer_all(self, node: str, escalations: list[Escalation]) -> None:
        for escalation in escalations:
            async with self._one_at_a_time:
                await self._answer(node, escalation)

    async def _answer(self, node: str, escalation: Escalation) -> None:
        groups, id = self._manager.groups, escalation.runtime
        group = groups.find(escalation.group)
        if id not in group.children:
            groups.add(id, group.name)
        await self._recall(group)
        last_node, last = self._done.get(id, ("", 0))
        if last_node == node and escalation.number < last:  # it has begun again, or was stopped, since it failed
            group.count_failure()
            return
        decisions = group.decide(id, unpack_error(escalation.cause))
        for each in decisions:
            await self._carry_out(each)
        if all(id not in each.ids for each in decisions):
            await self._order(node, "release", GroupOrder((id,), group.name, "", escalation.cause, {}))

    async def _carry_out(self, decision: Decision) -> None:
        now, cause = self._manager.clock.now(), pack_error(decision.cause)
        ages = {name: [now - at for at in times] for name, times in self._manager.groups.list_failures().items()}
        lost = self._manager.placement.lost
        living = [id for id in decision.ids if id not in lost]
        parts = [
            (node, GroupOrder(tuple(ids), decision.group, decision.what, cause, ages))
            for node, ids in groupby(living, self._manager.placement.node_of)
        ]
        for node, order in reversed(parts):
            await self._order(node, "interrupt" if decision.what == "restarted" else "stop", order)
        if decision.what == "restarted":
            for node, order in parts:
                await self._order(node, "restart", order)

    async def _order(self, node: str, step: str, order: GroupOrder) -> None:
        """Have a node do its part, after what it was told before; wait for that, unless it can't be reached."""
        before = self._orders.get(node)
        is_late = before is not None and not before.done()
        task = self._orders[node] = self._courier.deliveries.start(self._send(before, node, step, order))
        if is_late:
            return
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            self._note(node, order, f"it has not answered for {PATIENCE:g} s; it does its part once it is reached")

    async def _send(self, before: asyncio.Task[None] | None, node: str, step: str, order: GroupOrder) -> None:
        if before is not None:
            await asyncio.wait({before})
        while True:
            promise = self._courier.command(node, "supervise", step, order)
            await promise.wait()
            if not (isinstance(promise.value, RuntimeFailedError) and self._is_taken_over(node)):
                break
            await asyncio.sleep(RETRY)  # its next life has what the journal had: it is told again
        if isinstance(promise.value, AgentError):
            self._note(node, order, str(promise.value))
            return
        done = promise.value[0]
        if step in ("restart", "stop"):
            self._done.update(done)
        for id in set(order.ids) - set(done):
            self._manager.groups.remove(id)
            self._done.pop(id, None)

    def _is_taken_over(self, node: str) -> bool:
        return self._courier.is_durable and node in self._manager.nodes and not self._manager.closed

    def _note(self, node: str, order: GroupOrder, why: str) -> None:
        self._manager.note_node("members_not_reached", node, group=order.group, runtimes=order.ids, why=why)

    async def _recall(self, group: ClusterGroup) -> None:
        """Count the failures as well that were stored in the life before of this cluster."""
        new = {each.name: each for each in group._with_parents() if each.name not in self._recalled}
        self._recalled.update(new)
        if not new or not self._courier.is_durable:
            return
        longest: dict[str, list[float]] = {}
        for node in self._manager.nodes:
            promise = self._courier.command(node, "group_failures")
            try:
                async with asyncio.timeout(PATIENCE):
                    await promise.wait()
            except TimeoutError:
                continue
            if not isinstance(promise.value, AgentError):
                for name, ages in promise.value[0].items():
                    longest[name] = max(longest.get(name, []), ages, key=len)  # each node has what it was told last
        now = self._manager.clock.now()
        for name, each in new.items():
            if name in longest:
                each.restore_failures(now - age for age in longest[name])
