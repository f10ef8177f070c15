"""What is on its way to the disk: receipts that wait for it, and commits with what they send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from ..activity import Activity
from ..errors import AgentError, JournalError
from ..events import Outcome
from ..journal import UNCHANGED, Accepted
from ..receipt import Promise, Receipt
from .protocols import Host

__all__ = ["Commit", "DurableReceipt", "Held", "Recipient", "UntrackedDurableReceipt"]


class DurableReceipt(Receipt):
    """A receipt that also says when its activity is stored."""

    # None while nobody has stored it, False while it is on its way, then True, or why it never will be.
    _stored: bool | AgentError | None = None
    _acceptance: Promise[Any] | None = None  # made when somebody may wait for that

    def accept(self, error: JournalError | None) -> None:
        """Its activity is stored, or never will be. The loop's thread."""
        self._stored = error or True
        if self._acceptance is not None:
            self._acceptance._decide(self._stored)

    def expect(self, entry: Any) -> Promise[Any]:
        """The promise that its activity is stored."""
        with entry.host.lock:
            if self._acceptance is None:
                self._acceptance = Promise(entry)
        # Made first, looked at second: whoever stores it in between sees the promise, or is seen here.
        if self._stored:
            self._acceptance._decide(self._stored)
        return self._acceptance

    def add_stored_callback(self, call: Callable[[AgentError | None], object]) -> None:
        """Call `call(error)` once its activity is stored, or never will be. See `Receipt.add_stored_callback`."""
        if self._stored is False and self._entry is not None:
            self.expect(self._entry).add_callback(lambda: call(self._why_not()))
        else:
            call(self._why_not())

    def _why_not(self) -> AgentError | None:
        return self._stored if isinstance(self._stored, AgentError) else None

    async def stored(self) -> None:
        """Wait until the activity is stored. Any loop; see `Receipt.stored`."""
        self._release()
        if self._stored is False:
            acceptance = self._acceptance if self._entry is None else self.expect(self._entry)
            if acceptance is not None:
                await acceptance.wait()
        if isinstance(self._stored, AgentError):
            raise self._stored.copy()

    def result(self, timeout: float | None = None) -> Outcome[Any]:
        """Block the thread until it is decided, as `Receipt.result`."""
        self._release()
        return super().result(timeout)

    def _release(self) -> None:
        """A workflow that waits for what it has sent itself has it stored now, before its own commit."""
        if self._entry is not None:
            self._entry.run_inline(self)


# As `UntrackedReceipt`: for a runtime whose payloads and states hold no other objects, and so no receipts.
class UntrackedDurableReceipt(DurableReceipt, gc=False):
    """A receipt that the garbage collector does not see."""


class Recipient(Protocol):
    """What a workflow sends to, as its commit sees it: a runtime of the same journal, or one of another node."""

    id: str
    host: Host
    state: Any

    def put_last(self, activity: Activity[Any], accepted: Accepted) -> Accepted:
        """What is stored of it with the commit."""

    def receive(self, activity: Activity[Any], again: bool) -> None:
        """Its commit was handed to the journal. `again`: this may have been done before. The lock is held."""

    def accept_now(self, held: Held) -> None:
        """Store and deliver it before the commit: its sender waits for it."""

    def forget_key(self, key: str) -> None:
        """What was sent with this key was never accepted."""


class Held(NamedTuple):
    """What a workflow has sent, until it is committed."""

    entry: Recipient
    activity: Activity[Any]
    accepted: Accepted


class Commit(msgspec.Struct):
    """One commit on its way to the disk. Its receipt is decided when it is stored and the outcome is there.

    Attributes:
        new: The state.
        reply: The reply.
        sent: What the activity has sent and is not delivered yet.
        accepted: The receipts of all that it has sent.
        is_delivering: Whether the first of `sent` may be delivered already.
    """

    new: Any = UNCHANGED
    reply: Any = UNCHANGED
    sent: list[Held] = []
    accepted: tuple[DurableReceipt, ...] = ()
    is_delivering: bool = False
    is_stored: bool = False
    receipt: Receipt | None = None
    outcome: Any = None
    error: JournalError | None = None

    def note(self, error: JournalError | None) -> None:
        """It is stored, or with an error: it never will be. The loop's thread."""
        self.is_stored, self.error = True, error
        for receipt in self.accepted:
            receipt.accept(error)
        self._finish()

    def settle(self, receipt: Receipt, outcome: Outcome) -> None:
        """This is what is to be said once it is stored."""
        self.receipt, self.outcome = receipt, outcome
        self._finish()

    def _finish(self) -> None:
        if self.is_stored and self.receipt is not None:
            outcome = self.outcome
            # Who waits hears of it, whatever came of the activity: the next manager processes it again.
            self.receipt._decide(outcome if self.error is None else msgspec.structs.replace(outcome, error=self.error))
