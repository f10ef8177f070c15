"""The line that says what is wrong with the source itself: its manager is gone, or blocked, or can't store anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...feed.source import Source
from ..feed import Update
from ..html import span
from ..journal import is_unsettled, journal_problem
from ..live import Live
from ..text import safe_text

__all__ = ["Notice"]

CSS = """
.notice { display: block; padding: 10px 16px; border-radius: 10px; background: #7B241C; color: #fff; font-weight: 600; }
.notice:empty { display: none; }
"""


class Notice:
    """The line, empty while all is well. `redraw()` is called when the source shows another manager than before."""

    def __init__(self, source: Source, redraw: Callable[[], Any]) -> None:
        self.source = source
        self.redraw = redraw
        self.generation = source.standing().generation
        self.panel = Live(css=CSS, visible=False)  # else it takes the room of a line

    def update(self, update: Update) -> bool:
        """Say how the source is now. Returns whether that may change without a record."""
        standing = self.source.standing()
        journal = self.source.journal()
        wrong = standing.words or journal_problem(journal)
        words = safe_text(wrong, 400) if wrong else None
        self.panel.draw(span(words, cls="notice", role="alert"))
        self.panel.visible = words is not None
        if standing.generation != self.generation:
            self.generation = standing.generation
            self.redraw()
        return standing.silent or is_unsettled(journal)
