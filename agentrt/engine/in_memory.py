"""What is stored of a runtime in memory: nothing. `DurableEntry` overrides all of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..activity import Activity
from ..events import Outcome
from ..receipt import Promise, Receipt, decide_receipt
from .protocols import Host

__all__ = ["InMemory"]


class InMemory:
    """The places at which a durable runtime writes to its journal."""

    __slots__ = ()

    id: str
    host: Host
    resumed = False  # whether it goes on from a journal
    decides_later = False  # whether a receipt is decided some time after its activity was run
    group_failures: Mapping[str, Iterable[float]] = {}  # of its groups, as they were stored with it
    effects: Any = None  # what its activities have done outside, see `Effects`

    def new_receipt(self, number: int) -> Receipt:
        """The receipt of a new activity."""
        return Receipt(self, None, None, number)

    def register(self, activity: Activity[Any], key_until: float | None) -> bool:
        """Note an activity that is accepted; whether it may be delivered now. The lock is held."""
        return True

    async def store_result(self, activity: Activity[Any], new: Any, reply: Any) -> None:
        """Note what an activity has come to, before that is made the state."""

    def finish_result(self, activity: Activity[Any], started: float, attempts: int) -> bool:
        """Commit what was noted before an exception came from outside; whether anything was."""
        return False

    def store_pause(self) -> None:
        """Note whether it is paused. The lock is held."""

    def dead_letter(self, activity: Activity[Any], reason: str) -> None:
        """Put what will not be processed with the dead letters. The lock is held."""
        self.host.dead_letter(activity, reason)

    def explain_end(self, activity: Activity[Any]) -> str:
        """Why an activity will not be processed."""
        return f"{self.id!r} was terminated before activity {activity.id} was done"

    def decide(self, activity: Activity[Any], outcome: Outcome) -> None:
        """Decide the receipt of an activity. Doing it twice changes nothing."""
        decide_receipt(activity, outcome)

    def decide_end(self, ended: Promise[bool]) -> None:
        """Tell who waits for its end. Doing it twice changes nothing."""
        ended._decide(True)

    def count_attempts(self, activity: Activity[Any]) -> int:
        """How often an activity was tried before."""
        return 0

    def store_retry(self, activity: Activity[Any], not_before: float) -> None:
        """Note that an activity has failed and is tried again."""

    def store_supervision(self) -> None:
        """Note what the supervisor has counted. The lock is held."""

    def note_due(self, activity: Activity[Any]) -> None:
        """Note that a delayed activity has joined its lane, at the end of it. The lock is held."""

    def store_again(self, activity: Activity[Any]) -> None:
        """Note that a waiting activity was changed or moved. The lock is held."""
