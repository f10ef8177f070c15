"""Rerouting: what a node has sent to a runtime that is moved comes there, in the order in which it was sent.

From where a send is accepted to the lane of its runtime, all that goes from here to one runtime is on one route at a
time: to one node, since one move. Another route is opened once nothing is under way on the one before: each activity is
in its lane, or was refused, or was sent back and waits for the next route. What waits for that is sent first.

A node sends back what is no longer for it, and also what was sent before the runtime came back to it. So of one route
it takes the first ones, or all, but never a later one after it has sent an earlier one back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from ..activity import Activity
from ..engine.protocols import Host
from ..errors import AgentError
from ..receipt import Promise, Receipt
from .messages import ActivityItem, Item, MovedItem, TransferredItem
from .packing import pack_payload
from .placement import Placement

__all__ = ["Forwarder", "Rerouting", "Route", "Sent", "no_receipt"]

Put = Callable[[str, Item], object]  # sends an item to a node
HERE = 0  # no activity has this number
NOWHERE = ""  # no node has this name


# Thousands at once, each for some milliseconds: if the garbage collector saw them, it would look at all of a process
# again and again. What is in one is let go of with its fate, or when the courier is closed.
class Sent(msgspec.Struct, gc=False):
    """An activity that was sent to another node and has no fate yet.

    Attributes:
        node: Where it is.
        offer: What was sent.
        receipt: Gives what its sender holds; None if nobody holds that any more.
        accepted: For who waits until it is accepted there.
        is_accepted: Whether it is.
        is_held: Whether it is not on its way yet: it waits for another route of its runtime.
    """

    node: str
    offer: ActivityItem
    receipt: Callable[[], Receipt | None]
    accepted: Promise[Any] | None
    is_accepted: bool = False
    is_held: bool = False


def no_receipt() -> None:
    """Stands for the receipt of what nobody can have one of."""


class Route(msgspec.Struct):
    """How activities go from here to one runtime, while some do.

    Attributes:
        node: Where to; `NOWHERE` while the runtime leaves this node.
        epoch: The number of the move that has brought the runtime there.
        under_way: The numbers of those that are on it. `HERE` while the runtime leaves this node.
        waiting: The numbers of those that are sent once nothing is.
    """

    node: str
    epoch: int
    under_way: set[int]
    waiting: list[int]


class Forwarder(Protocol):
    """What has sent, and sends again: a courier."""

    host: Host
    name: str
    placement: Placement
    is_durable: bool
    sent: dict[int, Sent]  # what has no fate yet, by number
    on_their_way: Counter[str]  # how many are not accepted yet, by node

    def put(self, node: str, item: Item) -> None:
        """Have an item sent."""

    def refuse(self, number: int, error: AgentError) -> None:
        """Nothing comes of what was sent with this number, for this reason."""

    def note_acceptances(self, numbers: list[int]) -> None:
        """What was sent with these numbers waits in its lane."""

    def explain_loss(self, node: str) -> AgentError:
        """The error of who waits for a node that has ended."""

    def life_of(self, node: str) -> str | None:
        """The life of a node that has answered last; empty if none has, None if nothing was sent to it."""


class Rerouting:
    """The routes of one courier, and what it does where runtimes are moved.

    Args:
        forwarder: The courier.
    """

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._host = forwarder.host
        self._placement = forwarder.placement
        self.routes: dict[str, Route] = {}  # by the id of the runtime

    def enter(self, sent: Sent) -> bool:
        """Put what is to be sent, and is not accepted, on the route of its runtime. The lock is held.

        Returns:
            Whether it can be sent now; else it is once nothing is on the route before.
        """
        offer = sent.offer
        id = offer.runtime
        epoch, route = self._placement.epochs.get(id, 0), self.routes.get(id)
        if route is None:
            self.routes[id] = Route(sent.node, epoch, {offer.number}, [])
        elif route.waiting or route.node != sent.node or route.epoch != epoch:
            sent.is_held = True
            route.waiting.append(offer.number)
            return False
        else:
            route.under_way.add(offer.number)
        offer.epoch = epoch
        return True

    def leave(self, id: str, numbers: Iterable[int], put: Put | None = None) -> None:
        """These are in their lane, or nothing comes of them: after the last, send what has waited for that."""
        with self._host.lock:
            route = self.routes.get(id)
            if route is None:
                return
            route.under_way.difference_update(numbers)
            if route.under_way:
                return
            del self.routes[id]
            sent = self._forwarder.sent
            waiting = [sent[number] for number in sorted(route.waiting) if number in sent]
            for each in waiting:
                each.is_held = False
                if id not in self._placement.lost:
                    self._send_there(each, self._placement.node_of(id), put or self._forwarder.put)
        if id in self._placement.lost:
            for each in waiting:
                self._forwarder.refuse(each.offer.number, self._forwarder.explain_loss(each.node))

    def _send_there(self, sent: Sent, node: str, put: Put) -> None:
        if not sent.is_accepted:
            self._forwarder.on_their_way[sent.node] -= 1
            self._forwarder.on_their_way[node] += 1
        sent.node = node
        if sent.is_accepted:
            self.ask_again(sent, put)
        elif self.enter(sent):
            put(node, sent.offer)

    def ask_again(self, sent: Sent, put: Put) -> None:
        """Have a node say what came of something that was accepted: it knows that by its key."""
        sent.offer.epoch = self._placement.epochs.get(sent.offer.runtime, 0)
        put(sent.node, sent.offer)

    def send_again(self, sent: Iterable[Sent], put: Put | None = None) -> None:
        """Send what no node has taken to where its runtime is now, after what is still under way to that.

        Args:
            sent: What was sent.
            put: What sends; without it, the courier does.
        """
        back: defaultdict[str, list[int]] = defaultdict(list)
        with self._host.lock:
            for each in sent:
                number, id = each.offer.number, each.offer.runtime
                self.routes.setdefault(id, Route(NOWHERE, 0, {number}, [])).waiting.append(number)
                each.is_held = True
                back[id].append(number)
        for id, numbers in back.items():
            self.leave(id, numbers, put)

    def send_after(self, sender: str, item: MovedItem) -> None:
        """An activity was not accepted, as its runtime has moved: it is sent there, after what was sent before it."""
        sent = self._forwarder.sent.get(item.number)
        if sent is None or sent.is_held or sent.node != sender:
            return
        if item.node in self._placement.nodes:
            self.reroute(sent.offer.runtime, item.node, item.epoch)
        self.send_again([sent])

    def reroute(self, id: str, node: str, epoch: int) -> None:
        """A runtime is on another node now. What is sent to it waits until nothing is on the route before."""
        with self._host.lock:
            self._placement.pin(id, node, epoch)

    def hold(self, id: str) -> None:
        """Keep what is sent from here to a runtime that leaves this node, until `release`."""
        with self._host.lock:
            route = self.routes.setdefault(id, Route(NOWHERE, 0, set(), []))
            route.node = NOWHERE
            route.under_way.add(HERE)

    def release(self, id: str) -> None:
        """Send what was kept to where the runtime is now."""
        self.leave(id, [HERE])

    def has_from(self, source: str) -> bool:
        """Whether something is under way that this runtime has sent."""
        sent = self._forwarder.sent
        with self._host.lock:
            numbers = [each for route in self.routes.values() for each in (*route.under_way, *route.waiting)]
            return any(number in sent and sent[number].offer.source == source for number in numbers)

    # ---- whose outcome comes from another node

    def entrust(self, node: str, activity: Activity[Any], key: str | None) -> tuple[str, int]:
        """The outcome of an activity that was accepted here will come from another node.

        Returns:
            Where it is to be sent: the name of this node, and a number.
        """
        receipt = activity.receipt
        payload, urgent = pack_payload(activity.payload), activity.lane == "priority"
        offer = ActivityItem(receipt.id, activity.runtime, payload, urgent, activity.timeout, None, key)
        with self._host.lock:
            self._forwarder.sent[receipt.id] = Sent(node, offer, lambda: receipt, None, is_accepted=True)
        return self._forwarder.name, receipt.id

    def take_back(self, numbers: Iterable[int]) -> None:
        """What was entrusted to another node stays here."""
        with self._host.lock:
            for number in numbers:
                self._forwarder.sent.pop(number, None)

    def announce_transfer(self, sender: str, item: TransferredItem) -> None:
        """Say from where the outcomes of what a node has sent come now."""
        self._forwarder.put(sender, item)

    def note_transfer(self, item: TransferredItem) -> None:
        """The outcomes of what was sent come from another node now."""
        self._forwarder.note_acceptances(item.numbers)
        for number in item.numbers:
            sent = self._forwarder.sent.get(number)
            if sent is None:
                continue
            sent.node = item.node
            if item.node not in self._placement.nodes:
                self._forwarder.refuse(number, self._forwarder.explain_loss(item.node))
            elif self._forwarder.is_durable and self._forwarder.life_of(item.node) != item.life:
                # It may have ended since: by its key it is found in the journal.
                self.ask_again(sent, self._forwarder.put)
