"""Large states are stored by their fields: only those that have changed are written again.

A field is known by the digest of its bytes, so it makes no difference whether the state was replaced or changed in
place.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from ..errors import JournalError
from ..schema.record_types import is_record_type
from .codec import Codec
from .records import make_record, record_values
from .stored_types import find_class, find_registration, name_of

__all__ = ["StateWriter", "digest", "join_state"]

SPLIT_AT = 4096  # bytes of a state that is stored by its fields
MAPPING = ""  # what the fields of a dict are fields of
Fields = tuple[str, dict[bytes, bytes], list[bytes], bool]  # the values of a FieldsRow
Digests = dict[bytes, bytes]


def digest(data: bytes) -> bytes:
    """What tells one content from another."""
    return blake2b(data, digest_size=16).digest()


class StateWriter:
    """Makes bytes of states, or of the fields that differ from the state before."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._known: dict[str, tuple[str, Digests]] = {}  # by runtime, those that are stored by their fields
        self._before: dict[str, tuple[str, Digests] | None] = {}

    def begin(self) -> None:
        """What is remembered from now on can be rolled back."""
        self._before = {}

    def roll_back(self) -> None:
        """Forget what was remembered since `begin`."""
        for runtime, known in self._before.items():
            self.learn(runtime, known)

    def learn(self, runtime: str, known: tuple[str, Digests] | None) -> None:
        """What is stored of a runtime: its head and the digests of its fields, in their order; None for a whole."""
        if known is None:
            self._known.pop(runtime, None)
        else:
            self._known[runtime] = known

    def forget(self, runtime: str) -> None:
        """The next state is written whole."""
        self._remember(runtime, None)

    def _remember(self, runtime: str, known: tuple[str, Digests] | None) -> None:
        self._before.setdefault(runtime, self._known.get(runtime))
        self.learn(runtime, known)

    def write(self, runtime: str, state: Any) -> bytes | Fields | None:
        """The state as bytes, or its changed fields; None if nothing has changed."""
        known = self._known.get(runtime)
        if known is None:
            data = self._codec.encode(state, "the state")
            if len(data) < SPLIT_AT:
                return data
        taken = take_apart(state)
        if taken is None:
            self._remember(runtime, None)
            return data if known is None else self._codec.encode(state, "the state")
        head, values = taken[0], self._encode_fields(*taken)
        digests = {name: digest(value) for name, value in values.items()}
        if sum(map(len, values.values())) < SPLIT_AT // 2:
            self._remember(runtime, None)
            return self._codec.encode(state, "the state")
        self._remember(runtime, (head, digests))
        if known is None or known[0] != head or not is_continued(list(known[1]), list(digests)):
            return head, values, [], True
        changed = {name: value for name, value in values.items() if known[1].get(name) != digests[name]}
        gone = [name for name in known[1] if name not in digests]
        return (head, changed, gone, False) if changed or gone else None

    def _encode_fields(self, head: str, names: list[Any], values: list[Any]) -> dict[bytes, bytes]:
        step = "[{!r}]" if head == MAPPING else ".{}"
        return {
            self._codec.encode(name, "a key of the state"): self._codec.encode(value, "the state" + step.format(name))
            for name, value in zip(names, values, strict=True)
        }


def is_continued(old: list[bytes], new: list[bytes]) -> bool:
    """Whether the order of the new names is that of the old ones without some, with others at the end."""
    there = set(new)
    stay = [name for name in old if name in there]
    return new[: len(stay)] == stay


def take_apart(state: Any) -> tuple[str, list[Any], list[Any]] | None:
    """What a state is, the names and the values of its fields; None for what has none."""
    kind = type(state)
    if kind is dict:
        return (MAPPING, list(state), list(state.values())) if len(state) > 1 else None
    registration = find_registration(kind)
    if not is_record_type(kind) or (registration is not None and registration.encode is not None):
        return None
    try:
        names, values = record_values(state)
    except (ValueError, AttributeError, TypeError):  # it is refused as a whole, or has no fields
        return None
    head = name_of(kind)
    return None if head is None or len(names) < 2 else (head, list(names), list(values))


def join_state(codec: Codec, head: str, fields: dict[bytes, bytes], plain: bool = False) -> Any:
    """The state of its fields."""
    decode = codec.decode_plain if plain else codec.decode
    names = [codec.decode(name) for name in fields]
    step = "[{!r}]" if head == MAPPING else ".{}"
    values = [decode(data, "the state" + step.format(name)) for name, data in zip(names, fields.values(), strict=True)]
    if head == MAPPING or plain:
        return dict(zip(names, values, strict=True))
    try:
        return make_record(find_class(head, codec.modules), names, values)
    except JournalError as error:
        raise JournalError(f"the state: {error}") from None
