"""Plain data and JSON to a payload type and back. The checking is msgspec's, or pydantic's for pydantic's own types."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn, Union

import msgspec

from ..errors import ActivityValidationError
from .typecheck import describe

__all__ = ["FormError", "annotation_of", "builtins", "convert", "is_pydantic", "loads", "parse_json", "to_json"]

LONGEST = 4_000  # digits of a number; Python reads few more
_SWAPS = {"True": "true", "False": "false", "None": "null"}


class FormError(ActivityValidationError):
    """What was typed makes no payload. `problems` maps a field (or a path in the JSON, "" the whole) to a text."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        lines = [f"{where}: {what}" if where else what for where, what in problems.items()]
        super().__init__("; ".join(lines), problems=dict(problems))


def parse_json(text: str, type: Any) -> Any:
    """The payload that a JSON text stands for. Raises FormError with line and column, or the path of what is wrong.

    >>> parse_json("[1, 2]", tuple[int, int])
    (1, 2)
    """
    try:
        data = loads(text)
    except ValueError as problem:
        raise FormError({"": str(problem)}) from None
    return convert(data, type)


def convert(data: Any, type: Any) -> Any:
    """Plain data as a value of the type (None: of any). Raises FormError with the path of what doesn't fit."""
    try:
        if is_pydantic(type):
            return _pydantic(type, data)
        return msgspec.convert(data, annotation_of(type), str_keys=True, dec_hook=_custom)
    except msgspec.ValidationError as problem:
        text, path = _split(str(problem))
        raise FormError({path: text}) from None
    except TypeError as problem:
        raise FormError({"": _from_code(type, str(problem))}) from None
    except FormError:
        raise
    except Exception as problem:  # a __post_init__ is anybody's code
        raise FormError({"": f"{problem.__class__.__name__}: {problem}"}) from problem


def annotation_of(accepts: Any) -> Any:
    """What a runtime accepts as one annotation: None is any payload, a tuple is one of its types."""
    if isinstance(accepts, tuple):
        return Union[accepts]  # noqa: UP007 - made from a tuple at run time
    return Any if accepts is None else accepts


def loads(text: str) -> Any:
    """Standard JSON as plain data; ValueError with line and column, and what to write instead where that is plain."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_integer)
    except json.JSONDecodeError as problem:
        hint = _hint(text[problem.pos :])
        raise ValueError(f"Line {problem.lineno}, column {problem.colno}: {problem.msg}{hint}") from None
    except RecursionError:
        raise ValueError("This JSON is nested too deeply") from None


def to_json(value: Any) -> str:
    """A value as JSON text: on one line while that is short."""
    text = msgspec.json.encode(builtins(value))
    return text.decode() if len(text) <= 60 else msgspec.json.format(text, indent=2).decode()


def builtins(value: Any) -> Any:
    """A value as what JSON can hold; null for what it can't."""
    return msgspec.to_builtins(value, str_keys=True, enc_hook=_dump)


def is_pydantic(type: Any) -> bool:
    """Whether pydantic made this class. Never imports it: who has such a class has it loaded."""
    return "pydantic" in sys.modules and hasattr(type, "__pydantic_validator__")


def _pydantic(tp: Any, data: Any) -> Any:
    pydantic = sys.modules["pydantic"]
    try:
        return pydantic.TypeAdapter(tp).validate_python(data)
    except pydantic.ValidationError as problem:
        raise FormError({_path(each["loc"]): each["msg"] for each in problem.errors(include_url=False)}) from None


def _custom(tp: Any, value: Any) -> Any:
    if is_pydantic(tp):
        return _pydantic(tp, value)
    if isinstance(tp, type) and isinstance(value, tp):
        return value
    raise ValueError(_from_code(tp))


def _from_code(tp: Any, reason: str = "") -> str:
    return f"{describe(tp)} can't be made from what is typed here, send it from code{reason and f': {reason}'}"


def _dump(value: Any) -> Any:
    if is_pydantic(type(value)):
        return sys.modules["pydantic"].TypeAdapter(type(value)).dump_python(value, mode="json", by_alias=True)
    return value.value if isinstance(value, Enum) else None


def _split(message: str) -> tuple[str, str]:
    """msgspec's message as a text for people, and the path it is about without the leading `$`."""
    text, _, where = message.replace("`", "").partition(" - at ")
    key, _, holder = where.partition(" in ")
    path = (holder or key).removeprefix("$").removeprefix(".")
    return (f"{text}, as a key" if holder else text), path


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST:
        raise ValueError(f"A number of {len(digits)} digits is too long")
    return int(digits)


def _hint(rest: str) -> str:
    word = re.match(r"[^\W\d][\w-]*", rest)
    if word and word[0] in _SWAPS:
        return f" (JSON writes {_SWAPS[word[0]]})"
    if word or rest.startswith("'"):
        return f' (text needs double quotes: "{word[0] if word else "like this"}")'
    return ""
