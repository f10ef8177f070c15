"""Courier: carries activities, answers and commands between the node of this process and the others."""

from __future__ import annotations

import asyncio
import threading
import uuid
import weakref
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Container, Iterable
from contextvars import Context
from functools import partial
from typing import Any

from ..activity import Activity
from ..engine.admission import Offer as Wanted
from ..engine.deadlock import CURRENT
from ..engine.protocols import Host
from ..errors import AgentError, MailboxFullError, ManagerClosedError, RuntimeFailedError
from ..events import Outcome
from ..receipt import Promise, Receipt
from .circles import Circles
from .deliveries import Deliveries
from .link import Inbox, Outbox, Peer, WayBack
from .messages import (
    AcceptedItem,
    ActivityItem,
    AnswerItem,
    Batch,
    CommandItem,
    Item,
    MovedItem,
    OutcomeItem,
    Received,
    RefusedItem,
    TransferredItem,
    encode,
)
from .packing import pack, pack_error, pack_payload, unpack, unpack_error, unpack_outcome
from .placement import Placement
from .remote_entry import RemoteEntry, RemoteReceipt
from .rerouting import Rerouting, Sent, no_receipt

__all__ = ["Courier"]

MOST_ON_THEIR_WAY = 10_000  # activities to one node that it has not accepted yet


class Courier:
    """The links of one node. What it is told from outside is on any thread; what arrives is handled on the loop.

    Args:
        host: The manager of this process.
        name: The name of this node.
        placement: Where runtimes are.
        connect: Gives the peer of a name.
        carry_out: Carries out a command of another node, and returns or awaits what came of it.
        is_durable: Whether the nodes have journals: what a node had not done when it ended is sent to its next life.
    """

    def __init__(
        self,
        host: Any,
        name: str,
        placement: Placement,
        connect: Callable[[str], Peer],
        carry_out: Callable[..., Any],
        is_durable: bool = False,
    ) -> None:
        self.host: Host = host
        self.name = name
        self.placement = placement
        self.life = uuid.uuid4().hex
        self.is_durable = is_durable
        self.circles = Circles(self)
        self.rerouting = Rerouting(self)
        self.deliveries = Deliveries(host, name, placement, self.put, self.rerouting.leave)
        self._connect = connect
        self._carry_out = carry_out
        self._outboxes: dict[str, Outbox] = {}
        self._inboxes: dict[tuple[str, str], Inbox] = {}
        self.sent: dict[int, Sent] = {}
        self._kept: dict[int, Receipt] = {}  # receipts that somebody waits for
        self.on_their_way: Counter[str] = Counter()
        self._room: dict[str, Promise[Any]] = {}
        self._asked: dict[int, tuple[str, Promise[Any]]] = {}
        self._outgoing: dict[str, deque[Item]] = {}  # what is not in an outbox yet, by node
        self._is_flushing = False

    # ---- to other nodes: any thread

    def node_of(self, id: str) -> str:
        """The name of the node of a runtime."""
        return self.placement.node_of(id)

    def offer(self, entry: RemoteEntry, wanted: Wanted, accepted: Promise[Any] | None = None) -> Receipt:
        """Have an activity delivered; see `Transport.offer`."""
        template = wanted.template
        payload = pack_payload(template.payload if type(template) is Activity else template)
        item = ActivityItem(0, entry.id, payload, wanted.lane == "priority", wanted.timeout, wanted.delay, wanted.key)
        return self._offer(entry, item, accepted)

    def offer_plain(self, entry: RemoteEntry, payload: bytes | float | None, priority: bool) -> Receipt:
        """Have a payload that is packed delivered; see `Transport.offer_plain`."""
        return self._offer(entry, ActivityItem(0, entry.id, payload, priority), None)

    def _offer(self, entry: RemoteEntry, item: ActivityItem, accepted: Promise[Any] | None) -> Receipt:
        cause: Any = CURRENT.get()
        parent = None if cause is None else cause.current
        if parent is not None:
            item.source, item.parent, item.correlation = cause.id, parent.id, parent.correlation
        with self.host.lock:
            if self.host.closed:
                raise ManagerClosedError("the manager is closed; connect again", runtime=entry.id)
            node = self.placement.node_of(entry.id)
            if self.on_their_way[node] >= MOST_ON_THEIR_WAY:
                raise MailboxFullError(
                    f"{MOST_ON_THEIR_WAY:,} activities are on their way to {node!r}; await send() instead, which waits",
                    runtime=entry.id,
                )
            item.number = number = self.host.number()
            receipt = RemoteReceipt(entry, None, None, number)
            self._send(node, Sent(node, item, weakref.ref(receipt), accepted))
        return receipt

    def _send(self, node: str, sent: Sent) -> None:
        """Have something sent, now or once it can be. The lock is held: see `_begin_again`."""
        number = sent.offer.number
        if self.is_durable and sent.offer.key is None:
            sent.offer.key = f"{self.life}:{number}"
        self.sent[number] = sent
        self.on_their_way[node] += 1
        if self.rerouting.enter(sent):
            self.put(node, sent.offer)

    def forward(self, item: ActivityItem, accepted: Promise[Any], receipt: Receipt | None = None) -> None:
        """Have something delivered that has its number: what a workflow has sent. Doing it twice changes nothing.

        Args:
            item: What is sent. There may be more on their way than is allowed for others: it has a bound of its own.
            accepted: As in `offer`.
            receipt: What its sender holds; None if nobody can.

        Raises:
            AgentError: There is no node for it.
        """
        with self.host.lock:
            if item.number in self.sent:
                return
            node = self.placement.node_of(item.runtime)
            known: Any = no_receipt if receipt is None else weakref.ref(receipt)
            if receipt is not None and receipt._waiters:
                self._kept[item.number] = receipt
            self._send(node, Sent(node, item, known, accepted))

    def keep(self, receipt: Receipt) -> None:
        """Hold a receipt until it is decided. Any thread."""
        self._kept[receipt.id] = receipt
        self.circles.watch(receipt.id, receipt.runtime)
        if receipt.id not in self.sent:
            self._kept.pop(receipt.id, None)
            self.circles.forget(receipt.id)

    async def wait_for_room(self, id: str, wait: float | None) -> bool:
        """Wait until less is on its way to the node of a runtime; False after `wait` real seconds."""
        node = self.placement.node_of(id)
        with self.host.lock:
            if self.on_their_way[node] < MOST_ON_THEIR_WAY:
                return True
            promise = self._room.setdefault(node, Promise(RemoteEntry(self, id)))
        try:
            async with asyncio.timeout(wait):
                await promise.wait()
        except TimeoutError:
            return False
        return True

    def command(self, node: str, name: str, *arguments: Any) -> Promise[Any]:
        """Have another node do something that is no activity.

        Returns:
            A promise of a tuple with the value, or of an `AgentError`.
        """
        data = pack(arguments, f"what {name!r} is given")
        with self.host.lock:
            if node not in self.placement.nodes:
                return Promise[Any](None, self.explain_loss(node))
            number = self.host.number()
            promise = Promise[Any](RemoteEntry(self, name))
            self._asked[number] = node, promise
            self.put(node, CommandItem(number, name, data))
        return promise

    def put(self, node: str, item: Item) -> None:
        """Have it sent."""
        queue = self._outgoing.get(node)
        if queue is None:
            queue = self._outgoing.setdefault(node, deque())
        queue.append(item)
        if self._is_flushing:  # it has not begun: it sees this item
            return
        self._is_flushing = True
        # In a context of its own: what arrives over a link is not sent by the workflow that has used that link first.
        if threading.get_ident() == self.host.thread and not self.host.loop.is_closed():
            self.host.loop.call_soon(self._flush, context=Context())  # one for all of this turn
        else:
            self.host.post(partial(Context().run, self._flush))

    def _flush(self) -> None:
        self._is_flushing = False  # first: what is put from here on calls again, or is seen below
        for node in tuple(self._outgoing):
            queue = self._outgoing[node]
            if node != self.name:
                self._outbox(node).put(queue)
                continue
            for _ in range(len(queue)):
                self._take(node, queue.popleft())

    def _outbox(self, node: str) -> Outbox:
        outbox = self._outboxes.get(node)
        if outbox is None:

            def replace(items: list[Item]) -> list[Item]:
                return self._begin_again(node, items)

            back = WayBack(node, self._inboxes, self._take)
            outbox = self._outboxes[node] = Outbox(
                self._connect(node), node, self.name, self.life, replace, back, self._mark_one_way
            )
        return outbox

    def _mark_one_way(self, items: Iterable[Item]) -> None:
        """Have no outcome sent back for what nobody holds a receipt of. The loop's thread."""
        for item in items:
            if type(item) is ActivityItem and (sent := self.sent.get(item.number)) and sent.receipt() is None:
                item.is_one_way = True
                sent.receipt = no_receipt

    def life_of(self, node: str) -> str | None:
        """The life of a node that has answered last; empty if none has, None if nothing was sent to it."""
        outbox = self._outboxes.get(node)
        return None if outbox is None else outbox.answering

    def backlog(self) -> dict[str, int]:
        """How many items to each node it has not acknowledged."""
        return {node: len(outbox) for node, outbox in tuple(self._outboxes.items())}

    # ---- from other nodes: the loop's thread

    def receive(self, batch: Batch) -> bytes:
        """Take a batch; the answer is a `Received`."""
        return encode(self.take_batch(batch))

    def open_answer(self, batch: Batch) -> Outbox | None:
        """What goes with the answer to a batch; None if nothing may. See `Outbox.open_answer`."""
        outbox = self._outboxes.get(batch.sender)
        return outbox if outbox is not None and outbox.open_answer(batch) else None

    def take_batch(self, batch: Batch) -> Received:
        """Take what comes next of a batch, and say how many were taken in all."""
        inbox = self._inboxes.setdefault((batch.sender, batch.life), Inbox())
        if batch.for_life == self.life:
            for item in inbox.take(batch):
                self._take(batch.sender, item)
        return Received(self.life, inbox.count, sender=batch.life)

    def _take(self, sender: str, item: Item) -> None:
        if type(item) is ActivityItem:
            self.deliveries.deliver(sender, item)
        elif type(item) is OutcomeItem:
            self._decide(item.number, unpack_outcome(item.outcome))
        elif type(item) is AcceptedItem:
            self.note_acceptances(item.numbers)
        elif type(item) is RefusedItem:
            self.refuse(item.number, unpack_error(item.error))
        elif type(item) is CommandItem:
            self._answer(sender, item)
        elif type(item) is MovedItem:
            self.rerouting.send_after(sender, item)
        elif type(item) is TransferredItem:
            self.rerouting.note_transfer(item)
        else:
            assert type(item) is AnswerItem
            self._conclude(item.number, unpack_error(item.value) if item.failed else (unpack(item.value),))

    def note_acceptances(self, numbers: list[int]) -> None:
        """Activities wait in their lanes there."""
        found: list[Promise[Any]] = []
        taken: defaultdict[str, list[int]] = defaultdict(list)  # by the id of the runtime
        with self.host.lock:
            for number in numbers:
                sent = self.sent.get(number)
                if sent is not None and not sent.is_accepted:
                    self._note_acceptance(sent, found)
                    taken[sent.offer.runtime].append(number)
                    if sent.offer.is_one_way:
                        del self.sent[number]
        for promise in found:
            promise._decide(True)
        for id, those in taken.items():
            self.rerouting.leave(id, those)

    def _note_acceptance(self, sent: Sent, found: list[Promise[Any]]) -> None:
        """Make room for another one on the way, and collect who waits for that. The lock is held."""
        sent.is_accepted = True
        self.on_their_way[sent.node] -= 1
        if sent.accepted is not None:
            found.append(sent.accepted)
        if sent.node in self._room:
            found.append(self._room.pop(sent.node))

    def refuse(self, number: int, error: AgentError) -> None:
        """Nothing comes of what was sent with this number, for this reason."""
        sent = self.sent.get(number)
        if sent is not None:
            if sent.accepted is not None:
                sent.accepted._decide(error)
            self._decide(number, self._outcome_of(sent, error))

    def _outcome_of(self, sent: Sent, error: AgentError) -> Outcome:
        """What became of an activity that nothing came of."""
        now, number, kind = self.host.clock.now(), sent.offer.number, "dead" if sent.offer.is_stored else "dropped"
        return Outcome(number, number, sent.offer.runtime, sent.offer.priority, kind, now, None, now, None, error=error)

    def _decide(self, number: int, outcome: Outcome) -> None:
        self.note_acceptances([number])
        self.circles.forget(number)
        sent, kept = self.sent.pop(number, None), self._kept.pop(number, None)
        receipt = kept if kept is not None or sent is None else sent.receipt()
        if receipt is not None:
            receipt._decide(outcome)

    def end_wait(self, number: int, error: AgentError) -> None:
        """Whoever waits for this activity gets an error, whatever comes of it. The loop's thread."""
        sent = self.sent.get(number)
        if sent is None or not sent.offer.is_stored:
            self.refuse(number, error)
            return
        self.circles.forget(number)
        receipt = self._kept.pop(number, None) or sent.receipt()
        if receipt is not None:
            receipt._decide(self._outcome_of(sent, error))

    def _conclude(self, number: int, value: Any) -> None:
        _, promise = self._asked.pop(number, (None, None))
        if promise is not None:
            promise._decide(value)

    def _answer(self, sender: str, command: CommandItem) -> None:
        """Carry out a command before what was sent after it; what it waits for then takes its time."""
        try:
            value = self._carry_out(command.name, *unpack(command.arguments))
        except Exception as error:
            self.put(sender, AnswerItem(command.number, pack_error(error), True))
            return
        if isinstance(value, Awaitable):
            self.deliveries.start(self._answer_later(sender, command, value))
        else:
            self.put(sender, _answer_with(command, value))

    async def _answer_later(self, sender: str, command: CommandItem, value: Awaitable[Any]) -> None:
        try:
            answer = _answer_with(command, await value)
        except Exception as error:
            answer = AnswerItem(command.number, pack_error(error), True)
        self.put(sender, answer)

    # ---- when another node has ended

    def _begin_again(self, node: str, items: list[Item]) -> list[Item]:
        """What to send to the next life of a node, which knows only what its journal has.

        Args:
            node: Its name.
            items: What the life before had not taken.
        """
        with self.host.lock:  # so whatever is on record as sent by now is among these, or on its way to this outbox
            coming = self._outgoing.get(node, deque()).copy()
            kept = {item.number for item in (*items, *coming) if isinstance(item, ActivityItem | CommandItem)}
            waiting, asked = self._waiting_for(node, kept)
        self._end_waits(self.explain_loss(node), () if self.is_durable else waiting, asked)
        if not self.is_durable:
            return items
        again = [item for item in items if type(item) is not ActivityItem]

        def put(to: str, item: Item) -> None:
            if to == node:  # before what was put in this turn: that was sent later
                again.append(item)
            else:
                self.put(to, item)

        with self.host.lock:  # what is sent on another thread meanwhile is among these, or comes after them
            there = [sent for sent in self.sent.values() if sent.node == node and not sent.is_held]
            for sent in there:
                if sent.is_accepted:
                    self.rerouting.ask_again(sent, put)
            self.rerouting.send_again((sent for sent in there if not sent.is_accepted), put)
        return again

    def lose(self, node: str) -> None:
        """A node has ended and there will be no next life of it: who waits for it hears so. The loop's thread."""
        outbox = self._outboxes.pop(node, None)
        if outbox is not None:
            outbox.close()
        there = [sent for sent in self.sent.values() if sent.node == node and sent.offer.is_stored]
        self.rerouting.send_again([sent for sent in there if not (sent.is_accepted or sent.is_held)])
        self._end_waits(self.explain_loss(node), *self._waiting_for(node))

    def _waiting_for(self, node: str | None = None, but: Container[int] = ()) -> tuple[list[int], list[int]]:
        """What was sent, and what was asked, and waits for this node, or for any; but for these numbers."""
        there = [
            number
            for number, sent in list(self.sent.items())
            if node is None or (sent.node == node and not sent.is_held)
        ]
        asked = [number for number, (other, _) in list(self._asked.items()) if node in (None, other)]
        return [each for each in there if each not in but], [each for each in asked if each not in but]

    def _end_waits(self, why: AgentError, there: Iterable[int], asked: Iterable[int]) -> None:
        """Tell who waits for what was sent, or asked, with these numbers that there will be no answer."""
        for number in there:
            sent = self.sent.get(number)
            if sent is not None:
                error = why.copy()
                error.runtime = sent.offer.runtime
                self.refuse(number, error)
        for number in asked:
            self._conclude(number, why)

    def explain_loss(self, node: str) -> AgentError:
        """The error of who waits for a node that has ended."""
        advice = "ask again" if self.is_durable else "connect with journal= to have it resumed"
        return RuntimeFailedError(f"{node!r} has ended: what it had not answered may have been done or not; {advice}")

    def close(self) -> None:
        """Send and deliver nothing more, and tell who waits. The loop's thread."""
        self.deliveries.close()
        for outbox in self._outboxes.values():
            outbox.close()
        self.rerouting.routes.clear()
        closed = ManagerClosedError("the manager was closed before there was an answer")
        self._end_waits(closed, *self._waiting_for())


def _answer_with(command: CommandItem, value: Any) -> AnswerItem:
    try:
        return AnswerItem(command.number, pack(value, f"what {command.name!r} returns"))
    except AgentError as error:
        return AnswerItem(command.number, pack_error(error), True)
