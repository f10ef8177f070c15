"""Checks of numbers that are given as arguments: durations, counts, factors. Every such argument is checked here.

A number is an int or a float. A bool, a text, a Decimal or an integer of numpy is refused, as is nan. A refusal is a
`ConfigurationError` that names the argument, what was given, and what would do.
"""

from __future__ import annotations

import math
import threading
from typing import Any

from ..errors import ConfigurationError
from .preview import preview

__all__ = ["LONGEST", "MOST", "count", "number", "optional_seconds", "refuse", "seconds", "seed", "time_limit"]

LONGEST = 100 * 365.25 * 86_400
"""The longest finite duration, in seconds: a hundred years. A system can't wait much longer, nor a date show it."""

MOST = 2**63 - 1
"""The largest count."""

SEED_BITS = 128


def seconds(
    name: str, value: Any, *, positive: bool = False, endless: bool = True, advice: str = "", runtime: str | None = None
) -> float:
    """A duration, as a float.

    Args:
        name: What the argument is called.
        value: What was given.
        positive: Whether 0 is refused.
        endless: Whether `math.inf` is a duration too.
        advice: What else would do, such as ", or None for no limit".
        runtime: Id of the runtime that it is about.

    Returns:
        Seconds.

    Raises:
        ConfigurationError: It is no such duration.
    """
    what = f"seconds{' above 0' if positive else ', 0 or more'}, up to a hundred years{advice}"
    return number(name, value, what, 0.0, LONGEST, above=positive, endless=endless, runtime=runtime)


def optional_seconds(name: str, value: Any, *, positive: bool = False, endless: bool = True) -> float | None:
    """A duration, or None for no limit; see `seconds`."""
    if value is None:
        return None
    return seconds(name, value, positive=positive, endless=endless, advice=", or None for no limit")


def time_limit(name: str, value: Any) -> float | None:
    """How long a thread may wait, in real seconds; None for no limit, and for more than the system can wait."""
    limit = optional_seconds(name, value)
    return None if limit is None or limit > threading.TIMEOUT_MAX else limit


def count(
    name: str, value: Any, *, least: int = 0, most: int = MOST, what: str = "", runtime: str | None = None
) -> int:
    """A whole number from `least` to `most`; `what` says so in other words."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return int(value)
    bound = "" if most == MOST else f" and at most {most}"
    raise refuse(name, value, what or f"a whole number of at least {least}{bound}", runtime)


def seed(name: str, value: Any) -> int | None:
    """A seed of a source of chance: a whole number of 128 bits at the most, or None."""
    if value is None:
        return None
    most = 2**SEED_BITS
    return count(name, value, least=-most, most=most, what=f"a whole number of at most {SEED_BITS} bits, or None")


def number(
    name: str,
    value: Any,
    what: str,
    least: float = 0.0,
    most: float = math.inf,
    *,
    above: bool = False,
    endless: bool = False,
    runtime: str | None = None,
) -> float:
    """A number from `least` to `most`, as a float.

    Args:
        name: What the argument is called.
        value: What was given.
        what: What it must be, in words.
        least: The lower bound.
        most: The upper bound. An infinite value is above it, whatever it is.
        above: Whether it must be above `least`.
        endless: Whether `math.inf` will do as well.
        runtime: Id of the runtime that it is about.

    Raises:
        ConfigurationError: It is no such number.

    >>> number("factor", 2, "a number of at least 1", 1)
    2.0
    """
    found = _as_float(value)
    large_enough = found > least or (found == least and not above)
    small_enough = endless if found == math.inf else found <= most
    if large_enough and small_enough:
        return found
    raise refuse(name, value, what, runtime)


def _as_float(value: Any) -> float:
    """The number as a float; nan for what is no number, or too large for a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def refuse(name: str, value: Any, what: str, runtime: str | None = None) -> ConfigurationError:
    """The error for an argument that can't be: its name, the beginning of what it is, what it must be."""
    return ConfigurationError(f"{name} is {preview(value, 80)}; it must be {what}", runtime=runtime)
