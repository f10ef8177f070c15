"""One breakpoint: at what it stops, under which condition, and from which hit on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..errors import ConfigurationError
from ..schema.numbers import count
from .evaluate import compile_expression

__all__ = ["WORDS", "Breakpoint", "Condition", "make_breakpoint"]

# A function of the activity, or the text of an expression.
Condition = Callable[[Activity[Any]], object] | str
WORDS = (*(lane.value for lane in Lane), "error")


class Breakpoint(msgspec.Struct, frozen=True):
    """One breakpoint; of `at`, `step`, `after` and `error` one is given. See `Breakpoints.add`."""

    at: str | Callable[[Activity[Any]], object] | None = None
    step: str | None = None
    after: Callable[[Any, Any], object] | None = None
    error: bool = False
    hits: int = 1
    when: Condition | None = None

    @property
    def is_inside(self) -> bool:
        """Whether it stops inside of an activity, and not before it."""
        return self.at is None

    @property
    def name(self) -> str:
        """What it is called: "priority", "step fetch", "after grew", "raise", with its condition."""
        if self.step is not None:
            name = f"step {self.step}"
        elif self.after is not None:
            name = f"after {_function_name(self.after)}"
        else:
            name = "raise" if self.error else _function_name(self.at)
        if self.when is not None:
            name += f" if {self.when if isinstance(self.when, str) else _function_name(self.when)}"
        return name if self.hits == 1 else f"{name}, from hit {self.hits} on"

    def is_at(self, other: Breakpoint) -> bool:
        """Whether both stop at the same place, whatever their conditions are."""
        return (self.at, self.step, self.after, self.error) == (other.at, other.step, other.after, other.error)


def _function_name(function: Any) -> str:
    return (
        str(function) if isinstance(function, str) else getattr(function, "__qualname__", type(function).__qualname__)
    )


def make_breakpoint(runtime: str, at: Any, step: Any, after: Any, error: Any, hits: Any, when: Any) -> Breakpoint:
    """Check what was given to `Breakpoints.add`; `ConfigurationError` says what is wrong with it."""
    given = [at is not None, step is not None, after is not None, bool(error)]
    if given.count(True) != 1:
        raise ConfigurationError("a breakpoint takes one of at, step=, after= and error=True", runtime=runtime)
    if at is not None and not callable(at) and at not in WORDS:
        raise ConfigurationError(
            f"breakpoint is {at!r}; give {', '.join(WORDS)}, or a function of the activity", runtime=runtime
        )
    if step is not None and not (isinstance(step, str) and step):
        raise ConfigurationError(f"step is {step!r}; give the name of a ctx.step", runtime=runtime)
    if after is not None and not callable(after):
        raise ConfigurationError(f"after is {after!r}; give a function of the old and the new state", runtime=runtime)
    if isinstance(when, str):
        compile_expression(when)
    elif when is not None and not callable(when):
        raise ConfigurationError(f"when is {when!r}; give an expression or a function of the activity", runtime=runtime)
    return Breakpoint(at, step, after, bool(error), count("hits", hits, least=1, runtime=runtime), when)
