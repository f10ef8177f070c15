"""Convert plain data and JSON to a payload type and back: by msgspec, or by pydantic for pydantic's own types."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn

import msgspec

from ..errors import ActivityValidationError
from .annotations import annotation_of, describe
from .recursion import Inner, unroll

__all__ = ["FormError", "convert", "is_pydantic", "load_json", "parse_json", "to_builtins", "to_json"]

MAX_DIGITS = 4_000  # of a number: Python itself reads 4,300
MAX_LINE = 60  # characters of JSON that stay on one line
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


class FormError(ActivityValidationError):
    """What was typed makes no payload.

    `problems` maps the name of a field, or a path in the JSON ("" is the whole), to a text.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        lines = [f"{where}: {what}" if where else what for where, what in problems.items()]
        super().__init__("; ".join(lines), problems=dict(problems))


def parse_json(text: str, type: Any) -> Any:
    """The payload that a JSON text stands for.

    Args:
        text: Standard JSON.
        type: The annotation of the payload; None for any.

    Raises:
        FormError: With line and column where it is no JSON, or with the path of what does not fit.

    >>> parse_json("[1, 2]", tuple[int, int])
    (1, 2)
    """
    try:
        data = load_json(text)
    except ValueError as problem:
        raise FormError({"": str(problem)}) from None
    return convert(data, type)


def convert(data: Any, type: Any) -> Any:
    """Plain data as a value of a type.

    Args:
        data: What JSON can hold.
        type: The annotation of the value; None for any.

    Raises:
        FormError: With the path of what does not fit.
    """
    try:
        if is_pydantic(type):
            return _validate(type, data)
        return msgspec.convert(data, unroll(annotation_of(type)), str_keys=True, dec_hook=_decode)
    except msgspec.ValidationError as problem:
        text, path = _text_and_path(str(problem))
        if isinstance(problem.__cause__, FormError):  # of a recursive type inside of itself
            raise FormError({_join(path, part): why for part, why in problem.__cause__.problems.items()}) from None
        raise FormError({path: text}) from None
    except RecursionError:
        raise FormError({"": _only_from_code(type, "it is nested too deep, or without end")}) from None
    except TypeError as problem:
        raise FormError({"": _only_from_code(type, str(problem))}) from None
    except FormError:
        raise
    except Exception as problem:  # a __post_init__ is user code
        raise FormError({"": f"{problem.__class__.__name__}: {problem}"}) from problem


def load_json(text: str) -> Any:
    """Standard JSON as plain data.

    Raises:
        ValueError: With line and column, and with what to write instead for words of Python.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except json.JSONDecodeError as problem:
        hint = _hint(text[problem.pos :])
        raise ValueError(f"Line {problem.lineno}, column {problem.colno}: {problem.msg}{hint}") from None
    except RecursionError:
        raise ValueError("This JSON is nested too deeply") from None


def to_json(value: Any) -> str:
    """A value as JSON, on one line while that is short."""
    text = msgspec.json.encode(to_builtins(value))
    return text.decode() if len(text) <= MAX_LINE else msgspec.json.format(text, indent=2).decode()


def to_builtins(value: Any) -> Any:
    """A value as plain data that JSON can hold; None for what it can't."""
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_encode)
    except RecursionError:  # it is nested too deep, or contains itself
        return None


def is_pydantic(type: Any) -> bool:
    """Whether this is a class of pydantic. Never imports it: whoever has such a class has imported it."""
    return "pydantic" in sys.modules and hasattr(type, "__pydantic_validator__")


def _validate(tp: Any, data: Any) -> Any:
    pydantic = sys.modules["pydantic"]
    try:
        return pydantic.TypeAdapter(tp).validate_python(data)
    except pydantic.ValidationError as problem:
        raise FormError({_path(each["loc"]): each["msg"] for each in problem.errors(include_url=False)}) from None


def _decode(tp: Any, value: Any) -> Any:
    if isinstance(tp, type) and issubclass(tp, Inner):
        return convert(value, tp.hint)
    if is_pydantic(tp):
        return _validate(tp, value)
    if isinstance(tp, type) and isinstance(value, tp):
        return value
    raise ValueError(_only_from_code(tp))


def _only_from_code(tp: Any, reason: str = "") -> str:
    return f"{describe(tp)} can't be made from what is typed here, send it from code{reason and f': {reason}'}"


def _encode(value: Any) -> Any:
    if is_pydantic(type(value)):
        return sys.modules["pydantic"].TypeAdapter(type(value)).dump_python(value, mode="json", by_alias=True)
    return value.value if isinstance(value, Enum) else None


def _text_and_path(message: str) -> tuple[str, str]:
    """The message of msgspec as a text for people, and the path it is about without the leading `$`."""
    text, _, where = message.replace("`", "").partition(" - at ")
    key, _, holder = where.partition(" in ")
    path = (holder or key).removeprefix("$").removeprefix(".")
    return (f"{text}, as a key" if holder else text), path


def _join(path: str, part: str) -> str:
    return f"{path}.{part}".strip(".") if not part.startswith("[") else path + part


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"A number of {len(digits)} digits is too long")
    return int(digits)


def _hint(rest: str) -> str:
    word = re.match(r"[^\W\d][\w-]*", rest)
    if word and word[0] in PYTHON_WORDS:
        return f" (JSON writes {PYTHON_WORDS[word[0]]})"
    if word or rest.startswith("'"):
        return f' (text needs double quotes: "{word[0] if word else "like this"}")'
    return ""
