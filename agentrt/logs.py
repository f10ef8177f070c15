"""Logging where a failure of a log handler must not matter."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

__all__ = ["is_interrupt", "log_safely"]


def log_safely(
    logger: logging.Logger, message: str, *args: Any, error: BaseException | None = None, level: int = logging.ERROR
) -> None:
    """Log an error with its traceback; what a handler raises goes to stderr and nowhere else.

    Args:
        logger: The logger of the module that has found the error.
        message: A format for `args`.
        *args: What the format names.
        error: The error to show; the one that is being handled if left out.
        level: A level of `logging`.
    """
    try:
        logger.log(level, message, *args, exc_info=error if error is not None else sys.exc_info()[0] is not None)
    except BaseException as failure:  # a handler is user code, and an agent must go on
        try:
            print(f"agentrt: a log handler failed with {failure!r} on: {message}", file=sys.stderr)
        except Exception:  # stderr is closed: nobody would read it
            return


def is_interrupt(error: BaseException) -> bool:
    """Whether somebody pressed Ctrl-C: a `KeyboardInterrupt` on the main thread. On any other, code has raised it."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
