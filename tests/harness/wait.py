"""Waiting for a condition: the only way a test lets time pass."""

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 10.0, what: str = "") -> T:
    """Ask until the answer is true, and return it. Raises `TimeoutError` with `what` and the last answer."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s still not so: {what or condition!r} (last answer: {answer!r})")
        pause.wait(0.02)
    return answer


def within(seconds: float) -> float:
    """A time that something may take; five times as long on a machine that has no time for it."""
    return seconds if os.getloadavg()[0] < 2 * (os.cpu_count() or 1) else 5 * seconds
