"""What a manager keeps of the past of its runtimes besides the ring: bounded in bytes, all runtimes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..events import record_parts
from ..receipt import Receipt
from ..schema.bounded import WeighedDict
from .entry_state import EntryState

__all__ = ["LastErrors", "Readings", "RememberedKeys"]

Entry = EntryState[Any, Any]
MOST = 1_000_000


class Readings:
    """What the clock gave to activities that asked, for a replay. Of the last 20,000 of them."""

    MOST = 20_000

    def __init__(self) -> None:
        self._found: dict[int, list[float]] = {}

    def of(self, activity: int) -> list[float]:
        """The readings of an activity, to add to."""
        found = self._found.setdefault(activity, [])
        while len(self._found) > self.MOST:
            self._found.pop(next(iter(self._found)), None)
        return found

    def find(self, activity: int) -> list[float]:
        """The readings of an activity; empty if there are none, or none any more."""
        return self._found.get(activity, [])


class LastErrors(WeighedDict[int, Entry]):
    """The runtimes that have a last error, newest first to stay. Of the others' errors only the words are kept.

    The traceback of an error keeps the variables of its frames alive.
    """

    def __init__(self) -> None:
        super().__init__(MOST, held=lambda entry: [entry.error])

    def add(self, entry: Entry) -> None:
        """This runtime has another last error. The loop's thread."""
        self[id(entry)] = entry

    def remove(self, entry: Entry) -> None:
        """This runtime has left."""
        self.pop(id(entry), None)

    def release(self, key: int, entry: Entry) -> None:
        """Let go of the frames of its error."""
        entry.drop_traceback()


class RememberedKeys(WeighedDict[tuple[int, str], tuple[Entry, Receipt]]):
    """The receipts that are remembered by key, of all runtimes: each keeps the outcome of its activity alive.

    A runtime looks a key up in its own `keys`; here is what all of them keep alive together.
    """

    def __init__(self) -> None:
        super().__init__(MOST, held=_parts_of_outcome)

    def add(self, entry: Entry, key: str, receipt: Receipt) -> None:
        """A runtime remembers one more. The lock is held."""
        self[id(entry), key] = (entry, receipt)

    def remove(self, entry: Entry, key: str) -> None:
        """A runtime has forgotten one. The lock is held."""
        self.pop((id(entry), key), None)

    def release(self, key: tuple[int, str], value: tuple[Entry, Receipt]) -> None:
        """Have its runtime forget it."""
        value[0].forget_key(key[1])


def _parts_of_outcome(value: tuple[Entry, Receipt]) -> Sequence[Any]:
    outcome = value[1].value
    return () if outcome is None else record_parts(outcome)
