"""Activities: what a runtime is asked to do. Immutable, and made where they are accepted."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypedDict

import msgspec

from .schema.preview import preview
from .typevars import P

__all__ = [
    "Activity", "Lane", "SendNowaitOptions", "SendOptions", "UntrackedActivity", "is_seen_by_collector",
    "replace_payload",
]  # fmt: skip

SEEN_BY_COLLECTOR = 1 << 14  # Py_TPFLAGS_HAVE_GC


class Lane(StrEnum):
    """The two lanes of a mailbox. Activities of the priority lane overtake those of the standard lane.

    >>> Lane("priority") is Lane.PRIORITY
    True
    """

    PRIORITY = "priority"
    STANDARD = "standard"


class Activity(msgspec.Struct, Generic[P], frozen=True):
    """One thing to do, addressed to one runtime. It is itself the record of having been accepted.

    `id` is its place in the manager's one sequence. `created` and `not_before` are seconds on the manager's clock,
    `timeout` is seconds. `source` is the runtime that sent it (None: from outside), `parent` the activity
    whose workflow sent it, `correlation` the first activity of that chain (its own id if it is the first).

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
        name = "Activity" if isinstance(self, UntrackedActivity) else type(self).__name__
        return f"<{name} {self.id} to {self.runtime!r} {self.lane.value} {preview(self.payload, 80)}>"


# The garbage collector does not see these. One that it sees, in a ring or a long lane, costs it a third of what all
# else about an activity does. A payload that it sees may come to hold its own activity, whatever its class says: a
# frozen record may have a list. Such a payload would never be freed if the collector did not see its activity.
class UntrackedActivity(Activity[P], Generic[P], frozen=True, gc=False):
    """An activity whose payload holds no other objects: a number, a text."""


def is_seen_by_collector(kind: type) -> bool:
    """Whether the garbage collector looks into objects of this class: whether they may be part of a cycle."""
    return bool(kind.__flags__ & SEEN_BY_COLLECTOR)


def replace_payload(activity: Activity[Any], payload: Any) -> Activity[Any]:
    """The same activity with another payload."""
    if isinstance(activity, UntrackedActivity):
        activity = Activity(*msgspec.structs.astuple(activity))
    return msgspec.structs.replace(activity, payload=payload)


class SendNowaitOptions(TypedDict, total=False):
    """The keyword options of `Runtime.send_nowait`. Times are seconds on the manager's clock."""

    priority: bool
    timeout: float | None
    delay: float | None
    key: str | None


class SendOptions(SendNowaitOptions, total=False):
    """The keyword options of `Runtime.send` and `Runtime.ask`: `wait` is real seconds."""

    wait: float | None
