"""Waiting for a condition: the only way a test lets time pass."""

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Seconds that a test waits for a condition before it fails. That is no claim about how long a thing may take: anything
# takes long on a machine that others use too. What is claimed of a time is measured, and compared with `within`.
PATIENCE = 60.0


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
    """Ask until the answer is true, and return it. Raises `TimeoutError` with `what` and the last answer."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout} s still not so: {what or condition!r} (last answer: {answer!r})")
        pause.wait(0.02)
    return answer


def within(seconds: float) -> float:
    """A time that something may take on a machine that has nothing else to do; longer by how many wait for a core."""
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * max(1.0, 5 * waiting)
