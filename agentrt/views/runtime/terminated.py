"""What is left of a runtime that has ended."""

from __future__ import annotations

from typing import Any

from ...snapshot import Snapshot

__all__ = ["Past"]


class Past:
    """A terminated runtime of which only the last snapshot is left: all that a view asks of a runtime."""

    def __init__(self, manager: Any, id: str) -> None:
        self.manager = manager
        self.id = id
        self.paused = False

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """The last one."""
        found: Snapshot = self.manager.snapshot(self.id, metrics=metrics)
        return found

    def mailbox_items(self) -> list[Any]:
        """Nothing waits any more."""
        return []

    def where(self) -> list[Any]:
        """It stands nowhere any more."""
        return []
