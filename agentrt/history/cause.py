"""What changed this? From a field of a state to the activity that last wrote it, and on to its cause."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError
from ..events import Outcome, Record
from ..journal.protocol import Unreadable
from ..schema.difference import NOTHING, has_changed
from ..schema.preview import preview
from .chronicle import Chronicle
from .track import Track

__all__ = ["Write", "find_write", "read_field", "trace_back"]

PART = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
LONGEST_CHAIN = 100
sequence_of = attrgetter("sequence")


class Write(msgspec.Struct, frozen=True):
    """What last wrote a field of a state.

    Args:
        runtime: The id of the runtime.
        field: The path of the field; empty for all of the state.
        before: Its value before; `NOTHING` if it was not there.
        after: Its value since then; `NOTHING` if it is gone.
        record: What wrote it: the `Outcome` of an activity, or an `Event`, such as "restarted" or "state_edited".
        activity: The activity, if one wrote it and its record is kept.
        chain: The activities that led to it, the first cause first; the last one is `activity`.
    """

    runtime: str
    field: str
    before: Any
    after: Any
    record: Record
    activity: Activity[Any] | None = None
    chain: tuple[Activity[Any], ...] = ()

    @property
    def sequence(self) -> int:
        """The sequence number of `record`: `manager.at(write.sequence)` is the moment after it."""
        return self.record.sequence

    def __repr__(self) -> str:
        what = repr(self.activity) if self.activity is not None else f"{self.record.kind} {self.record.sequence}"
        came = " from " + " from ".join(repr(each) for each in reversed(self.chain[:-1])) if self.chain[:-1] else ""
        field = self.field or "all of it"
        return f"<Write {field}: {_show(self.before)} became {_show(self.after)} by {what}{came}>"


def _show(value: Any) -> str:
    return "nothing" if value is NOTHING else preview(value, 60)


def find_write(chronicle: Chronicle, id: str, field: str, sequence: int) -> Write | None:
    """What last wrote a field of a runtime's state, up to a sequence number; None if nothing that is kept did.

    Raises:
        ConfigurationError: That is no path of a field.
    """
    track = chronicle.tracks.get(id)
    if track is None:
        return None
    path = parse_field(field)
    changes = track.changes[: bisect_right(track.changes, sequence, key=sequence_of)]
    for place in range(len(changes) - 1, -1, -1):
        record = changes[place]
        after = read_field(track.state_after(record), path)
        state = None if record.kind == "created" else _state_before(track, changes, place)
        if isinstance(state, Unreadable):  # from before the records that are kept: it may have been there already
            return None
        before = NOTHING if record.kind == "created" else read_field(state, path)
        if after is not before and has_changed(before, after):
            chain = trace_back(chronicle, record)
            activity = chain[-1] if chain else None
            return Write(id, field, before, after, record, activity, chain)
    return None


def _state_before(track: Track, changes: list[Record], place: int) -> Any:
    return track.state_after(changes[place - 1]) if place else track.base.state


def trace_back(chronicle: Chronicle, record: Record) -> tuple[Activity[Any], ...]:
    """The activities that led to a record, the first one first, as far as they are kept."""
    id = record.id if isinstance(record, Outcome) else None
    found: list[Activity[Any]] = []
    while id is not None and len(found) < LONGEST_CHAIN:
        activity = chronicle.activity(id)
        if activity is None:
            break
        found.append(activity)
        id = activity.parent
    return tuple(reversed(found))


class PathPart(str):
    """A part of a path. `text` is how it is written after another one: `.name` or `[0]`."""

    text: str


def _make_part(name: str, index: str) -> PathPart:
    part = PathPart(name or index)
    part.text = f".{name}" if name else f"[{index}]"
    return part


def parse_field(field: str) -> tuple[PathPart, ...]:
    """The parts of a path such as `carriers[0].delay`.

    >>> parse_field("carriers[0].delay")
    ('carriers', '0', 'delay')
    """
    parts = tuple(_make_part(name, index) for name, index in PART.findall(field))
    if "".join(part.text for part in parts).lstrip(".") != field.lstrip("."):
        raise ConfigurationError(f"{preview(field, 80)} is no path of a field; write it as carriers[0].delay")
    return parts


def read_field(state: Any, path: Sequence[PathPart]) -> Any:
    """The part of a state at a path; `NOTHING` if there is none.

    >>> read_field({"a": [1, 2], "b.c": 3}, parse_field("a[1]")), read_field({"b.c": 3}, parse_field("b.c"))
    (2, 3)
    """
    value, left = state, path
    while left and value is not NOTHING:
        value, used = _read_longest_key(value, left)
        left = left[used:]
    return value


def _read_longest_key(value: Any, parts: Sequence[PathPart]) -> tuple[Any, int]:
    """What the first parts of a path lead to, and how many they are: a key may have dots and brackets itself."""
    key: str = parts[0]
    found = _read_part(value, key)
    if found is NOTHING and isinstance(value, Mapping):
        for used, part in enumerate(parts[1:], 2):
            key += part.text
            found = _read_part(value, key)
            if found is not NOTHING:
                return found, used
    return found, 1


def _read_part(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part, next((each for key, each in value.items() if str(key) == part), NOTHING))
    if part.lstrip("-").isdecimal() and hasattr(value, "__getitem__"):
        try:
            return value[int(part)]
        except (LookupError, TypeError):
            return NOTHING
    try:
        return getattr(value, part, NOTHING)
    except Exception:  # a property is user code
        return NOTHING
