"""Activities: what a runtime is asked to do. Immutable, and made where they are accepted."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from types import UnionType
from typing import Any, ClassVar, Generic, TypedDict

import msgspec

from .frames import class_name
from .schema.preview import preview
from .typevars import P

__all__ = [
    "Activity", "Lane", "SendNowaitOptions", "SendOptions", "UntrackedActivity", "may_hold_others", "replace_payload",
    "was_delayed",
]  # fmt: skip

SEEN_BY_COLLECTOR = 1 << 14  # Py_TPFLAGS_HAVE_GC
PLAIN = {each.__name__: each for each in (int, float, complex, bool, str, bytes)} | {"None": type(None)}


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
        return f"<{class_name(type(self))} {self.id} to {self.runtime!r} {self.lane.value} {preview(self.payload, 80)}>"


# The garbage collector does not see these. One that it sees, in a ring or a long lane, costs it a third of what all
# else about an activity does. A payload that holds other objects may come to hold its own activity, a frozen one in a
# list of its. Such a payload would never be freed if the collector did not see its activity.
class UntrackedActivity(Activity[P], Generic[P], frozen=True, gc=False):
    """An activity whose payload holds no other objects: a number, a text, a frozen record of such."""

    SHOWN_AS: ClassVar[str] = "Activity"  # where a stranger reads the name of its class


def may_hold_others(kind: type) -> bool:
    """Whether an object of this class may come to hold others, its own activity for one, as far as its types say."""
    if not kind.__flags__ & SEEN_BY_COLLECTOR:
        return False
    fields = _field_hints(kind)
    return fields is None or not all(map(_is_plain, fields))


def _field_hints(kind: Any) -> list[Any] | None:
    """The annotations of a frozen dataclass or Struct; None of any other class."""
    parameters = vars(kind).get("__dataclass_params__")  # of its own: a subclass without it takes any attribute
    if parameters is not None and parameters.frozen:
        return [field.type for field in dataclasses.fields(kind)]
    if issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen:
        hints = {name: hint for each in reversed(kind.__mro__) for name, hint in _own_annotations(each).items()}
        return [hints.get(name) for name in kind.__struct_fields__]
    return None


def _own_annotations(kind: type) -> dict[str, Any]:
    return dict(vars(kind).get("__annotations__", {}))


def _is_plain(hint: Any) -> bool:
    """Whether an annotation is that of numbers and texts. One that is a text is compared, as it is nobody's to run."""
    if type(hint) is str:
        return all(part.strip() in PLAIN for part in hint.split("|"))
    if type(hint) is UnionType:
        return all(map(_is_plain, hint.__args__))
    return hint is None or any(hint is each for each in PLAIN.values())


def was_delayed(activity: Activity[Any]) -> bool:
    """Whether it was accepted before it was due: then it is in no lane until it is recorded as due, however late."""
    return activity.not_before is not None and activity.not_before > activity.created


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
