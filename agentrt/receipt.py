"""Receipts: what a sender holds until its activity has a fate. A future is made only when somebody waits."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from .engine.deadlock import CURRENT
from .engine.handoff import lend
from .engine.protocols import Host
from .errors import DeadlockError
from .events import Outcome

__all__ = ["Receipt"]

T = TypeVar("T")
logger = logging.getLogger(__name__)


def settle(future: asyncio.Future[None]) -> None:
    """Set a future that may have been cancelled meanwhile."""
    if not future.done():
        future.set_result(None)


# A plain mutable record made in C: 60 ns where a class with __init__ takes 250. Only the waiting is code.
# gc=False: the collector walks none of a long lane, which is a tenth of what an activity costs. For that a latch lets
# go of its runtime once it is decided, so that a receipt somebody keeps is no way back to a manager that nobody has.
class Latch(msgspec.Struct, Generic[T], eq=False, gc=False):
    """Something that is decided once. Awaitable from any loop; `wait` blocks any thread but the loop's own."""

    entry: Any  # None once it is decided
    decided: T | None = None
    waiters: list[Callable[[], object]] | None = None

    def __await__(self) -> Generator[Any, None, T]:
        entry = self.entry
        if entry is not None:
            with entry.awaited():
                yield from self.settled().__await__()
        assert self.decided is not None
        return self.decided

    def decide(self, value: T) -> None:
        """Set it and wake who waits. The first decision stands."""
        if self.decided is None:
            host = self.entry.host
            self.decided = value
            if self.waiters is not None:
                self.wake(host)
            self.entry = None

    def wake(self, host: Host) -> None:
        """Wake everybody who waits; each once."""
        with host.lock:
            waiters, self.waiters = self.waiters or [], None
        for call in waiters:
            try:
                call()
            except BaseException:  # anybody's function: it may not stop the runtime that decides
                logger.exception("%r, which waited for %r, failed", call, self)

    def when_decided(self, call: Callable[[], object]) -> None:
        """Call `call()` once it is decided, on the thread that decides it; at once if it is."""
        entry = self.entry
        if entry is None:
            call()
            return
        with entry.host.lock:
            if self.waiters is None:
                self.waiters = []
            self.waiters.append(call)
        # Registered first, looked at second: whoever decides it in between sees either the waiter or none was needed.
        if self.decided is not None:
            self.wake(entry.host)

    async def settled(self) -> None:
        """Wait until it is decided, on any loop."""
        entry = self.entry
        if entry is None:
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        wake = partial(settle, future)
        host = entry.host
        call = partial(host.post, wake) if loop is host.loop else partial(_across, loop, wake)
        self.when_decided(call)
        try:
            await future
        except BaseException:
            self._forget(host, call)
            raise

    def _forget(self, host: Host, call: Callable[[], object]) -> None:
        """Nobody waits there any more."""
        with host.lock:
            if self.waiters is not None and call in self.waiters:
                self.waiters.remove(call)

    def wait(self, timeout: float | None, advice: str) -> None:
        """Block until it is decided, `timeout` seconds at most."""
        entry = self.entry
        if entry is None:
            return
        if threading.get_ident() == entry.host.thread:
            raise DeadlockError(
                f"waiting here would block the loop that must do the work; write `{advice}` instead",
                chain=(entry.id,),
                runtime=entry.id,
            )
        done = threading.Event()
        with entry.awaited():
            self.when_decided(done.set)
            if not done.wait(timeout):
                self._forget(entry.host, done.set)
                raise TimeoutError(f"{self!r} is not decided after {timeout:g} s; it still may be")


def _across(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # that loop is closed: nobody waits there any more
        return


async def settle_all(latches: list[Latch[bool]]) -> None:
    """Wait until each is decided."""
    for latch in latches:
        await latch.settled()


class Receipt(Latch[Outcome]):
    """The promise that an accepted activity gets exactly one fate.

    `await receipt` (any loop) and `receipt.result(timeout)` (any thread but the loop's own) give the `Outcome`, or
    raise the tagged error of the activity. `receipt.outcome` is None until then. Dropping a receipt changes nothing.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("counter", 0, lambda activity, state: state + activity.payload)
    ...     runtime.send_nowait(2).result(5).state
    2
    """

    id: int = 0

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, or None while it is pending."""
        return self.decided

    @property
    def runtime(self) -> str:
        """The id of the runtime it was sent to."""
        entry, outcome = self.entry, self.decided
        return str(entry.id) if outcome is None else outcome.runtime

    def __await__(self) -> Generator[Any, None, Outcome]:
        entry = self.entry
        if entry is not None:
            if CURRENT.get() is None:
                lend(entry, self)
                if self.decided is None:
                    yield from self.settled().__await__()
            else:
                with entry.awaited():
                    lend(entry, self)
                    if self.decided is None:
                        yield from self.settled().__await__()
        return self._open()

    def result(self, timeout: float | None = None) -> Outcome:
        """Block until it is decided, `timeout` real seconds at most, then `TimeoutError`; not on the loop's thread."""
        self.wait(timeout, "await receipt")
        return self._open()

    def __deepcopy__(self, memo: Any) -> Receipt:
        return self  # it stands for one activity: a copy would never be decided

    def _open(self) -> Outcome:
        outcome = self.decided
        assert outcome is not None
        if outcome.error is not None:
            raise outcome.error.copy()
        return outcome

    def __repr__(self) -> str:
        fate = "pending" if self.decided is None else self.decided.kind
        return f"<Receipt {self.id} at {self.runtime!r}: {fate}>"


# What an activity holds in place of its receipt once it has a fate. An activity is invisible to the garbage collector:
# with the link kept, an activity found from its own outcome (in a state, in the frames of a traceback) would never go.
SETTLED: Any = Receipt(None)
SETTLED.decided = SETTLED


def settle_receipt(activity: Any, outcome: Outcome) -> None:
    """Decide an activity's receipt, and cut the link from the one to the other."""
    receipt: Receipt = activity.receipt
    cut(activity, "receipt", SETTLED)
    receipt.decide(outcome)


cut = msgspec.structs.force_setattr
