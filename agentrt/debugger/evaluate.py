"""The value of an expression in a frame, worked out on a thread of its own: it may take long, or never end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from ..errors import AgentError, ConfigurationError, describe_error
from ..interruptible import InterruptibleEvent

__all__ = ["EVALUATION_SECONDS", "compile_expression", "evaluate_expression"]

EVALUATION_SECONDS = 2.0  # real seconds
LONGEST = 10_000  # characters


def compile_expression(expression: str) -> CodeType:
    """Compile an expression; `ConfigurationError` says why it is none."""
    if not isinstance(expression, str) or len(expression) > LONGEST:
        raise ConfigurationError(f"an expression is a text of at most {LONGEST:,} characters")
    try:
        return compile(expression.strip(), "<expression>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"{expression[:80]!r} is no expression: {describe_error(error)}") from None


def evaluate_expression(expression: str, variables: Mapping[str, Any], show: Callable[[Any], Any]) -> Any:
    """Work out an expression and return `show(value)`.

    Args:
        expression: A Python expression.
        variables: What it may name, besides the builtins.
        show: Called on the same thread: to make a text of a value may take long as well.

    Raises:
        ConfigurationError: It is no expression.
        AgentError: It has raised something, or takes longer than 2 seconds: then it goes on without anybody waiting.
    """
    code = compile_expression(expression)
    done = InterruptibleEvent()
    found: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            # One mapping: a lambda or a comprehension in the expression sees the local variables too.
            found.append((show(eval(code, {**variables})), None))
        except BaseException as error:
            found.append((None, error))
        finally:
            done.set()

    threading.Thread(target=work, name="agentrt-expression", daemon=True).start()
    if not done.wait(EVALUATION_SECONDS):
        raise AgentError(f"{expression[:80]!r} takes longer than {EVALUATION_SECONDS:g} s; it goes on by itself")
    value, error = found[0]
    if error is not None:
        raise AgentError(f"{expression[:80]!r} raised {describe_error(error)}") from error
    return value
