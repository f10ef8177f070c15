"""Objects of record classes, taken apart into their fields and put together again without calling their code."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from ..errors import JournalError
from ..schema.record_types import record_fields
from .stored_types import extra_attribute

__all__ = ["make_record", "record_values"]

# What a pydantic model holds beside its fields; they are stored by these names, which no field can have.
PYDANTIC = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
NOTHING: Any = object()


def record_values(value: Any) -> tuple[list[str], list[Any]]:
    """The names of the fields of a record, and their values.

    Raises:
        ValueError: It has more than its fields, or less.
    """
    cls: Any = type(value)
    if hasattr(cls, "model_construct"):
        return _model_values(value)
    names = list(record_fields(cls) or ())
    if isinstance(value, tuple):
        if len(value) != len(names):
            raise ValueError(f"{cls.__qualname__} has {len(value)} values for {len(names)} fields")
        extra = extra_attribute(value, ())
        values = list(value)
    else:
        extra = extra_attribute(value, names)
        values = [getattr(value, name, NOTHING) for name in names]
    if extra is not None:
        raise ValueError(f"it has the attribute {extra!r}, which is no field of {cls.__qualname__}")
    for name, each in zip(names, values, strict=True):
        if each is NOTHING:
            raise ValueError(f"its field {name!r} is not set")
    return names, values


def _model_values(value: Any) -> tuple[list[str], list[Any]]:
    fields = dict(vars(value))
    extra = extra_attribute(value, type(value).model_fields)
    if extra is not None:
        raise ValueError(f"it has the attribute {extra!r}, which is no field of {type(value).__qualname__}")
    names = [name for name in fields if name in type(value).model_fields]
    held = {name: each for name in PYDANTIC if (each := getattr(value, name, None)) is not None}
    return [*names, *held], [*(fields[name] for name in names), *held.values()]


def make_record(cls: Any, names: list[str], values: list[Any]) -> Any:
    """Put a record together. A field that came with a later version of the class gets its default.

    Raises:
        JournalError: The fields are no longer those of the class.
    """
    fields = dict(zip(names, values, strict=True))
    known = record_fields(cls)
    if known is None:
        raise JournalError(f"{cls.__qualname__} is no record any more")
    is_model = hasattr(cls, "model_construct")
    unknown = [name for name in fields if name not in known and not (is_model and name in PYDANTIC)]
    if unknown:
        raise JournalError(f"{cls.__qualname__} has no field {unknown[0]!r} any more; give upgrade=")
    if is_model:
        return _make_model(cls, fields)
    for name in known:
        if name not in fields:
            fields[name] = _default(cls, name)
    if issubclass(cls, tuple):
        return tuple.__new__(cls, [fields[name] for name in known])
    if issubclass(cls, msgspec.Struct):
        return _make_struct(cls, fields)
    new = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(new, name, value)
    return new


def _make_struct(cls: Any, fields: dict[str, Any]) -> Any:
    new = cls(**fields)
    for name, value in fields.items():  # its __post_init__ may have changed one
        if getattr(new, name) is not value:
            force_setattr(new, name, value)
    return new


def _make_model(cls: Any, fields: dict[str, Any]) -> Any:
    held = {name: fields.pop(name, None) for name in PYDANTIC}
    for name, info in cls.model_fields.items():
        if name not in fields:
            if info.is_required():
                raise JournalError(f"{cls.__qualname__} has a new field {name!r} without a default; give upgrade=")
            fields[name] = info.get_default(call_default_factory=True)
    new = cls.__new__(cls)
    object.__setattr__(new, "__dict__", fields)
    for name, value in held.items():
        object.__setattr__(new, name, value)
    return new


def _default(cls: Any, name: str) -> Any:
    """The default of a field that the journal does not have."""
    value, factory = _find_default(cls, name)
    if factory is not NOTHING:
        return factory()
    if value is NOTHING:
        raise JournalError(f"{cls.__qualname__} has a new field {name!r} without a default; give upgrade=")
    return value


def _find_default(cls: Any, name: str) -> tuple[Any, Any]:
    missing: Any
    if issubclass(cls, tuple):
        return cls._field_defaults.get(name, NOTHING), NOTHING
    if issubclass(cls, msgspec.Struct):
        missing = msgspec.NODEFAULT
        field: Any = next(each for each in msgspec.structs.fields(cls) if each.name == name)
    elif dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        field = next(each for each in dataclasses.fields(cls) if each.name == name)
    else:
        return NOTHING, NOTHING
    found = (NOTHING if each is missing else each for each in (field.default, field.default_factory))
    return next(found), next(found)
