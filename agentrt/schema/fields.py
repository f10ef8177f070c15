"""One field of a form: which control suits it, what it expects, and the value that a typed text stands for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec

from .annotations import UNIONS, base_of, describe, metadata_of, split_optional
from .choices import Choice, choices_of, is_same_choice
from .constraints import constraints_of, describe_constraints
from .convert import FormError, convert, load_json, to_builtins, to_json
from .records import MISSING, RecordMember
from .samples import example

__all__ = ["Field", "Kind", "field_of"]

Kind = Literal["int", "float", "text", "bool", "choice", "json", "date", "datetime"]

KINDS: dict[Any, Kind] = {int: "int", float: "float", str: "text", dt.date: "date", dt.datetime: "datetime"}
NOUNS: dict[Any, str] = {
    str: "text",
    dt.date: "a date like 2013-07-22",
    dt.datetime: "a date and time like 2013-07-22T10:30:00",
    dt.time: "a time like 10:30:00",
    dt.timedelta: "a duration like PT1M30S",
    bytes: "bytes in base64",
    Decimal: "a decimal number",
    UUID: "a UUID",
}
READERS: dict[Kind, Callable[[str], Any]] = {
    "int": lambda text: msgspec.convert(text, int, strict=False),
    "float": lambda text: msgspec.convert(text, float, strict=False),
    "date": dt.date.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
}


class Field(msgspec.Struct, frozen=True):
    """One field of a form.

    Args:
        name: Its name in the record.
        annotation: The type that its value must have in the end.
        kind: The control that suits it.
        label: What a person reads beside the control.
        doc: What it means, in a sentence; may be empty.
        default: The value where nothing was typed; MISSING where there is none.
        required: Whether the payload can't be made without it.
        optional: Whether None is a value.
        choices: The values to choose from, of a field of kind "choice".
        constraints: Bounds by name, such as `{"ge": 0}`.
        key: Its name in JSON.
    """

    name: str
    annotation: Any = Any
    kind: Kind = "json"
    label: str = ""
    doc: str = ""
    default: Any = MISSING
    required: bool = True
    optional: bool = False
    choices: tuple[Choice, ...] = ()
    constraints: dict[str, Any] = {}
    key: str = ""

    @property
    def expects(self) -> str:
        """What may be typed here, in words.

        >>> Field("n", int, "int", constraints={"ge": 0}).expects
        'int >= 0'
        """
        if self.kind == "choice":
            return "one of " + ", ".join(choice.label for choice in self.choices)
        inner, _ = split_optional(self.annotation)
        words = f"{_noun(inner)} {describe_constraints(self.constraints)}".strip()
        return f"{words} or nothing" if self.optional else words

    @property
    def initial(self) -> Any:
        """What a control starts with: a bool, the value of one of the choices, or a text."""
        value = None if self.default is MISSING else self.default
        if self.kind == "bool":
            return bool(value)
        if self.kind == "choice":
            return value if any(is_same_choice(value, each.value) for each in self.choices) else self.choices[0].value
        if value is None and (self.optional or self.kind != "json" or base_of(self.annotation) in (Any, object)):
            return ""
        if self.kind == "json":
            return example(self.annotation) if self.default is MISSING else to_json(self.default)
        return value if isinstance(value, str) else str(to_builtins(value))

    def read(self, raw: Any) -> Any:
        """The value of a control as plain data, which `convert` then makes a value of the field's type.

        Args:
            raw: A typed text, or the value that a control such as a switch has.

        Returns:
            Plain data; MISSING where nothing was typed.

        Raises:
            ValueError: The text can't be read; the message says what is expected.
        """
        if self.kind == "choice":
            return self._choose(raw)
        if not isinstance(raw, str):
            return raw
        if self.optional and not raw.strip():
            return None
        if base_of(self.annotation) is str:
            return raw
        return self._parse(raw.strip()) if raw.strip() else MISSING

    def convert(self, value: Any) -> Any:
        """Plain data as a value of the field's type.

        Raises:
            ValueError: It does not fit; the message is for a person.
        """
        if self.kind == "choice":
            return value
        if value is None and self.optional:
            return None
        try:
            return convert(value, self.annotation)
        except FormError as problem:
            raise ValueError(self._message(problem)) from None

    def _parse(self, text: str) -> Any:
        if self.kind == "json":
            return load_json(text)
        try:
            return READERS.get(self.kind, str)(text)
        except (ValueError, msgspec.ValidationError):  # a ValueError since msgspec 0.21
            raise ValueError(f"Expected {self.expects}") from None

    def _choose(self, raw: Any) -> Any:
        for choice in self.choices:
            if is_same_choice(raw, choice.value):
                return choice.value
        for choice in self.choices:
            if raw in (choice.label, getattr(choice.value, "value", MISSING)):
                return choice.value
        raise ValueError(f"Expected {self.expects}")

    def _message(self, problem: FormError) -> str:
        path, text = next(iter(problem.problems.items()))
        if self.kind != "json":
            return f"Expected {self.expects}"
        return f"{text} at {path}" if path else text


def field_of(member: RecordMember) -> Field:
    """The field that asks for one member of a record.

    >>> field_of(RecordMember("seat_row", int | None, 1, required=False)).label
    'seat row'
    """
    inner, optional = split_optional(member.annotation)
    metadata = [meta for each in (member.annotation, inner) for meta in metadata_of(each)]
    choices = choices_of(inner, optional)
    return Field(
        name=member.name,
        annotation=member.annotation,
        kind="choice" if choices else _kind(inner),
        label=member.label or _first_text(metadata, "title") or member.name.replace("_", " "),
        doc=member.doc or _first_text(metadata, "description"),
        default=member.default,
        required=member.required,
        optional=optional,
        choices=choices,
        constraints=constraints_of(metadata),
        key=member.key or member.name,
    )


def _first_text(metadata: list[Any], name: str) -> str:
    return next((str(text) for meta in metadata if (text := getattr(meta, name, None))), "")


def _kind(hint: Any) -> Kind:
    base = base_of(hint)
    if base is bool:
        return "bool"
    return KINDS.get(base, "text" if base in NOUNS else "json")


def _noun(hint: Any) -> str:
    base = base_of(hint)
    if get_origin(base) in UNIONS:
        return " or ".join(_noun(arg) for arg in get_args(base))
    if base is Any or base is object:
        return "any JSON value"
    return NOUNS.get(base) or re.sub(r"(\w+\.)+", "", describe(base))
