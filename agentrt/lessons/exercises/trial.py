"""A manager to try an answer on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ...clock import Clock
from ...manager import RuntimeManager
from ...receipt import Receipt

__all__ = ["PATIENCE", "trial_manager", "wait_for_fates"]

PATIENCE = 20.0  # real seconds that an answer may take


@contextmanager
def trial_manager() -> Iterator[RuntimeManager]:
    """A manager whose clock leaps to what is due next, on a thread of its own: also inside of a cell that runs."""
    manager = RuntimeManager(loop="thread", clock=Clock(speed=math.inf), name="exercise", offer=False, seed=1)
    try:
        yield manager
    finally:
        manager.close(timeout=1)


def wait_for_fates(receipts: Iterable[Receipt[Any]]) -> None:
    """Wait until each activity has come to its end, whatever that is."""
    for receipt in receipts:
        receipt.block(PATIENCE, "await receipt")
