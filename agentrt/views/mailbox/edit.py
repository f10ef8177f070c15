"""Changing the payload of a waiting activity: a form or JSON, with the current payload in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...errors import AgentError
from ...feed.source import PayloadForm, Typed
from ..feed import Schedule, run_now
from ..html import Content, strong, with_glyph
from ..inject.controls import MaterialControls, editor, mark, value_of
from ..inject.inject import toggle
from ..inject.injection import JSON, by_field
from ..layout import WIDE, line
from ..live import Live
from ..text import safe_text
from ..theme import STATUSES

__all__ = ["PayloadEditor"]

LOSSY = "Parts of this payload can't be written as JSON; they are null here, and would be lost."
ROOM = {"margin": (4, 0), "size": "small"}


class PayloadEditor:
    """The editor of one activity. `check(typed)` raises what is wrong with what was typed; `save(typed)` takes it."""

    def __init__(
        self,
        id: int,
        form: PayloadForm,
        check: Callable[[Typed], Any],
        save: Callable[[Typed], Any],
        close: Callable[[], Any],
        schedule: Schedule = run_now,
    ) -> None:
        self.id = id
        self.form = form
        self.check = check
        self.save = save
        self.schedule = schedule
        self.controls = MaterialControls(form, self.submit) if form.fields else None
        self.raw = editor(label="payload as JSON", value=form.text, sizing_mode="stretch_width", **ROOM)
        self.mode = toggle({"form": "form", "JSON": JSON}, {})
        self.mode.visible = self.controls is not None
        self.mode.param.watch(lambda event: self.schedule(self._arrange), "value")
        self.save_button = self._button("Change it", self.submit, variant="contained")
        self.cancel_button = self._button("Leave it", close, variant="outlined")
        self.message = Live(_problem("" if form.whole else LOSSY))
        self.body = pn.Column(**WIDE)
        self._arrange()
        head = Live(strong(f"Change the payload of activity {self.id}"), margin=(8, 0, 0, 0))
        self.panel = pn.Column(
            head, self.mode, self.body, line(self.save_button, self.cancel_button), self.message, **WIDE
        )

    def _button(self, label: str, on_click: Callable[[], Any], **look: Any) -> Any:
        button = pmui.Button(label=label, color="primary", **ROOM, **look)
        button.on_click(lambda event: on_click())
        return button

    @property
    def _as_json(self) -> bool:
        return self.controls is None or self.mode.value == JSON

    def _arrange(self) -> None:
        if self.controls is None or self._as_json:
            self.body.objects = [self.raw]
        else:
            self.body.objects = [pmui.FlexBox(*self.controls.by_name.values(), gap="0px")]

    def submit(self) -> None:
        """Check what was typed, and save it or mark the fields that are wrong."""
        typed = self._content()
        try:
            self.check(typed)
        except AgentError as error:
            problems = getattr(error, "problems", None) or {"": str(error)}
            self.schedule(lambda: self._show(problems))
        else:
            self.save(typed)

    def _content(self) -> Typed:
        return str(value_of(self.raw)) if self.controls is None or self._as_json else self.controls.values

    def _show(self, problems: Mapping[str, str]) -> None:
        placed, rest = by_field(problems, self.form, self._as_json)
        mark(self.raw, placed.get(JSON, ""))
        if self.controls is not None:
            self.controls.show(placed)
        self.message.draw(_problem(rest))

    def lock(self) -> None:
        """Refuse to save: it no longer waits. What was typed stays on the page."""
        if not self.save_button.disabled:
            self.save_button.disabled = True
            self.message.draw(
                _problem(f"Activity {self.id} does not wait any more: it can't be changed. Your text stays here.")
            )


def _problem(words: str) -> Content:
    return with_glyph(STATUSES["error"], safe_text(words, 300)) if words else None
