"""Payloads that a person types: the form to ask with, and the payload that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from ..schema.convert import is_pydantic, parse_json, to_json
from ..schema.fields import Field
from ..schema.form import Form
from ..schema.samples import example
from .source import PayloadForm, Typed

__all__ = ["build", "fill", "form_of", "form_with", "is_whole", "rebuild", "type_of"]

PLAIN = (dict, list, str, int, float, bool)


def form_of(accepts: Any) -> PayloadForm:
    """The form of a new payload of this type; None is any type."""
    form = Form.of(accepts)
    return PayloadForm(form.fields, form.record, example(accepts))


def form_with(accepts: Any, payload: Any) -> PayloadForm:
    """The form that starts with this payload."""
    form = _filled_form(accepts, payload)
    fields = () if form is None else form.fields
    return PayloadForm(fields, form is not None and form.record, to_json(payload), is_whole(payload))


def _filled_form(accepts: Any, payload: Any) -> Form | None:
    """The form that starts with this payload; None where it can be asked for as JSON only."""
    form = Form.of(type_of(accepts, payload))
    if not form.record and form.fields[0].kind == "json":
        return None
    try:
        return fill(form, payload)
    except (AttributeError, KeyError):  # the runtime takes another type by now
        return None


def build(typed: Typed, accepts: Any) -> Any:
    """The new payload that was typed. Raises `FormError`, which says what is wrong with which field."""
    return parse_json(typed, accepts) if isinstance(typed, str) else Form.of(accepts).build(typed)


def rebuild(typed: Typed, accepts: Any, payload: Any) -> Any:
    """The payload that was typed over another one. Raises `FormError`."""
    form = None if isinstance(typed, str) else _filled_form(accepts, payload)
    return build(typed, type_of(accepts, payload)) if form is None else form.build(typed)  # type: ignore[arg-type]


def type_of(accepts: Any, payload: Any) -> Any:
    """What a changed payload has to be: what the runtime takes; where it takes any, the class of one that JSON lacks.

    >>> type_of(None, {"a": 1}), type_of(None, (1, 2)), type_of(int, True)
    (None, <class 'tuple'>, <class 'int'>)
    """
    if accepts is not None:
        return accepts
    return None if payload is None or type(payload) in PLAIN else type(payload)


def is_whole(payload: Any) -> bool:
    """Whether JSON can hold all of it."""

    def encode_as_none(value: Any) -> Any:
        if is_pydantic(type(value)) or isinstance(value, Enum):
            return None
        raise TypeError

    try:
        msgspec.to_builtins(payload, str_keys=True, enc_hook=encode_as_none)
    except Exception:  # its fields may be user code
        return False
    return True


def fill(form: Form, payload: Any) -> Form:
    """The same form, that starts with what the payload holds. `AttributeError` or `KeyError` if it lacks a field."""
    if not form.record:
        return msgspec.structs.replace(form, fields=(_start_with(form.fields[0], payload),))
    read = payload.__getitem__ if isinstance(payload, Mapping) else lambda name: getattr(payload, name)
    return msgspec.structs.replace(form, fields=tuple(_start_with(field, read(field.name)) for field in form.fields))


def _start_with(field: Field, value: Any) -> Field:
    # Required: what a field starts with here is not what its type would give it.
    return msgspec.structs.replace(field, default=value, required=True)
