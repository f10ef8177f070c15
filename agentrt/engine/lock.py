"""The lock of a manager: a reentrant lock whose `with` takes two thirds of the time."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

from .core import twin

__all__ = ["make_lock"]


@twin
def make_lock() -> AbstractContextManager[Any]:
    """A reentrant lock, to be used with `with` alone.

    `with` looks up two methods on the class of what it is given and binds them, which makes two objects each time: a
    third of what `with threading.RLock()` takes. Here they are bound once, in a class that is made for this lock.
    `acquire()` and `release()` would be faster still, but an exception from outside can come before the `try`.
    """
    lock = threading.RLock()
    return type("ReentrantLock", (), {"__slots__": (), "__enter__": lock.__enter__, "__exit__": lock.__exit__})()  # type: ignore[no-any-return]
