"""A replay in a cell: its record and what it did, side by side."""

from __future__ import annotations

from typing import Any

from ...feed.source import Source, Subject
from ..beside.replay_view import ReplayReadout, ReplayView
from ..html import Content, pre
from .standalone import Standalone, StandaloneBoard

__all__ = ["ReplayDisplay"]


class ReplayDisplay(Standalone):
    """The view of a replay. The last line of a cell shows it.

    Args:
        replay: What came of it.
        source: Everything as it stood when the activity that differs had ended.
    """

    def __init__(self, replay: ReplayReadout, source: Source) -> None:
        super().__init__(Subject(source), "replay")
        self.replay = replay

    def _picture(self) -> Content:
        return pre(repr(self.replay))

    def _view_of(self, board: StandaloneBoard) -> Any:
        return ReplayView(board.source, self.replay, go=board.go)
