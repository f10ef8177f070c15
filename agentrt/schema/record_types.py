"""Record classes: those whose objects are nothing but the values of their fields, and can be made of them."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, get_args

import msgspec

__all__ = ["is_record_type", "record_fields"]


def is_record_type(cls: Any) -> bool:
    """Whether objects of a class are nothing but the values of its fields.

    >>> is_record_type(int), is_record_type(msgspec.inspect.IntType)
    (False, True)
    """
    if not isinstance(cls, type) or get_args(cls):
        return False
    if issubclass(cls, enum.Enum | msgspec.Struct):
        return True
    if issubclass(cls, tuple):
        return cls is not tuple and hasattr(cls, "_fields")
    return cls.__new__ is object.__new__ and record_fields(cls) is not None


def record_fields(cls: Any) -> tuple[str, ...] | None:
    """The fields of a record class in their order; None for what has none.

    >>> record_fields(msgspec.inspect.ListType), record_fields(int)
    (('item_type', 'min_length', 'max_length'), None)
    """
    if issubclass(cls, msgspec.Struct):
        return tuple(cls.__struct_fields__)
    if issubclass(cls, tuple):
        return getattr(cls, "_fields", None)
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if hasattr(cls, "__attrs_attrs__"):
        return tuple(field.name for field in cls.__attrs_attrs__)
    if hasattr(cls, "model_construct"):
        return tuple(cls.model_fields)
    return None
