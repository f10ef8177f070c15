"""Which run of a cell a view belongs to: it ends when that cell runs again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import panel as pn

from ..feed import Feed
from .channel import Channel

__all__ = ["CellViews", "Execution", "current_execution", "end_view"]


@dataclass(frozen=True)
class Execution:
    """One run of a cell. A part that the front end does not send is ''."""

    cell: str
    request: str

    def repeats(self, other: Execution) -> bool:
        """Whether it is a later run of the same cell, whose outputs it replaces."""
        return bool(self.cell) and self.cell == other.cell and self.request != other.request


def current_execution(kernel: Any) -> Execution:
    """The run of a cell that this kernel is at."""
    request = kernel.get_parent() or {}
    header, metadata = request.get("header", {}), request.get("metadata", {})
    return Execution(metadata.get("cellId", ""), header.get("msg_id", ""))


class CellViews:
    """What ends the views of each cell."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[Execution, list[Callable[[], object]]]] = {}

    def add(self, execution: Execution, end: Callable[[], object]) -> None:
        """Keep what ends a view until its cell runs again. That ends all views of the run before."""
        if not execution.cell:
            return
        before, ends = self._ends.get(execution.cell, (execution, []))
        if execution.repeats(before):
            for each in ends:
                each()
            ends = []
        self._ends[execution.cell] = execution, [*ends, end]


def end_view(output: Any, feed: Feed, channel: Channel) -> None:
    """Stop the feed of an output, tell its pages, and remove its models from Panel."""
    feed.stop()
    channel.close()
    for ref in list(output._models):
        viewable, root, *_ = pn.state._views.pop(ref, (output, None))
        viewable._cleanup(root)
    output.clear()
    channel.document.clear()  # Panel 1.10 keeps styles by document: they would keep this one for ever
