"""Receipts: what a sender holds until its activity has a fate. A future is made only when somebody waits."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from .deprecation import warn_of_new_name
from .engine.deadlock import CURRENT, check_loop, deadlock_error
from .engine.protocols import Host
from .errors import AgentError
from .events import Outcome
from .interruptible import InterruptibleEvent
from .logs import log_safely
from .schema.numbers import time_limit
from .typevars import S

__all__ = ["Promise", "Receipt", "UntrackedReceipt"]

T = TypeVar("T")
logger = logging.getLogger(__name__)


def complete_future(future: asyncio.Future[None]) -> None:
    """Set a future that may have been cancelled meanwhile."""
    if not future.done():
        future.set_result(None)


# A plain mutable record made in C: 60 ns where a class with __init__ takes 250. Only the waiting is code.
# A promise lets go of its runtime once it is decided: a receipt that is kept is no way back to the manager.
class Promise(msgspec.Struct, Generic[T], eq=False):
    """A value that is decided once. Awaitable from any loop; `block` waits on any thread but the agents'."""

    _entry: Any  # the RuntimeEntry it is about; None once it is decided
    value: T | None = None  # None until it is decided
    _waiters: list[Callable[[], object]] | None = None

    def __await__(self) -> Generator[Any, None, T]:
        entry = self._entry
        if entry is not None:
            with entry.register_wait():
                yield from self.wait().__await__()
        assert self.value is not None
        return self.value

    def _decide(self, value: T) -> None:
        """Set the value and wake who waits. The first decision stands; a second call completes an interrupted one."""
        entry = self._entry
        if entry is not None:
            if self.value is None:
                self.value = value
            if self._waiters is not None:
                self._wake(entry.host)
            self._entry = None

    def _wake(self, host: Host) -> None:
        """Call everybody who waits, oldest first."""
        while self._waiters is not None:
            with host.lock:
                call = self._waiters[0] if self._waiters else None
                if call is None:
                    self._waiters = None
                    return
            try:
                call()
            except BaseException:  # it may not stop the runtime that decides
                log_safely(logger, "%r, which waited for %r, failed", call, self)
                with suppress(BaseException):  # once more: the exception may have come from outside, before it was done
                    call()
            self._forget(host, call)

    def add_callback(self, call: Callable[[], object]) -> None:
        """Call `call()` once it is decided, on the thread that decides it; at once if it is."""
        entry = self._entry
        if entry is None:
            call()
            return
        with entry.host.lock:
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(call)
        # Registered first, looked at second: whoever decides it in between sees either the waiter or none was needed.
        if self.value is not None:
            self._wake(entry.host)

    async def wait(self) -> None:
        """Wait until it is decided, on any loop; raises nothing of what it is decided with."""
        entry = self._entry
        if entry is None:
            return
        loop = asyncio.get_running_loop()
        if loop is not entry.host.loop:
            check_loop(entry.host, loop, entry.id)
        future = loop.create_future()
        wake = partial(complete_future, future)
        host = entry.host
        call = partial(host.post, wake) if loop is host.loop else partial(_call_on, loop, wake)
        self.add_callback(call)
        waiting = host.clock.waiting
        waiting.add(future)
        try:
            await future
        except BaseException:
            self._forget(host, call)
            raise
        finally:
            waiting.discard(future)

    def _forget(self, host: Host, call: Callable[[], object]) -> None:
        """Nobody waits there any more."""
        with host.lock:
            if self._waiters is not None and call in self._waiters:
                self._waiters.remove(call)

    def block(self, timeout: float | None, advice: str) -> None:
        """Block the thread until it is decided, `timeout` real seconds at most, then `TimeoutError`.

        On the agents' own thread it raises `DeadlockError` at once; `advice` is what its message says to write instead.
        """
        limit = time_limit("timeout", timeout)
        entry = self._entry
        if entry is None:
            return
        entry.host.check_process()
        if threading.get_ident() == entry.host.thread:
            raise deadlock_error(entry.host, entry.id, advice)
        done = InterruptibleEvent()
        with entry.register_wait():
            self.add_callback(done.set)
            if not done.wait(limit):
                self._forget(entry.host, done.set)
                raise TimeoutError(f"{self!r} is not decided after {timeout:g} s; it still may be")

    # ---- names of version 0.1

    @property
    def decided(self) -> T | None:
        """Deprecated: `value`."""
        warn_of_new_name("decided", "value")
        return self.value

    async def settled(self) -> None:
        """Deprecated: `wait()`."""
        warn_of_new_name("settled()", "wait()")
        await self.wait()

    def when_decided(self, call: Callable[[], object]) -> None:
        """Deprecated: `add_callback()`."""
        warn_of_new_name("when_decided()", "add_callback()")
        self.add_callback(call)


def _call_on(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # that loop is closed: nobody waits there any more
        return


async def wait_all(promises: list[Promise[bool]]) -> None:
    """Wait until each is decided."""
    for promise in promises:
        await promise.wait()


class Receipt(Promise[Outcome[S]], Generic[S]):
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
    def outcome(self) -> Outcome[S] | None:
        """The outcome, or None while it is pending."""
        return self.value

    @property
    def runtime(self) -> str:
        """The id of the runtime it was sent to."""
        entry, outcome = self._entry, self.value
        return str(entry.id) if outcome is None else outcome.runtime

    def __await__(self) -> Generator[Any, None, Outcome[S]]:
        entry = self._entry
        if entry is not None:
            if CURRENT.get() is None:
                entry.run_inline(self)
                if self.value is None:
                    return (yield from self._wait_for_outcome())
            else:
                with entry.register_wait():
                    entry.run_inline(self)
                    if self.value is None:
                        yield from self.wait().__await__()
        outcome = self.value
        # Most often there is no error: then not through another call.
        return outcome if outcome is not None and outcome.error is None else self._open()

    def _wait_for_outcome(self) -> Generator[Any, None, Outcome[S]]:
        """The rest of `__await__`, where the activity could not be run at once."""
        yield from self.wait().__await__()
        return self._open()

    def add_stored_callback(self, call: Callable[[AgentError | None], object]) -> None:
        """Call `call(error)` on the agents' thread once its activity is stored, or never will be; at once if it is."""
        call(None)

    async def stored(self) -> None:
        """Wait until the activity is stored in the journal; at once where there is none. Any loop.

        Raises:
            JournalError: It never will be: the activity that sent it has failed, or the journal was closed before.
        """

    def result(self, timeout: float | None = None) -> Outcome[S]:
        """Block the thread until it is decided.

        Args:
            timeout: Real seconds to wait at most; None waits for ever.

        Returns:
            The outcome of the activity.

        Raises:
            TimeoutError: It is not decided in time; it still may be.
            AgentError: The tagged error of the activity.
            DeadlockError: Called on the agents' own thread, which would wait for itself.
            ConfigurationError: `timeout` is no duration.
        """
        self.block(timeout, "await receipt")
        return self._open()

    def __deepcopy__(self, memo: Any) -> Receipt[S]:
        return self  # it stands for one activity: a copy would never be decided

    def _open(self) -> Outcome[S]:
        outcome = self.value
        assert outcome is not None
        if outcome.error is not None:
            raise outcome.error.copy()
        return outcome

    def __repr__(self) -> str:
        fate = "pending" if self.value is None else self.value.kind
        return f"<Receipt {self.id} at {self.runtime!r}: {fate}>"


# As `UntrackedActivity`: for a runtime whose payloads and states hold no other objects, and so no receipts.
class UntrackedReceipt(Receipt, gc=False):
    """A receipt that the garbage collector does not see."""


# What an activity holds in place of its receipt once it has a fate. The collector does not see every activity: with the
# link kept, an activity found from its own outcome (in a state, in the frames of a traceback) would never be freed.
DECIDED: Any = Receipt(None)
DECIDED.value = DECIDED


def decide_receipt(activity: Any, outcome: Outcome) -> None:
    """Decide an activity's receipt, and cut the link from the one to the other. Doing it twice changes nothing."""
    receipt: Receipt = activity.receipt
    if receipt is not DECIDED:
        receipt._decide(outcome)
        clear_field(activity, "receipt", DECIDED)


clear_field = msgspec.structs.force_setattr
