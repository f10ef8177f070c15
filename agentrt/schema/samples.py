"""A small value of a type, as JSON to start editing from. The same type always gives the same text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin
from uuid import UUID

from .annotations import UNIONS, annotation_of, base_of, metadata_of, split_optional
from .choices import choices_of
from .constraints import constraints_of
from .convert import to_json
from .records import MISSING, members_of

__all__ = ["example"]

MAX_DEPTH = 2  # containers inside of this many others stay empty
MAX_RECORDS = 2 * MAX_DEPTH  # a type that contains itself ends here

SAMPLES: dict[Any, Any] = {
    int: 0,
    float: 0.0,
    str: "",
    bool: False,
    bytes: b"",
    dict: {},
    dt.date: dt.date(2013, 7, 22),
    dt.datetime: dt.datetime(2013, 7, 22, 10, 30),
    dt.time: dt.time(10, 30),
    dt.timedelta: dt.timedelta(seconds=90),
    Decimal: Decimal(0),
    UUID: UUID(int=0),
}


def example(accepts: Any) -> str:
    """A JSON text of a payload of this type; None stands for any payload.

    >>> example(list[int])
    '[0]'
    """
    return to_json(_sample_value(annotation_of(accepts)))


def _sample_value(hint: Any, depth: int = 0) -> Any:
    inner, optional = split_optional(hint)
    base = base_of(inner)
    if optional and depth:
        return None
    if choices := choices_of(inner):
        return choices[0].value
    if base in (int, float):
        return _sample_number(base, constraints_of((*metadata_of(hint), *metadata_of(inner))))
    if base in SAMPLES:
        return SAMPLES[base]
    if depth > MAX_RECORDS:
        return None
    if get_origin(base) in UNIONS:
        return _sample_value(get_args(base)[0], depth)
    if get_args(base):
        return _sample_container(get_origin(base), get_args(base), depth)
    return _sample_record(base, depth)


def _sample_number(base: Any, bounds: dict[str, Any]) -> Any:
    """The number nearest to 0 that keeps the bounds."""
    step = bounds.get("multiple_of", 1)
    low = bounds.get("ge", bounds["gt"] + step if "gt" in bounds else None)
    high = bounds.get("le", bounds["lt"] - step if "lt" in bounds else None)
    value = max(0, low) if low is not None else min(0, high) if high is not None else 0
    return base(-(-value // step) * step) if step else base(value)


def _sample_container(origin: Any, args: tuple[Any, ...], depth: int) -> Any:
    if not isinstance(origin, type):
        return None
    if issubclass(origin, Mapping):
        key = _sample_value(args[0], depth + 1)
        return {"key" if key == "" else key: _sample_value(args[1], depth + 1)} if depth < MAX_DEPTH else {}
    if issubclass(origin, tuple) and args[-1] is not ...:
        return [_sample_value(arg, depth + 1) for arg in args]
    return [_sample_value(args[0], depth + 1)] if depth < MAX_DEPTH else []


def _sample_record(base: Any, depth: int) -> Any:
    members = members_of(base)
    if members is None:
        return [] if isinstance(base, type) and issubclass(base, (list, tuple, set, frozenset)) else None
    values = {
        member.name: _sample_value(member.annotation, depth + 1) if member.default is MISSING else member.default
        for member in members
        if member.required or member.default is not MISSING
    }
    make = getattr(base, "model_construct", base)  # pydantic: without validation
    try:
        return make(**values)
    except (ValueError, TypeError):  # its own check refuses the sample: the names alone are a beginning
        return values
