"""Activities: what a runtime is asked to do. Immutable, made at the door and nowhere else."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypedDict

import msgspec

from .schema.preview import preview
from .typevars import P

__all__ = ["Activity", "Lane", "SendNowaitOptions", "SendOptions"]


class Lane(StrEnum):
    """The two lanes of a mailbox. Urgent activities overtake the rest.

    >>> Lane("priority") is Lane.PRIORITY
    True
    """

    PRIORITY = "priority"
    STANDARD = "standard"


# gc=False: an activity costs a third to make and the collector never walks a long lane. The price: a payload that holds
# a reference to its own activity is never collected. Receipts hold none, so keeping a receipt in a payload is fine.
class Activity(msgspec.Struct, Generic[P], frozen=True, gc=False):
    """One thing to do, addressed to one runtime. It is itself the record of having been accepted.

    `id` is its place in the manager's one sequence. `created` and `not_before` are seconds on the manager's clock,
    `timeout` is seconds. `source` is the runtime that sent it (None: from outside), `parent` the activity in whose
    course it was sent, `correlation` the first activity of that chain (its own id at the head).

    A workflow says what it takes by annotating its first parameter, `activity: Activity[Flight]`.
    A subclass is a custom type of activity: sent as `runtime.send_nowait(Alert(payload="fire", severity=3))` it arrives
    as an `Alert` with its extra fields.

    >>> class Alert(Activity[str], frozen=True, kw_only=True):
    ...     severity: int
    >>> Alert(payload="fire", severity=3).severity
    3
    """

    id: int = 0
    runtime: str = ""
    payload: P = None  # type: ignore[assignment]
    lane: Lane = Lane.STANDARD
    created: float = 0.0
    timeout: float | None = None
    not_before: float | None = None
    source: str | None = None
    parent: int | None = None
    correlation: int | None = None
    key: str | None = None
    receipt: Any = None  # the Receipt its sender holds; not part of what it says

    @property
    def sequence(self) -> int:
        """The id: an activity is numbered when it is accepted."""
        return self.id

    @property
    def kind(self) -> str:
        """The kind of record this is among the events: accepted."""
        return "accepted"

    @property
    def at(self) -> float:
        """When it was accepted: seconds on the manager's clock."""
        return self.created

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} to {self.runtime!r} {self.lane.value} {preview(self.payload, 80)}>"


class SendNowaitOptions(TypedDict, total=False):
    """The keyword options of `Runtime.send_nowait`. Times are seconds on the manager's clock."""

    priority: bool
    timeout: float | None
    delay: float | None
    key: str | None


class SendOptions(SendNowaitOptions, total=False):
    """The keyword options of `Runtime.send` and `Runtime.ask`: `wait` is real seconds."""

    wait: float | None
