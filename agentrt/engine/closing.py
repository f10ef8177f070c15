"""What is said while a manager is being closed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from ..logs import log_safely
from .entry import RuntimeEntry

__all__ = ["MOMENT", "log_waiting", "waits"]

logger = logging.getLogger("agentrt.manager")
MOMENT = 1.0  # real seconds that closing takes without a word


def waits(limit: float | None) -> tuple[float | None, ...]:
    """A moment, and the rest of a time."""
    if limit is None:
        return MOMENT, None
    return (limit,) if limit <= MOMENT else (MOMENT, limit - MOMENT)


def log_waiting(manager: object, entries: Iterable[RuntimeEntry[Any, Any]], *, stored: bool) -> int:
    """Say how many activities still have to get their fate, and return of how many runtimes they are."""
    waiting = [n for entry in entries if (n := len(entry.undelivered) + len(entry.mailbox))]
    if waiting:
        stay = "; those of durable runtimes stay in the journal" if stored else ""
        note = "%r is being closed: %d activities that wait still have to get their fate%s"
        log_safely(logger, note, manager, sum(waiting), stay, level=logging.WARNING)
    return len(waiting)
