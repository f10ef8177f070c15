"""A button that makes an activity a test: a pytest file, which fails as it has failed until its workflow is mended."""

from __future__ import annotations

import io
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...errors import AgentError
from ...feed.source import Source
from ..html import p
from ..layout import WIDE
from ..live import Live
from ..role import Commands
from ..text import safe_text

__all__ = ["RecordedTest"]

NOTE = (
    "A pytest file with what the activity was given and what came of it. It passes on the code as it is; change the "
    "code, and it says what has changed."
)


class RecordedTest(pn.viewable.Viewer):
    """The button, and what is to be said about it. Not there where the page may not steer, or the source can't."""

    def __init__(self, source: Source, activity: int, commands: Commands | None) -> None:
        super().__init__()
        self.activity = activity
        self.commands = commands
        self.note = Live(p(NOTE, cls="muted"))
        self.button = pmui.FileDownload(
            callback=self._make,
            filename=f"test_activity_{activity}.py",
            label="Make this a test",
            size="small",
            margin=0,
        )
        self.button.variant = "text"  # as an argument above it conflicts with a default of the button, which warns
        can = commands is not None and commands.may_steer and "record_test" in source.capabilities
        self.panel = pn.Column(self.button, self.note, visible=can, **WIDE)

    def __panel__(self) -> Any:
        return self.panel

    def _make(self) -> io.BytesIO:
        assert self.commands is not None
        try:
            text = self.commands.command("record_test", activity=self.activity).text
        except AgentError as error:
            text = f"# There is no test of activity {self.activity}: {error}".replace("\n", "\n# ") + "\n"
            self.note.draw(p(safe_text(str(error), 400), role="alert"))
        return io.BytesIO(text.encode("utf-8"))
