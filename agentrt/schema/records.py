"""The members of record types: dataclasses, Structs, pydantic models, TypedDicts and NamedTuples."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import msgspec

from .annotations import hints_of
from .convert import is_pydantic

__all__ = ["MISSING", "RecordMember", "members_of"]

MISSING: Any = msgspec.UNSET
"""Stands for a value that is not there."""


class RecordMember(NamedTuple):
    """One member of a record type.

    Args:
        name: Its name in Python.
        annotation: The type that it must have.
        default: Its default, made new for each call; MISSING where there is none.
        required: Whether a record can't be made without it.
        doc: What it means, as the record type says it.
        label: Its title, as the record type says it.
        key: Its name in JSON.
    """

    name: str
    annotation: Any
    default: Any
    required: bool
    doc: str = ""
    label: str = ""
    key: str = ""


def members_of(kind: Any) -> list[RecordMember] | None:
    """The members of a record type in their order; None for what is not a record, or can't be taken apart.

    >>> class Point(NamedTuple):
    ...     x: int
    ...     y: int = 0
    >>> [(member.name, member.required) for member in members_of(Point)]
    [('x', True), ('y', False)]
    """
    try:
        return _members(kind)
    except NameError:  # an annotation names something that is unknown here
        return None


def _members(kind: Any) -> list[RecordMember] | None:
    if not isinstance(kind, type):
        return None
    if is_pydantic(kind) and hasattr(kind, "model_fields") and not getattr(kind, "__pydantic_root_model__", False):
        return [_of_pydantic(name, info) for name, info in kind.model_fields.items()]
    if dataclasses.is_dataclass(kind):
        return list(_of_dataclass(kind))
    if issubclass(kind, msgspec.Struct):
        return list(_of_struct(kind))
    if typing.is_typeddict(kind):
        required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
        return [RecordMember(name, hint, MISSING, name in required) for name, hint in hints_of(kind).items()]
    if issubclass(kind, tuple) and hasattr(kind, "_field_defaults"):
        defaults = kind._field_defaults
        return [_member(name, hint, defaults.get(name, MISSING)) for name, hint in hints_of(kind).items()]
    return None


def _member(name: str, annotation: Any, default: Any, **more: str) -> RecordMember:
    return RecordMember(name, annotation, default, default is MISSING, **more)


def _of_dataclass(kind: Any) -> Iterator[RecordMember]:
    hints = hints_of(kind)
    for each in dataclasses.fields(kind):
        if each.init:
            default = _default_of(each.default, each.default_factory, dataclasses.MISSING)
            doc = each.metadata.get("doc") or each.metadata.get("description") or ""
            yield _member(each.name, hints[each.name], default, doc=str(doc))


def _of_struct(kind: type[msgspec.Struct]) -> Iterator[RecordMember]:
    hints = hints_of(kind)
    for each in msgspec.structs.fields(kind):
        default = _default_of(each.default, each.default_factory, msgspec.NODEFAULT)
        yield _member(each.name, hints[each.name], default, key=each.encode_name)


def _of_pydantic(name: str, info: Any) -> RecordMember:
    hint = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    default = MISSING if info.is_required() else info.get_default(call_default_factory=True)
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    return _member(name, hint, default, doc=info.description or "", label=info.title or "", key=alias or name)


def _default_of(value: Any, factory: Any, nothing: Any) -> Any:
    if factory is not nothing:
        return factory()
    return MISSING if value is nothing else value
