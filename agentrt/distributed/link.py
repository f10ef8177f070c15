"""Links: what one node sends another arrives in order and once, over a transport that may lose, repeat and reorder.

One batch is on its way at a time. It carries the number of its first item; the receiver takes what comes next and
ignores what it has, and answers how many it has taken in all. What is not acknowledged is sent again. An answer brings
what the receiver has to send back, so that an ask over a link is one call of the transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

from .messages import Batch, Item, Received, decode, encode

__all__ = ["Inbox", "Outbox", "Peer", "UnreachableError", "WayBack"]

MOST_ITEMS = 2_000  # of one batch
ENOUGH = 500  # items for a batch that leaves at once: the peer works on it while more are made here
PATIENCE = 5.0  # seconds until a batch is sent again that nobody has answered
ANSWER_PATIENCE = 0.5  # seconds until what went with an answer is sent as a batch, if nothing has acknowledged it
FIRST_RETRY, LAST_RETRY = 0.05, 2.0  # seconds until the next try after a failed one


class UnreachableError(Exception):
    """The transport could not deliver a batch, or its answer. It may have arrived."""


class Peer(Protocol):
    """Another node, as a link reaches it."""

    async def send_batch(self, data: bytes) -> bytes:
        """Have it take a `Batch`; the answer is a `Received`.

        Raises:
            UnreachableError: It, or the answer, did not get through.
        """


class Inbox:
    """What arrives from one life of one sender."""

    def __init__(self) -> None:
        self.count = 0  # items taken in all

    def take(self, batch: Batch | Received) -> list[Item]:
        """The items that come next; none if some before them are missing."""
        known = self.count + 1 - batch.first
        if known < 0:
            return []
        new = batch.items[known:]
        self.count += len(new)
        return new


class WayBack:
    """What comes back over a link, from each life of its peer.

    Args:
        node: The name of the peer.
        inboxes: Those of all links to this node, by the name of the sender and its life.
        take: Takes an item of a sender.
    """

    def __init__(self, node: str, inboxes: dict[tuple[str, str], Inbox], take: Callable[[str, Item], None]) -> None:
        self._node = node
        self._inboxes = inboxes
        self._take = take

    def count(self, life: str) -> int:
        """How many items of this life of the peer were taken in all."""
        inbox = self._inboxes.get((self._node, life))
        return 0 if inbox is None else inbox.count

    def take(self, answer: Received) -> None:
        """Take what came with an answer."""
        for item in self._inboxes.setdefault((self._node, answer.life), Inbox()).take(answer):
            self._take(self._node, item)


class Outbox:
    """What goes to one peer. For the thread of the loop only.

    Args:
        peer: The other node.
        receiver: Its name.
        sender: The name of this one.
        life: Which life of this one.
        replace: Called when another life of the peer answers than before: it knows nothing of what that one has taken.
            It is given what is not acknowledged, and returns what to send to the new one instead.
        back: Takes what comes with an answer; None where nothing does.
        prepare: Called with items that are about to be sent.
    """

    def __init__(
        self,
        peer: Peer,
        receiver: str,
        sender: str,
        life: str,
        replace: Callable[[list[Item]], Iterable[Item]],
        back: WayBack | None = None,
        prepare: Callable[[list[Item]], object] = list,
    ) -> None:
        self._peer = peer
        self._receiver = receiver
        self._sender = sender
        self._life = life
        self._replace = replace
        self._back = back
        self._prepare = prepare
        self._answering = ""  # the life of the peer that answered last
        self._items: deque[Item] = deque()  # not acknowledged
        self._first = 1  # the number of the first of them
        self._given = 0  # how many of them are on their way, in a batch or with an answer
        self._give_again = 0.0  # when to send again what went with an answer, on the clock of the loop
        self._is_sending = False
        self._answers = 0  # answers that are being made up: they take what there is
        self._retry = FIRST_RETRY
        self._wakeup: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many items are not acknowledged."""
        return len(self._items)

    @property
    def answering(self) -> str:
        """The life of the peer that answered last; empty if none has."""
        return self._answering

    @property
    def fresh(self) -> int:
        """How many items are not on their way."""
        return len(self._items) - self._given

    def put(self, queue: deque[Item]) -> None:
        """Have all sent that is in a queue, after what was put before, and take it from there.

        Another thread may add to the queue meanwhile.
        """
        count = len(queue)
        self._items.extend([queue.popleft() for _ in range(count)])
        if count and not self._answers:
            self._wake()

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"agentrt link to {self._receiver}")
        elif self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def _run(self) -> None:
        while True:
            if self._answers or not self.fresh:
                await self._wait()
                continue
            if self.fresh < ENOUGH:
                await asyncio.sleep(0)  # what is put in this turn of the loop goes into one batch
            if self.fresh and not self._answers:
                await self._send_next()

    async def _wait(self) -> None:
        """Wait for an item, or until what went with an answer is sent again."""
        loop = asyncio.get_running_loop()
        self._wakeup = loop.create_future()
        timer = loop.call_at(max(self._give_again, loop.time()), self._wake) if self._given else None
        await self._wakeup
        if timer is not None:
            timer.cancel()
            if loop.time() >= self._give_again and not self._answers:
                self._given = 0

    async def _send_next(self) -> None:
        # None before it is known which life answers: what is repeated late would be taken by the next one as well.
        most = MOST_ITEMS if self._answering else 0
        items = list(islice(self._items, self._given, self._given + most))
        first, taken = self._first + self._given, 0 if self._back is None else self._back.count(self._answering)
        self._prepare(items)
        self._given += len(items)
        self._is_sending = True
        data = encode(Batch(self._receiver, self._answering, self._sender, self._life, first, items, taken))
        try:
            async with asyncio.timeout(PATIENCE):
                answer = decode(await self._peer.send_batch(data), type=Received)
        except (UnreachableError, TimeoutError):
            self._is_sending = False
            self._given = 0
            await asyncio.sleep(self._retry)
            self._retry = min(LAST_RETRY, self._retry * 2)
            return
        self._is_sending = False
        self._retry = FIRST_RETRY
        if answer.sender in ("", self._life):
            self._take_answer(answer, first)
        else:  # it was for another life of this node, whose reader has not noticed
            self._given = 0

    def _take_answer(self, answer: Received, first: int) -> None:
        before, self._answering = self._answering, answer.life
        if before not in ("", answer.life):  # which has taken nothing of it: it was for the life before
            self._items = deque(self._replace(list(self._items)))
            self._first, self._given = 1, 0
        self._acknowledge(answer.count)
        if answer.count < first:  # what went before with an answer is lost
            self._given = 0
        if answer.items and self._back is not None:
            self._back.take(answer)

    def _acknowledge(self, count: int) -> None:
        """The peer has taken so many items in all."""
        taken = max(0, min(count + 1 - self._first, len(self._items)))
        for _ in range(taken):
            self._items.popleft()
        self._first += taken
        self._given = max(0, self._given - taken)

    # ---- what goes with an answer

    def open_answer(self, batch: Batch) -> bool:
        """A batch of the peer has come: until `take_for_answer`, what is put waits for its answer.

        Returns:
            Whether the answer may bring something; it may not while the peer is not known to live still.
        """
        if batch.life != self._answering or batch.for_life != self._life:
            return False
        self._acknowledge(batch.taken)
        if not self._is_sending:  # the answer before has arrived, or never will
            self._given = 0
        self._answers += 1
        return True

    def take_for_answer(self) -> tuple[int, list[Item]]:
        """What goes with the answer, and the number of the first item."""
        self._answers -= 1
        first, items = self._first + self._given, list(islice(self._items, self._given, self._given + MOST_ITEMS))
        self._prepare(items)
        self._given += len(items)
        self._give_again = asyncio.get_running_loop().time() + ANSWER_PATIENCE
        if self._items:
            self._wake()
        return first, items

    def close(self) -> None:
        """Send nothing more."""
        if self._task is not None:
            self._task.cancel()
