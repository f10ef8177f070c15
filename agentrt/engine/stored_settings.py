"""The settings of a runtime as a journal holds them: limits that were changed by hand, and which code it ran."""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import Any

from ..errors import ConfigurationError
from ..limits import Limits
from .signatures import unwrap_partial

__all__ = ["fingerprint", "pack_limits", "unpack_limits"]

PLAIN = (int, float, str, bool, type(None))


def pack_limits(given: Limits, now: Limits) -> dict[str, Any]:
    """What the code said, and what the limits are now; those that are a number, a word or None."""
    plain = _plain_values(now)
    return {"given": plain if given is now else _plain_values(given), "now": plain}


def unpack_limits(given: Limits, stored: Any) -> Limits:
    """The limits that the code says, with those that were changed by hand since the code said the same."""
    said, now = (stored or {}).get("given", {}), (stored or {}).get("now", {})
    if said == now:
        return given
    limits, plain = given, _plain_values(given)
    for name, value in now.items():
        if name in plain and said.get(name) == plain[name] != value:
            try:
                limits = limits.with_(name, value)
            except ConfigurationError:  # of another version of this package
                continue
    return limits


def _plain_values(limits: Limits) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, str) else value
        for name in limits.__struct_fields__
        if isinstance(value := getattr(limits, name), PLAIN)
    }


def fingerprint(function: Any) -> str:
    """What tells one version of a workflow's code from another; "" where there is no code to look at.

    >>> fingerprint(lambda activity, state: state) == fingerprint(lambda activity, state: state)
    True
    >>> fingerprint(lambda activity, state: state) == fingerprint(lambda activity, state: None)
    False
    """
    function = unwrap_partial(function)[0]
    code = getattr(function, "__code__", None) or getattr(vars(type(function)).get("__call__"), "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for part in _parts(code):
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _parts(code: CodeType) -> list[Any]:
    """What the code does, without where it stands."""
    parts: list[Any] = [code.co_code, code.co_names, code.co_varnames, code.co_freevars]
    for constant in code.co_consts[:]:
        same = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant  # of any order in a process
        parts += _parts(constant) if isinstance(constant, CodeType) else [same]
    return parts
