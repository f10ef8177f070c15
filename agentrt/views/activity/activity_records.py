"""A causal trace as plain records: one activity, its relatives and the states around it; and what it is read from."""

from __future__ import annotations

from typing import Any

import msgspec

from ...activity import Activity
from ...events import Event, Outcome
from ...snapshot import Snapshot

__all__ = ["PENDING", "RUNNING", "UNKNOWN", "CausalTrace", "Message"]

UNKNOWN: Any = msgspec.UNSET  # a state that is not recorded
PENDING, RUNNING = "pending", "processing"


class Message(msgspec.Struct, frozen=True):
    """One activity of a trace. `source` is None if it came from outside; times are seconds of the manager's clock."""

    id: int
    runtime: str
    source: str | None
    parent: int | None
    lane: str
    payload: Any
    created: float
    started: float | None
    finished: float | None
    fate: str
    reply: Any = UNKNOWN


class CausalTrace(msgspec.Struct, frozen=True):
    """What is recorded about one activity at one time.

    `message` is None if nothing is; `let_go` and `newest` then tell whether it has left the ring or does not exist yet.
    `before` and `after` are the states around it, UNSET where they are not recorded. `ancestors` start with the
    first cause, `descendants` with the nearest; `left_out` counts those not listed. `spans` are its steps, `notes` the
    other events about it, `around` the events of its runtime meanwhile. `place` is how many wait before it in its lane,
    `timeout` the deadline in seconds that its runtime sets for each activity now.
    """

    id: int
    at: float
    message: Message | None = None
    activity: Activity[Any] | None = None
    outcome: Outcome | None = None
    before: Any = UNKNOWN
    after: Any = UNKNOWN
    ancestors: tuple[Message, ...] = ()
    descendants: tuple[Message, ...] = ()
    left_out: int = 0
    lost_parent: int | None = None
    place: int | None = None
    spans: tuple[Event, ...] = ()
    notes: tuple[Event, ...] = ()
    around: tuple[Event, ...] = ()
    snapshot: Snapshot | None = None
    timeout: float | None = None
    let_go: int = 0
    newest: int = 0

    @property
    def running(self) -> bool:
        """Whether it is being processed."""
        return self.message is not None and self.message.fate == RUNNING

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.outcome is not None

    @property
    def correlation(self) -> int | None:
        """The first activity of its chain."""
        return None if self.activity is None else self.activity.correlation

    @property
    def wait(self) -> float | None:
        """Seconds it waited, so far if it still does."""
        if self.message is None:
            return None
        end = self.message.started if self.message.started is not None else self.message.finished
        return (self.at if end is None else end) - self.message.created

    @property
    def service(self) -> float | None:
        """Seconds it was processed, so far if it still is; None if it never was."""
        if self.message is None or self.message.started is None:
            return None
        return (self.at if self.message.finished is None else self.message.finished) - self.message.started
