"""Mover: moves runtimes between this node and others, while they are used.

The one that a runtime leaves has it come to rest between two activities, accepts nothing for it from then on, and sends
all of it to the other one. Only when that one has it, and has it stored, does this one let go of it: at any time one
node processes it, or none. What arrives here meanwhile is kept; then the sender hears where the runtime is, and sends
it there before what it sends later.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from ..activity import Activity
from ..engine.baseline import record_baseline
from ..engine.durability import Durability
from ..engine.failure import refusal, refuse_senders
from ..engine.protocols import GROUP, MOVE
from ..errors import AgentError, ManagerClosedError, RuntimeExistsError, RuntimeFailedError
from ..receipt import Promise
from .deliveries import Address
from .messages import TransferredItem
from .packing import pack, unpack
from .transfer import Receivers, Transfer, collect, fill_entry

__all__ = ["Mover"]

LOOK = 0.01  # seconds between two looks at what tells nobody
LOOKS = 100  # at whether other nodes have what was sent to them, until it goes on meanwhile


class Mover:
    """What one node does to move runtimes. The loop's thread only.

    Args:
        manager: The manager of the node.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._courier = manager.courier
        self.moving: dict[str, Promise[Any]] = {}  # decided when it is over, by the id of the runtime
        self._refused: set[int] = set()  # moves that must not arrive any more

    # ---- where it leaves

    async def hand_over(self, id: str, node: str, epoch: int, timeout: float | None) -> None:
        """Move a runtime of this node to another one.

        Args:
            id: Which.
            node: Where to.
            epoch: The number of the move: a later one has a higher one.
            timeout: Seconds to wait until it can be moved, which it can between two activities.

        Raises:
            AgentError: It stays here, for that reason.
        """
        entry = self._manager.entry(id)
        if id in self.moving:
            raise AgentError(f"{id!r} is being moved already", runtime=id)
        entrusted: list[int] = []
        try:
            async with asyncio.timeout(timeout):
                await self._bring_to_rest(entry)
                while self._is_in_an_outbox(entry) or not await self._has_sent_all(entry):
                    with self._manager.lock:
                        entry.stay()
                    await asyncio.sleep(LOOK)
                    await self._bring_to_rest(entry)
                self._refuse_here(entry)
                await self._manager.wait_for_journal()
            with self._manager.lock:
                transfer = collect(entry, self._group_of(entry), self._receivers(node, entrusted))
            life = await self._send(node, epoch, pack(transfer, f"all that {id!r} holds"))
        except BaseException as error:
            self._courier.rerouting.take_back(entrusted)
            self._keep(entry)
            if isinstance(error, TimeoutError):
                raise AgentError(_why_not(entry, timeout), runtime=id) from None
            raise
        self._let_go(entry, node, epoch, life)
        await self._manager.wait_for_journal()

    async def wait_until_over(self, id: str) -> None:
        """Wait while a runtime is being moved."""
        if id in self.moving:
            await self.moving[id].wait()

    async def _bring_to_rest(self, entry: Any) -> None:
        """Have nothing of it run, nor begin to, nor its group about to decide what becomes of it."""
        while True:
            if entry.closed:
                raise refusal(entry)
            if entry.stuck:
                raise AgentError(f"{entry.id!r} is stuck in its activity and can't be moved", runtime=entry.id)
            with self._manager.lock:
                entry.await_decision(MOVE)
            activity, driver = entry.current, entry.driver
            if GROUP in entry.awaits:
                await asyncio.sleep(LOOK)
                continue
            if activity is None and (driver is None or driver.open):
                if driver is not None:
                    driver.dismiss()
                self._manager.busy.discard(entry)
                return
            if activity is not None and activity.receipt.value is None:
                await _wait_a_while(activity.receipt)
            else:
                await asyncio.sleep(LOOK)

    def _refuse_here(self, entry: Any) -> None:
        self.moving[entry.id] = Promise(entry)
        with self._manager.lock:
            entry.begin_move()
            self._courier.rerouting.hold(entry.id)
            self._courier.deliveries.park(entry.id)
            refuse_senders(entry)

    async def _has_sent_all(self, entry: Any) -> bool:
        """Whether other nodes have all that it has sent, so that its order stays; they get a while for that."""
        outboxes, rerouting = self._manager.outboxes, self._courier.rerouting
        for _ in range(LOOKS):
            if not rerouting.has_from(entry.id) and (outboxes is None or not outboxes.has_from(entry.id)):
                return True
            await asyncio.sleep(LOOK)
        return False  # one of them may wait for it

    def _is_in_an_outbox(self, entry: Any) -> bool:
        """Whether a workflow of this node has sent it something, which is delivered with the commit of that one."""
        return any(held.entry is entry for each in self._manager.busy for held in getattr(each, "outbox", ()))

    def _group_of(self, entry: Any) -> str | None:
        group = self._manager.groups.of(entry.id)
        return None if group is None else group.name

    def _receivers(self, node: str, entrusted: list[int]) -> Receivers:
        """What says to whom the outcome of an activity is to be sent: to this node as well, where somebody holds it."""

        def receivers(activity: Activity[Any]) -> tuple[str | None, list[Address]]:
            owed, key = self._courier.deliveries.find_addresses(activity.receipt), activity.key
            if owed and len(activity.receipt._waiters or ()) == len(owed):
                return key, owed
            if key is None and self._courier.is_durable:
                key = f"{self._courier.life}:{activity.id}"
            entrusted.append(activity.id)
            return key, [*owed, self._courier.rerouting.entrust(node, activity, key)]

        return receivers

    async def _send(self, node: str, epoch: int, data: bytes) -> str:
        """Have the other node take it; return which life of that has it."""
        while True:
            promise = self._courier.command(node, "take_in", self._manager.node, epoch, data)
            await promise.wait()
            if isinstance(promise.value, RuntimeFailedError) and self._courier.is_durable:
                continue  # its next life knows whether it has it
            if isinstance(promise.value, AgentError):
                raise promise.value.copy()
            life: str = promise.value[0]
            return life

    def _keep(self, entry: Any) -> None:
        """It stays."""
        with self._manager.lock:
            if not entry.closed:
                entry.stay()
        self._end(entry)

    def _let_go(self, entry: Any, node: str, epoch: int, life: str) -> None:
        """It is on the other node."""
        deliveries, moved = self._courier.deliveries, defaultdict(list)
        with self._manager.lock:
            for activity in entry.mailbox.items():
                for sender, number in deliveries.find_addresses(activity.receipt):
                    moved[sender].append(number)
                deliveries.forget_addresses(activity.receipt)
            entry.record_event("moved_away", {"to": node})
            self._manager.let_go(entry)
            self._courier.rerouting.reroute(entry.id, node, epoch)
        for sender, numbers in moved.items():
            self._courier.rerouting.announce_transfer(sender, TransferredItem(numbers, node, life))
        self._end(entry)

    def _end(self, entry: Any) -> None:
        over = self.moving.pop(entry.id, None)
        if over is not None:
            self._courier.rerouting.release(entry.id)
            self._courier.deliveries.unpark(entry.id)
            over._decide(True)

    # ---- where it arrives

    def take_in(self, source: str, epoch: int, data: bytes) -> Awaitable[str]:
        """Have a runtime of another node here, before anything that was sent after it.

        Args:
            source: The name of that node.
            epoch: The number of the move.
            data: A packed `Transfer`.

        Returns:
            What waits until it is stored, and gives the name of this life.

        Raises:
            AgentError: It can't be here, for that reason.
        """
        if epoch in self._refused:
            raise AgentError(f"this move from {source!r} was given up")
        transfer: Transfer = unpack(data)
        if self._manager.stores(transfer.id):  # the life before of this node has taken it in
            wanted = Durability(version=transfer.version or 1)
            self._manager.create_entry(
                transfer.id, transfer.initial, transfer.workflow, transfer.given, transfer.group, wanted
            )
        else:
            self._install(transfer, source)
        self._courier.rerouting.reroute(transfer.id, self._manager.node, epoch)
        return self._confirm()

    def _install(self, transfer: Transfer, source: str) -> None:
        wanted = None if transfer.version is None else Durability(version=transfer.version)
        entry = self._manager.make_entry(transfer.id, transfer.state, transfer.workflow, transfer.given, wanted)
        with self._manager.lock:
            if self._manager.closed:
                raise ManagerClosedError(f"{self._manager.node!r} is closed", runtime=transfer.id)
            if transfer.id in self._manager:
                raise RuntimeExistsError(f"{transfer.id!r} exists on {self._manager.node!r}", runtime=transfer.id)
            self._manager.check_joins(entry.id, transfer.group, wanted)
            fill_entry(entry, transfer, self._courier.deliveries.owe)
            self._manager.join(entry, transfer.group)
            record_baseline(entry, "moved_here", {"from": source})
            if len(entry.mailbox):
                entry.wake()

    async def _confirm(self) -> str:
        await self._manager.wait_for_journal()
        return str(self._courier.life)

    async def has_arrived(self, id: str, epoch: int) -> bool:
        """Whether a runtime is here, as the node that it came from has ended; if not, it does not come any more."""
        if id not in self._manager and not self._manager.stores(id):
            self._refused.add(epoch)
            return False
        await self._manager.wait_for_journal()
        return True


async def _wait_a_while(receipt: Any) -> None:
    """Wait until an activity has its fate; or until another look, as it may also be stuck."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await receipt.wait()


def _why_not(entry: Any, timeout: float | None) -> str:
    what = "its activity" if entry.current is not None else "what others send it, or it sends to other nodes,"
    return f"{entry.id!r} was not moved: {what} took longer than {timeout:g} s; it goes on where it was"
