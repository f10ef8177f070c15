"""A process that was forked has a copy of each manager, and none of its threads: there every manager is closed.

A lock that another thread held at the fork would never be free there, and what waits for the agents' loop would wait
for ever. So in the child each lock of a manager is replaced by one that nobody can take: every call that changes or
waits for anything raises `ManagerClosedError` at once. The parent does not notice.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn
from weakref import WeakSet

from ..errors import ManagerClosedError
from .deadlock import CURRENT

__all__ = ["RefusingLock", "close_in_children"]

_managers: WeakSet[Any] = WeakSet()  # those of this process


class RefusingLock:
    """In place of a lock of a manager that runs in the parent process: taking it raises `ManagerClosedError`.

    Args:
        name: The name of the manager.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def acquire(self, blocking: bool = True, timeout: float = -1) -> NoReturn:
        """Raise the error that says what happened."""
        raise ManagerClosedError(
            f"this process (pid {os.getpid()}) was forked from the one in which the manager {self._name!r} runs; "
            "its agents are not here: make a new manager"
        )

    def __enter__(self) -> NoReturn:
        self.acquire()

    def release(self) -> None:
        """Nobody has it."""

    def __exit__(self, *error: object) -> None:
        self.release()


def close_in_children(manager: Any) -> None:
    """Have a manager be closed in each process that is forked from now on."""
    _managers.add(manager)


def _close_all() -> None:
    CURRENT.set(None)  # what goes on here is no workflow, even if it was one that forked
    for manager in tuple(_managers):
        manager.close_after_fork(RefusingLock(manager.name))
    _managers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)
