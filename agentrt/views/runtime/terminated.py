"""A runtime that has ended, as far as it is still on record."""

from __future__ import annotations

from typing import Any

from ...snapshot import Snapshot

__all__ = ["TerminatedRuntime"]


class TerminatedRuntime:
    """Stands in for a terminated runtime: all that a view reads of one, from its last snapshot."""

    def __init__(self, manager: Any, id: str) -> None:
        self.manager = manager
        self.id = id
        self.paused = False

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """The last one."""
        shot: Snapshot = self.manager.snapshot(self.id, metrics=metrics)
        return shot

    def mailbox_items(self) -> list[Any]:
        """Nothing waits in it."""
        return []

    def where(self) -> list[Any]:
        """It is at no line."""
        return []
