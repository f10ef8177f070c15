"""Where an activity stands: read from its coroutine, not from instrumentation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .frames import StackFrame, awaiting, running

if TYPE_CHECKING:
    from .entry import RuntimeEntry

    Entry = RuntimeEntry[Any, Any]

__all__ = ["where"]


def where(entry: Entry) -> list[StackFrame]:
    """The frames of the current activity, outermost first; empty when nothing runs. Any thread."""
    task, workflow = entry.task, entry.running
    if entry.current is None or task is None:
        return []
    host = entry.host
    if not host.loop.is_closed() and asyncio.current_task(host.loop) is task:
        return running(host.thread)
    return awaiting(workflow) if entry.is_async else []
