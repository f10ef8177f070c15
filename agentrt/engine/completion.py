"""What is done completely, whatever exception comes from outside in the middle of it."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import AgentError

__all__ = ["completely"]


def completely(steps: Callable[[], object]) -> None:
    """Do something that may be done twice, and once more if an exception interrupts it; then the exception goes on.

    An `AgentError` is an answer and no interruption.
    """
    try:
        steps()
    except AgentError:
        raise
    except BaseException:
        steps()
        raise
