"""Deliveries: what becomes here of the activities that other nodes send."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import AgentError, JournalError, JournalTakenOverError, MailboxFullError, ManagerClosedError
from ..limits import Overflow
from ..receipt import Receipt
from .messages import AcceptedItem, ActivityItem, Item, MovedItem, OutcomeItem, RefusedItem
from .packing import pack_error, pack_outcome, unpack_payload
from .placement import Placement
from .remote_entry import RemoteEntry

__all__ = ["Address", "Deliveries"]

Address = tuple[str, int]  # a node, and the number by which it knows an activity
RETRY = 0.5  # seconds between two looks whether writing works again
LIFE_ENDS = (ManagerClosedError, JournalTakenOverError)  # the next life of this node is asked


class Deliveries:
    """Puts what arrives into the lanes of this node, and says what came of it. The loop's thread.

    What finds its lane full waits for room, and what comes for that lane behind it: the order of a sender stays.

    Args:
        host: The manager of this node.
        name: The name of this node.
        placement: Where runtimes are.
        put: Sends an item to a node.
        leave: Called with an id and numbers once what this node itself has sent with them is in the lane.
    """

    def __init__(
        self,
        host: Any,
        name: str,
        placement: Placement,
        put: Callable[[str, Item], None],
        leave: Callable[[str, list[int]], None],
    ) -> None:
        self._host = host
        self._name = name
        self._placement = placement
        self._put = put
        self._leave = leave
        self._queues: dict[tuple[str, bool], deque[tuple[str, ActivityItem]]] = {}  # what waits for room, by lane
        self._drains: dict[tuple[str, bool], asyncio.Task[None]] = {}
        self._parked: dict[str, deque[tuple[str, ActivityItem]]] = {}  # what comes for a runtime that is being moved
        self._accepted: defaultdict[str, list[int]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, sender: str, offer: ActivityItem) -> None:
        """Put an activity into its lane, or with what waits for room there."""
        place = offer.runtime, offer.priority
        if self._queues or self._parked:
            queue = self._parked.get(offer.runtime, self._queues.get(place))
            if queue is not None:
                queue.append((sender, offer))
                return
        entry: Any = None
        try:
            # What is here is found at once; only what is not, or is ending, needs to be looked for.
            entry = self._host.find_entry(offer.runtime) or self._host.addressee(offer.runtime)
            if isinstance(entry, RemoteEntry) or self._is_late(offer):
                self._put(sender, self._where_it_is(offer))
                return
            if offer.key is None and offer.timeout is None and offer.delay is None:
                receipt = entry.send_nowait(_payload_of(offer), offer.priority)
            else:
                receipt = entry.send_nowait(_payload_of(offer), **_options(offer))
        except MailboxFullError as full:
            if entry.limits.overflow is Overflow.WAIT:
                self._wait_for_room(place, sender, offer)
            else:
                self._refuse(sender, offer, full)
        except Exception as error:
            if self._waits_for_disk(offer, error):
                self._wait_for_room(place, sender, offer)
            else:
                self._refuse(sender, offer, error)
        else:
            if sender == self._name:
                self._leave(offer.runtime, [offer.number])
            if type(receipt).add_stored_callback is Receipt.add_stored_callback:  # nothing is stored
                self._accept(sender, offer, receipt, None)
            else:
                receipt.add_stored_callback(partial(self._accept, sender, offer, receipt))

    def _wait_for_room(self, place: tuple[str, bool], sender: str, offer: ActivityItem) -> None:
        self._queues[place] = deque([(sender, offer)])
        self._drains[place] = self.start(self._drain(place))

    def _waits_for_disk(self, offer: ActivityItem, error: Exception) -> bool:
        """Whether something waits until writing works again: a sender that has it stored hears nothing of that."""
        journal = self._host.journal
        is_disk = isinstance(error, JournalError) and not isinstance(error, LIFE_ENDS)
        return offer.is_stored and is_disk and journal is not None and journal.error is not None

    async def _drain(self, place: tuple[str, bool]) -> None:
        """Deliver what waits for room in a lane, in its order."""
        queue = self._queues[place]
        while queue:
            sender, offer = queue[0]
            try:
                entry = self._host.addressee(offer.runtime)
                if isinstance(entry, RemoteEntry) or self._is_late(offer):
                    self._put(sender, self._where_it_is(offer))
                    queue.popleft()
                    continue
                receipt = await entry.send(_payload_of(offer), **_options(offer))
            except Exception as error:
                if self._waits_for_disk(offer, error):
                    await asyncio.sleep(RETRY)
                    continue
                self._refuse(sender, offer, error)
            else:
                if sender == self._name:
                    self._leave(offer.runtime, [offer.number])
                receipt.add_stored_callback(partial(self._accept, sender, offer, receipt))
            queue.popleft()
        del self._queues[place], self._drains[place]

    def park(self, id: str) -> None:
        """Keep what comes for a runtime, and what waits for room there, until `unpark`: it is being moved."""
        parked = self._parked[id] = deque()
        for place in ((id, True), (id, False)):
            parked.extend(self._queues.pop(place, ()))
            drain = self._drains.pop(place, None)
            if drain is not None:
                drain.cancel()

    def unpark(self, id: str) -> None:
        """Deliver what was kept, or say where the runtime is now."""
        for sender, offer in self._parked.pop(id, ()):
            self.deliver(sender, offer)

    def _is_late(self, offer: ActivityItem) -> bool:
        """Whether it was sent before its runtime came here, or came back: another one may have been sent back since."""
        return offer.epoch < self._placement.epochs.get(offer.runtime, 0)

    def _where_it_is(self, offer: ActivityItem) -> MovedItem:
        placement = self._placement
        return MovedItem(offer.number, placement.node_of(offer.runtime), placement.epochs.get(offer.runtime, 0))

    def _accept(self, sender: str, offer: ActivityItem, receipt: Receipt, error: AgentError | None) -> None:
        """It is in its lane, and stored where that is asked for: say so, and what comes of it."""
        if error is not None:
            if not offer.is_stored:  # else it is sent to the next life of this node, whose journal is open
                self._refuse(sender, offer, error)
            return
        if not self._accepted:
            self._host.loop.call_soon(self._send_acceptances)
        self._accepted[sender].append(offer.number)
        if not offer.is_one_way:
            receipt.add_callback(partial(self._send_outcome, sender, offer.number, receipt))

    def owe(self, receipt: Receipt, to: list[Address]) -> None:
        """Have the outcome of an activity sent to these."""
        for sender, number in to:
            receipt.add_callback(partial(self._send_outcome, sender, number, receipt))

    def find_addresses(self, receipt: Receipt) -> list[Address]:
        """To whom the outcome of an activity is sent."""
        return [call.args[:2] for call in receipt._waiters or () if isinstance(call, partial) and self._is_ours(call)]

    def forget_addresses(self, receipt: Receipt) -> None:
        """The outcome of an activity comes from another node."""
        with self._host.lock:
            receipt._waiters = [call for call in receipt._waiters or () if not self._is_ours(call)]

    def _is_ours(self, call: Any) -> bool:
        return isinstance(call, partial) and call.func == self._send_outcome  # the same method of the same object

    def _send_acceptances(self) -> None:
        accepted, self._accepted = self._accepted, defaultdict(list)
        for sender, numbers in accepted.items():
            self._put(sender, AcceptedItem(numbers))

    def _send_outcome(self, sender: str, number: int, receipt: Receipt) -> None:
        assert receipt.value is not None
        self._put(sender, OutcomeItem(number, pack_outcome(receipt.value)))

    def _refuse(self, sender: str, offer: ActivityItem, error: Exception) -> None:
        if offer.is_stored and isinstance(error, LIFE_ENDS):
            return
        self._put(sender, RefusedItem(offer.number, pack_error(error)))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that takes longer than a turn of the loop."""
        task: asyncio.Task[None] = self._host.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Deliver nothing more."""
        for task in self._tasks:
            task.cancel()


def _payload_of(offer: ActivityItem) -> Any:
    payload = unpack_payload(offer.payload)
    if offer.parent is None:
        return payload
    template = payload if isinstance(payload, Activity) else Activity(payload=payload)
    return msgspec.structs.replace(template, source=offer.source, parent=offer.parent, correlation=offer.correlation)


def _options(offer: ActivityItem) -> dict[str, Any]:
    return {"priority": offer.priority, "timeout": offer.timeout, "delay": offer.delay, "key": offer.key}
