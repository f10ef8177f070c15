"""Values as the bounded tree that a view draws, to be sent to another process: plain data, never a pickle.

`outline` makes of any value what msgpack has: numbers and texts as they are, everything else as an array that begins
with a letter for its form. `restore` makes values of it again: lists, tuples, dicts and sets that are complete as such,
all others as `Outline`. So the reader needs none of the classes, and runs no code of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import msgspec

from .parts import Outline, brackets_of, len_of, parts_of
from .preview import preview

__all__ = ["OF_STATE", "UNSET_FORM", "Bounds", "clean", "outline", "restore"]

LOWEST, HIGHEST = -(2**63), 2**63 - 1
UNSET_FORM: list[Any] = []  # of msgspec.UNSET
DEEPEST_FORM = 64  # of what comes from anybody
PLAIN: dict[type, str] = {list: "l", tuple: "t", dict: "d", set: "s", frozenset: "f"}
MAKERS: dict[str, Any] = {"l": list, "t": tuple, "s": set, "f": frozenset}
OPENING = {"l": ("[", "]"), "t": ("(", ")"), "s": ("{", "}"), "f": ("{", "}"), "d": ("{:", "}")}


class Bounds(msgspec.Struct, frozen=True):
    """How much of a value is sent: parts in all, parts of one value, values inside of each other, characters."""

    most: int = 400
    widest: int = 50
    deepest: int = 8
    longest: int = 2_000


OF_STATE = Bounds()


def outline(value: Any, bounds: Bounds = OF_STATE) -> Any:
    """What is shown of a value, as data. It never raises.

    >>> outline((1, "a")), outline(3)
    (['t', '', 2, [1, 'a']], 3)
    """
    kind = type(value)
    if kind is int:
        return value if LOWEST <= value <= HIGHEST else _text_form(value, bounds)
    if value is None or kind is bool or kind is float:
        return value
    if kind is str and len(value) <= bounds.longest and value.isascii():
        return value
    if value is msgspec.UNSET:
        return UNSET_FORM
    return _Writer(bounds).form_of(value, 0)


class _Writer:
    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.left = bounds.most

    def form_of(self, value: Any, depth: int) -> Any:
        self.left -= 1
        kind = type(value)
        if value is None or kind is bool or kind is float or (kind is int and LOWEST <= value <= HIGHEST):
            return value
        try:
            return self._form(value, kind, depth)
        except Exception:  # its members may be user code, and another thread may change it
            return _text_form(value, self.bounds)

    def _form(self, value: Any, kind: type, depth: int) -> Any:
        if isinstance(value, str):
            return clean(str.__str__(value[: self.bounds.longest]))
        if kind is bytes:
            return value[: self.bounds.longest]
        if depth >= self.bounds.deepest or self.left <= 0:
            return _text_form(value, self.bounds)
        parts = parts_of(value, min(self.bounds.widest, max(1, self.left)))
        if parts is None:
            return _text_form(value, self.bounds)
        letter, name = _letter_of(value, kind), "" if kind in PLAIN else _name(value)
        inside: list[Any] = []
        for key, part in parts:
            if letter in "dr":
                inside.append(self.form_of(key, depth + 1) if letter == "d" else clean(str(key)))
            inside.append(self.form_of(part, depth + 1))
        return [letter, name, len_of(value), inside]


def _letter_of(value: Any, kind: type) -> str:
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(value, Mapping):
        return "d"
    if brackets_of(value)[0].endswith("("):
        return "t" if isinstance(value, tuple) and not hasattr(value, "_fields") else "r"
    return "l" if isinstance(value, list) else "s" if isinstance(value, Set) else "r"


def _name(value: Any) -> str:
    return clean(value.kind if isinstance(value, Outline) else type(value).__name__)[:200]


def _text_form(value: Any, bounds: Bounds) -> Any:
    if isinstance(value, Outline) and value.parts is None:
        return ["x", _name(value), clean(value.text[: bounds.longest])]
    return ["x", _name(value), clean(preview(value, min(bounds.longest, 400) + 1))]


def clean(text: str) -> str:
    """The text without what UTF-8 can't hold.

    >>> clean("a"), len(clean(chr(0xD800)))
    ('a', 6)
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(f"\\u{ord(char):04x}" if 0xD800 <= ord(char) < 0xE000 else char for char in text)
    return text


def restore(form: Any, depth: int = 0) -> Any:
    """Make a value of what `outline` has made.

    Args:
        form: From anybody; it may be anything that msgpack can hold.
        depth: How many values are around it.

    Raises:
        ValueError: It is nothing that `outline` makes.

    >>> restore(outline({"a": (1, 2.5)}))
    {'a': (1, 2.5)}
    """
    if form is None or isinstance(form, str | int | float | bytes):
        return form
    if depth > DEEPEST_FORM or not isinstance(form, list):
        raise ValueError(f"what came is no value: {type(form).__name__}")
    if not form:
        return msgspec.UNSET
    if len(form) == 3 and form[0] == "x" and isinstance(form[1], str) and isinstance(form[2], str):
        return Outline(form[1], form[2])
    if len(form) != 4 or not isinstance(form[1], str) or type(form[2]) is not int or not isinstance(form[3], list):
        raise ValueError("what came is no value")
    return _restore_parts(form[0], form[1], form[2], form[3], depth + 1)


def _restore_parts(letter: Any, name: str, size: int, inside: list[Any], depth: int) -> Any:
    if not isinstance(letter, str) or letter not in ("l", "t", "s", "f", "d", "r"):
        raise ValueError("what came is no value")
    values = [restore(each, depth) for each in inside]
    if letter in "dr":
        if len(values) % 2:
            raise ValueError("what came is no value: a key without a value")
        pairs = tuple(zip(values[::2], values[1::2], strict=True))
    else:
        pairs = tuple(enumerate(values))
    if not name and size == len(pairs) and letter != "r":
        try:
            return dict(pairs) if letter == "d" else MAKERS[letter](values)
        except TypeError:  # keys that Python can't have
            pass
    brackets = (f"{name}(", ")") if letter == "r" else OPENING[letter]
    kinds = {"l": "list", "t": "tuple", "s": "set", "f": "frozenset", "d": "dict", "r": "record"}
    return Outline(name or kinds[letter], "", pairs, max(size, len(pairs)), brackets)
