"""A link delivers everything in order and once, whatever the transport does to it."""

import asyncio
import random
from collections import deque

import pytest

from agentrt.distributed import link
from agentrt.distributed.link import Inbox, Outbox, UnreachableError, WayBack
from agentrt.distributed.messages import AcceptedItem, Batch, Item, Received, decode, encode
from agentrt.testing import run


class Receiver:
    """A peer that loses, repeats and delays."""

    def __init__(self, seed: int, lose: float = 0.0) -> None:
        self.chance = random.Random(seed)
        self.lose = lose
        self.life = "first"
        self.inbox = Inbox()
        self.taken: list[int] = []
        self.batches = 0

    async def send_batch(self, data: bytes) -> bytes:
        await asyncio.sleep(self.chance.random())
        if self.chance.random() < self.lose:
            raise UnreachableError
        answer = self.take(data)
        if self.chance.random() < self.lose:
            asyncio.get_running_loop().call_later(20 * self.chance.random(), self.take, data)
            raise UnreachableError
        return answer

    def take(self, data: bytes) -> bytes:
        batch = decode(data, type=Batch)
        self.batches += 1
        if batch.for_life in ("", self.life):
            self.taken += [item.numbers[0] for item in self.inbox.take(batch)]
        return encode(Received(self.life, self.inbox.count))

    def start_again(self) -> None:
        self.life, self.inbox = "second", Inbox()


def items(start: int, end: int) -> list[Item]:
    return [AcceptedItem([number]) for number in range(start, end)]


def outbox_to(receiver: Receiver, replace=lambda items: items) -> Outbox:
    return Outbox(receiver, "b", "a", "life of a", replace)


async def finished(outbox: Outbox) -> None:
    while len(outbox):
        await asyncio.sleep(1)


@pytest.mark.parametrize("seed", range(20))
def test_order_and_once_over_a_bad_transport(seed: int) -> None:
    async def main() -> list[int]:
        receiver = Receiver(seed, lose=0.3)
        outbox = outbox_to(receiver)
        for item in items(0, 200):
            outbox.put(deque([item]))
            await asyncio.sleep(receiver.chance.random() / 5)
        await finished(outbox)
        await asyncio.sleep(30)  # what is repeated late
        outbox.close()
        return receiver.taken

    assert run(main()) == list(range(200))


def test_what_is_put_together_goes_together() -> None:
    async def main() -> tuple[int, int]:
        receiver = Receiver(0)
        outbox = outbox_to(receiver)
        for item in items(0, link.MOST_ITEMS + 1):
            outbox.put(deque([item]))
        await finished(outbox)
        outbox.close()
        return receiver.batches, len(receiver.taken)

    assert run(main()) == (3, link.MOST_ITEMS + 1)  # the first one asks who is there


def test_a_large_batch_leaves_before_others_get_a_turn() -> None:
    # What an answer brings has senders make more: the peer has something to do meanwhile.
    class Answering(Receiver):
        async def send_batch(self, data: bytes) -> bytes:
            seen.append(f"batch of {len(decode(data, type=Batch).items)}")
            answer = decode(await super().send_batch(data), type=Received)
            answer.items = items(0, 1)
            return encode(answer)

    class Waking(WayBack):
        def take(self, answer: Received) -> None:
            asyncio.get_running_loop().call_soon(seen.append, "turn")

    seen: list[str] = []

    async def main() -> None:
        outbox = Outbox(Answering(0), "b", "a", "life of a", lambda left: left, Waking("b", {}, lambda *item: None))
        for item in items(0, link.MOST_ITEMS + link.ENOUGH + 1):
            outbox.put(deque([item]))
        await finished(outbox)
        for item in items(0, link.MOST_ITEMS + 1):
            outbox.put(deque([item]))
        await finished(outbox)
        outbox.close()

    run(main())
    large, rest = f"batch of {link.MOST_ITEMS}", f"batch of {link.ENOUGH + 1}"
    assert seen == ["batch of 0", large, "turn", rest, "turn", "turn", large, "turn", "batch of 1", "turn"]


def test_what_another_thread_adds_to_a_queue_meanwhile_stays_there() -> None:
    class Growing(deque[Item]):
        def popleft(self) -> Item:
            self.append(items(1, 2)[0])
            return super().popleft()

    async def main() -> list[Item]:
        receiver, queue = Receiver(0), Growing(items(0, 1))
        outbox = outbox_to(receiver)
        outbox.put(queue)
        await finished(outbox)
        outbox.close()
        assert receiver.taken == [0]
        return list(queue)

    assert run(main()) == items(1, 2)


def test_a_batch_that_nobody_answers_is_sent_again() -> None:
    class Deaf(Receiver):
        async def send_batch(self, data: bytes) -> bytes:
            if not self.batches:
                self.take(data)
                await asyncio.sleep(10_000)
            return await super().send_batch(data)

    async def main() -> list[int]:
        receiver = Deaf(0)
        outbox = outbox_to(receiver)
        outbox.put(deque([items(0, 1)[0]]))
        await finished(outbox)
        outbox.close()
        return receiver.taken

    assert run(main()) == [0]


def test_the_next_life_of_a_peer_is_given_what_it_needs() -> None:
    async def main() -> tuple[list[int], list[int]]:
        receiver = Receiver(0)
        replaced: list[int] = []

        def replace(left: list[Item]) -> list[Item]:
            replaced.extend(item.numbers[0] for item in left)
            return [*items(100, 102), *left]

        outbox = outbox_to(receiver, replace)
        for item in items(0, 3):
            outbox.put(deque([item]))
        await finished(outbox)
        receiver.start_again()
        for item in items(3, 5):
            outbox.put(deque([item]))
        await finished(outbox)
        outbox.close()
        return replaced, receiver.taken

    assert run(main()) == ([3, 4], [0, 1, 2, 100, 101, 3, 4])


def test_the_next_life_takes_nothing_that_was_for_the_one_before() -> None:
    # Its numbers begin at 1 as those of the life before did: with one item under way they look the same.
    async def main() -> list[int]:
        receiver = Receiver(0)
        outbox = outbox_to(receiver, lambda left: [*items(100, 103), *left])
        outbox.put(deque([items(0, 1)[0]]))
        await finished(outbox)
        receiver.start_again()
        outbox.put(deque([items(1, 2)[0]]))
        await finished(outbox)
        receiver.life, receiver.inbox = "third", Inbox()
        outbox.put(deque([items(2, 3)[0]]))
        await finished(outbox)
        outbox.close()
        return receiver.taken

    assert run(main()) == [0, 100, 101, 102, 1, 100, 101, 102, 2]


def test_what_is_repeated_late_is_taken_by_no_other_life() -> None:
    class Recording(Receiver):
        first = b""

        async def send_batch(self, data: bytes) -> bytes:
            self.first = self.first or data
            return await super().send_batch(data)

    async def main() -> list[int]:
        receiver = Recording(0)
        outbox = outbox_to(receiver)
        outbox.put(deque([items(0, 1)[0]]))
        await finished(outbox)
        receiver.start_again()
        receiver.take(receiver.first)  # sent before anybody had answered
        for item in items(1, 3):
            outbox.put(deque([item]))
        await finished(outbox)
        outbox.close()
        return receiver.taken

    assert run(main()) == [0, 1, 2]


def test_an_answer_to_another_life_of_the_sender_acknowledges_nothing() -> None:
    class Late(Receiver):
        async def send_batch(self, data: bytes) -> bytes:
            if not self.batches:
                self.batches += 1
                return encode(Received(self.life, 100, sender="the life before"))
            return await super().send_batch(data)

    async def main() -> list[int]:
        receiver = Late(0)
        outbox = outbox_to(receiver)
        for item in items(0, 3):
            outbox.put(deque([item]))
        await finished(outbox)
        outbox.close()
        return receiver.taken

    assert run(main()) == [0, 1, 2]


def test_what_goes_with_an_answer_is_prepared_like_what_goes_by_itself() -> None:
    async def main() -> tuple[list[Item], list[Item]]:
        receiver = Receiver(0)
        prepared: list[Item] = []
        outbox = Outbox(receiver, "b", "a", "life of a", lambda left: left, None, prepared.extend)
        outbox.put(deque([items(0, 1)[0]]))
        await finished(outbox)
        assert outbox.open_answer(Batch("a", "life of a", "b", receiver.life, 1, []))
        outbox.put(deque([items(1, 2)[0]]))
        first, given = outbox.take_for_answer()
        outbox.close()
        assert first == 2
        return prepared, given

    prepared, given = run(main())
    assert given == items(1, 2)
    assert prepared == items(0, 2)


def test_an_inbox_takes_nothing_beyond_a_gap() -> None:
    inbox = Inbox()
    assert inbox.take(Batch("b", "", "a", "life", 2, items(1, 3))) == []
    assert inbox.count == 0
    assert inbox.take(Batch("b", "", "a", "life", 1, items(0, 2))) == items(0, 2)
    assert inbox.take(Batch("b", "", "a", "life", 2, items(1, 3))) == items(2, 3)
