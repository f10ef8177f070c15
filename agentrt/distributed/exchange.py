"""Exchange: a batch of another node, and the answer to it a few turns of the loop later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from .link import Outbox, UnreachableError
from .messages import Batch, Received, encode

__all__ = ["Exchange", "exchange_here", "exchange_on"]

TURNS = 6  # of the loop, that a batch waits for what comes of it
PATIENCE = 5.0  # seconds until a loop that does nothing counts as not reached


class Receiver(Protocol):
    """What takes batches: a `Courier`."""

    def open_answer(self, batch: Batch) -> Outbox | None:
        """What goes with the answer; None if nothing may."""

    def take_batch(self, batch: Batch) -> Received:
        """Take what comes next of a batch."""


class Exchange:
    """One batch and its answer. Callbacks of the loop, as a task and a future would take longer than all else here.

    Args:
        receiver: Takes the batch.
        batch: It.
        answer: Is given the answer, a `Received`, or the error that taking the batch has raised. On the loop's thread.
    """

    def __init__(self, receiver: Receiver, batch: Batch, answer: Callable[[bytes | Exception], object]) -> None:
        self._receiver = receiver
        self._batch = batch
        self._answer = answer
        self._received = Received("", 0)
        self._turns = TURNS

    def begin(self) -> None:
        """Take the batch. The loop's thread."""
        outbox = self._receiver.open_answer(self._batch)
        try:
            self._received = self._receiver.take_batch(self._batch)
        except Exception as error:
            if outbox is not None:
                outbox.take_for_answer()
            self._answer(error)
        else:
            self._look(outbox)

    def _look(self, outbox: Outbox | None) -> None:
        """Answer once something has come of each item, or after some turns."""
        if outbox is not None:
            if self._turns and outbox.fresh <= len(self._batch.items):
                self._turns -= 1
                asyncio.get_running_loop().call_soon(self._look, outbox)
                return
            self._received.first, self._received.items = outbox.take_for_answer()
        try:
            answer: bytes | Exception = encode(self._received)
        except Exception as error:  # whoever waits hears of it: it would wait in vain
            answer = error
        self._answer(answer)


def exchange_on(loop: asyncio.AbstractEventLoop, receiver: Receiver, batch: Batch) -> bytes:
    """Have a loop take a batch, and wait for the answer, on another thread.

    Raises:
        UnreachableError: The loop does nothing, or is closed.
        Exception: What taking the batch has raised.
    """
    is_answered, answers = threading.Lock(), list[bytes | Exception]()
    is_answered.acquire()

    def answer(value: bytes | Exception) -> None:
        answers.append(value)
        is_answered.release()

    try:
        loop.call_soon_threadsafe(Exchange(receiver, batch, answer).begin)
    except RuntimeError as error:
        raise UnreachableError(f"the loop of {batch.receiver!r} is closed") from error
    if not is_answered.acquire(timeout=PATIENCE):
        raise UnreachableError(f"the loop of {batch.receiver!r} has done nothing for {PATIENCE:g} s")
    if isinstance(answers[0], Exception):
        raise answers[0]
    return answers[0]


async def exchange_here(receiver: Receiver, batch: Batch) -> bytes:
    """Take a batch on the loop that runs, and wait for the answer; raises what taking it has raised."""
    future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def answer(value: bytes | Exception) -> None:
        if future.done():
            return
        if isinstance(value, Exception):
            future.set_exception(value)
        else:
            future.set_result(value)

    Exchange(receiver, batch, answer).begin()
    return await future
