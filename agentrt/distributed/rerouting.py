"""Rerouting: what a node has sent to a runtime that is moved comes there, in the order in which it was sent."""

from __future__ import annotations

from collections import Counter
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

__all__ = ["Forwarder", "HeldSends", "Rerouting", "Sent", "no_receipt"]

HERE = 0  # no activity has this number


class Sent(msgspec.Struct):
    """An activity that was sent to another node and has no fate yet.

    Attributes:
        node: Where it is.
        offer: What was sent.
        receipt: Gives what its sender holds; None if nobody holds that any more.
        accepted: For who waits until it is accepted there.
        is_accepted: Whether it is.
        is_held: Whether it is not on its way yet: its runtime is being moved, see `HeldSends`.
    """

    node: str
    offer: ActivityItem
    receipt: Callable[[], Receipt | None]
    accepted: Promise[Any] | None
    is_accepted: bool = False
    is_held: bool = False


def no_receipt() -> None:
    """Stands for the receipt of what nobody can have one of."""


class HeldSends(msgspec.Struct):
    """What is sent to a runtime that is moved, until all that was sent before is answered: its order stays.

    Attributes:
        unanswered: The numbers of what was sent to the node that it was on. `HERE` while it leaves this one.
        numbers: Those of what waits for that.
    """

    unanswered: set[int]
    numbers: list[int]


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
    """What a courier does where runtimes are moved.

    Args:
        forwarder: The courier.
    """

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._host = forwarder.host
        self._placement = forwarder.placement
        self.held: dict[str, HeldSends] = {}  # by the id of the runtime

    def reroute(self, id: str, node: str, epoch: int) -> None:
        """A runtime is on another node now. What is sent to it waits until all that was sent before is answered."""
        with self._host.lock:
            if not self._placement.pin(id, node, epoch):
                return
            there = [(number, sent) for number, sent in self._forwarder.sent.items() if sent.offer.runtime == id]
            for _, sent in there:
                if sent.is_held:
                    self.readdress(sent, node)
            unanswered = {number for number, sent in there if not sent.is_accepted and not sent.is_held}
            if unanswered:
                self.held.setdefault(id, HeldSends(set(), [])).unanswered |= unanswered

    def readdress(self, sent: Sent, node: str) -> None:
        """It is on another node, or goes there. The lock is held."""
        if not sent.is_accepted:
            self._forwarder.on_their_way[sent.node] -= 1
            self._forwarder.on_their_way[node] += 1
        sent.node = node

    def send_after(self, item: MovedItem) -> None:
        """An activity was not accepted, as its runtime has moved: it is sent there, after what was sent before it."""
        sent = self._forwarder.sent.get(item.number)
        if sent is None or sent.is_held:
            return
        id = sent.offer.runtime
        if item.node in self._placement.nodes:
            self.reroute(id, item.node, item.epoch)
        with self._host.lock:
            self.held.setdefault(id, HeldSends({item.number}, [])).numbers.append(item.number)
            sent.is_held = True
        self.release_after(id, [item.number])

    def hold(self, id: str) -> None:
        """Keep what is sent from here to a runtime that leaves this node, until `release`."""
        with self._host.lock:
            self.held.setdefault(id, HeldSends(set(), [])).unanswered.add(HERE)

    def release(self, id: str) -> None:
        """Send what was kept to where the runtime is now."""
        self.release_after(id, [HERE])

    def release_after(self, id: str, answered: Iterable[int]) -> None:
        """Of those that were sent before, these are answered: after the last, send what has waited for that."""
        with self._host.lock:
            held = self.held.get(id)
            if held is None:
                return
            held.unanswered.difference_update(answered)
            if held.unanswered:
                return
            del self.held[id]
            waiting = [
                self._forwarder.sent[number] for number in sorted(held.numbers) if number in self._forwarder.sent
            ]
            for sent in waiting:
                sent.is_held = False
                if id not in self._placement.lost:
                    self.readdress(sent, self._placement.node_of(id))
                    self._forwarder.put(sent.node, sent.offer)
        if id in self._placement.lost:
            for sent in waiting:
                self._forwarder.refuse(sent.offer.number, self._forwarder.explain_loss(sent.node))

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
                self._forwarder.put(item.node, sent.offer)
