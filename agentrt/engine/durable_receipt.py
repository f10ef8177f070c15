"""What is on its way to the disk: receipts that wait for it, and commits with what they send."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ..activity import Activity
from ..errors import AgentError, JournalError
from ..events import Outcome
from ..journal import UNCHANGED, Accepted
from ..receipt import Promise, Receipt

__all__ = ["Commit", "DurableReceipt", "Held", "settle_acceptance"]


class DurableReceipt(Receipt):
    """A receipt that also says when its activity is stored."""

    _acceptance: Promise[Any] | None = None  # decided with True, or with the error for which it never will be

    async def stored(self) -> None:
        """Wait until the activity is stored. Any loop; see `Receipt.stored`."""
        self._release()
        if self._acceptance is not None:
            await self._acceptance.wait()
            if isinstance(self._acceptance.value, AgentError):
                raise self._acceptance.value.copy()

    def result(self, timeout: float | None = None) -> Outcome[Any]:
        """Block the thread until it is decided, as `Receipt.result`."""
        self._release()
        return super().result(timeout)

    def _release(self) -> None:
        """A workflow that waits for what it has sent itself has it stored now, before its own commit."""
        if self._entry is not None:
            self._entry.run_inline(self)


class Held(NamedTuple):
    """What a workflow has sent, until it is committed."""

    entry: Any  # the DurableEntry that it is sent to
    activity: Activity[Any]
    accepted: Accepted


class Commit:
    """One commit on its way to the disk. Its receipt is decided when it is stored and the outcome is there."""

    def __init__(self, new: Any = UNCHANGED, reply: Any = UNCHANGED, sent: tuple[Held, ...] = ()) -> None:
        self.new, self.reply, self.sent = new, reply, sent
        self.is_stored = False
        self.receipt: Receipt | None = None
        self.outcome: Any = None
        self.error: JournalError | None = None

    def note(self, error: JournalError | None) -> None:
        """It is stored, or with an error: it never will be. The loop's thread."""
        self.is_stored, self.error = True, error
        for held in self.sent:
            settle_acceptance(held.activity.receipt, error)
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


def settle_acceptance(receipt: Any, error: JournalError | None) -> None:
    """Say that an activity is stored, or why it never will be."""
    promise = getattr(receipt, "_acceptance", None)
    if promise is not None:
        promise._decide(True if error is None else error)
