"""The durable half of a world: a journal whose writes become durable in steps of their own, and its runtimes."""

from __future__ import annotations

from operator import call
from typing import Any

from ...engine.durable_entry import DurableEntry
from ...engine.durable_receipt import DurableReceipt
from ...journal.indexed import Append
from ...journal.memory import MemoryJournal, MemoryLog
from .entries import ExploredNotes, ReceiptNotes

__all__ = ["ExploredDurableEntry", "ExploredJournal", "wait_for_flush"]


class ExploredJournal(MemoryJournal):
    """A journal in memory that holds back what is appended until it is flushed, as a disk does."""

    def __init__(self, run: Any, log: MemoryLog | None = None) -> None:
        super().__init__(log)
        self._run = run
        self._held_back: list[Append] = []

    def _submit(self, append: Append) -> None:
        self._held_back.append(append)
        if append.rows:
            self._run.append_to_journal()
        if not append.more:
            self._run.loop.call_soon(any, map(call, (self.flush,)))

    def flush(self, here: bool = False) -> bool:
        """Make durable what was appended."""
        appends, self._held_back = self._held_back, []
        for append in appends:
            super()._submit(append)
        return False


class ExploredDurableReceipt(ReceiptNotes, DurableReceipt):
    """A receipt of a durable activity, which notes who waits for it and who opens it."""

    current_run: Any = None


class ExploredDurableEntry(ExploredNotes, DurableEntry[Any, Any]):
    """A durable entry whose steps are noted."""

    def new_receipt(self, number: int) -> DurableReceipt:
        """A receipt that notes who opens it."""
        receipt = ExploredDurableReceipt(self, None, None, number)
        receipt.current_run = self.current_run
        return receipt


def wait_for_flush(storage: Any) -> None:
    """Have no sender store in its own step what it has appended: that is a step of the journal's own."""
    storage.flush_if_alone = _nothing_to_do


def _nothing_to_do() -> None:
    """It is stored later."""
