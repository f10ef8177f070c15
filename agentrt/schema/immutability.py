"""Whether a value can be changed in place. History, snapshots and fenced results rely on states that can't."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
import warnings
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import msgspec

__all__ = ["ATOMS", "copy_in", "copy_out", "copy_out_always", "is_frozen", "warn_mutable"]

ATOM_TYPES = (int, str, float, bool, bytes, complex, types.NoneType, range, type, types.EllipsisType, msgspec.UnsetType)
ATOMS = frozenset(ATOM_TYPES)
"""Classes whose instances are immutable; not their subclasses."""

# Subclasses of these count as immutable too.
IMMUTABLE: tuple[type, ...] = (
    *ATOM_TYPES,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    decimal.Decimal,
    fractions.Fraction,
    enum.Enum,
    uuid.UUID,
    pathlib.PurePath,
    re.Pattern,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
)
MAX_PARTS = 256  # how many parts of a value are examined


def is_frozen(value: Any) -> bool:
    """Whether neither the value nor its parts can be changed in place, as far as their types say.

    Frozen are numbers, texts, dates and enums, and tuples, frozen sets, frozen dataclasses, frozen Structs and frozen
    pydantic models of frozen parts. Any other class counts as frozen if it has `__frozen__ = True`. Of a large value
    only the first 256 parts are examined.

    >>> is_frozen((1, "a")), is_frozen((1, [])), is_frozen({})
    (True, False, False)
    """
    if type(value) in ATOMS:
        return True
    todo, examined = [value], 0
    while todo and examined < MAX_PARTS:
        item = todo.pop()
        examined += 1
        if type(item) in ATOMS or isinstance(item, IMMUTABLE):
            continue
        parts = _frozen_parts(item)
        if parts is None:
            return False
        todo.extend(part for part, _ in zip(parts, range(MAX_PARTS), strict=False))
    return True


def _frozen_parts(item: Any) -> Iterable[Any] | None:
    """The parts of a frozen value; None for a value that is not frozen."""
    kind: Any = type(item)
    if isinstance(item, tuple | frozenset):
        return item
    if isinstance(item, msgspec.Struct):
        return msgspec.structs.astuple(item) if kind.__struct_config__.frozen else None
    settings = getattr(kind, "__dataclass_params__", None)
    if settings is not None:
        return [getattr(item, field.name, None) for field in dataclasses.fields(kind)] if settings.frozen else None
    config = getattr(kind, "model_config", None)
    if isinstance(config, dict) and config.get("frozen"):  # pydantic
        return list(vars(item).values())
    return () if getattr(kind, "__frozen__", False) is True else None


def warn_mutable(id: str, state: Any) -> None:
    """Warn, when a runtime is created, that its state can be changed in place."""
    warnings.warn(
        f"the state of {id!r} is a {type(state).__name__}, which can be changed in place: a failed activity may leave "
        "its traces. Use a frozen type.",
        stacklevel=3,
    )


def copy_out(state: Any, copy: bool = True) -> Any:
    """The state to give to a reader: a deep copy of a state that could be changed in place.

    Args:
        state: The state that the runtime holds.
        copy: False gives the state itself.

    Returns:
        A state; the runtime's own one, with a warning, where it can't be copied.

    >>> state = [1]
    >>> copy_out(state) is state, copy_out((1, "a")), copy_out(state, copy=False) is state
    (False, (1, 'a'), True)
    """
    if not copy or is_frozen(state):
        return state
    copied, error = _try_deepcopy(state)
    if error is not None:
        warnings.warn(
            f"a state of type {type(state).__name__} can't be copied, you hold the runtime's own ({error!r:.60}). "
            "Use a frozen type, or copy_state=False.",
            stacklevel=2,
        )
    return copied


def copy_out_always(state: Any, copy: bool = True) -> Any:
    """As `copy_out`, for code that nobody called: where warnings are errors, it gives the state itself."""
    try:
        return copy_out(state, copy)
    except Warning:
        return state


def copy_in(state: Any, copy: bool = True) -> Any:
    """The state to store for a later restart: as `copy_out`, without the warning, which the reader gets."""
    return _try_deepcopy(state)[0] if copy and not is_frozen(state) else state


def _try_deepcopy(state: Any) -> tuple[Any, Exception | None]:
    try:
        return deepcopy(state), None
    except Exception as error:  # copying is user code, and the workflow may be changing it meanwhile
        return state, error
