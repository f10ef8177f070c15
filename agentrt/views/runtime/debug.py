"""What a person does with a stopped activity: steps, another try, another payload or state, expressions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...debugger import How, Stop, StopKind, Whereabouts
from ...errors import AgentError
from ...feed.source import Source
from ..feed import Schedule, run_now
from ..html import Content, Markup, code, div, fragment, li, ol, pre, quiet, strong, with_glyph
from ..icons import icon
from ..inject.controls import editor, value_of
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import plain, safe_block, safe_text
from ..theme import STATUSES
from .source import place_of, title_of

__all__ = ["Debug", "stop_sentence"]

EDIT = {"size": "small", "margin": (10, 0, 4, 0), "sizing_mode": "stretch_width"}
MOST = 6  # expressions that stay on the page
ROOM = {"size": "small", "margin": (4, 0)}
CSS = """
.values { list-style: none; margin: 0; padding: 0; }
.values li { padding: 4px 0; border-bottom: 1px solid var(--rt-line); overflow-wrap: anywhere; }
.values pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 2px 0 0; }
.new { border-left: 4px solid #CC79A7; padding: var(--s1) var(--s3); overflow-wrap: anywhere; }
"""


def stop_sentence(found: Whereabouts) -> Markup:
    """Where it is stopped, and what that means."""
    stop = found.stop
    assert stop is not None
    name = strong(safe_text(stop.steps[-1] if stop.steps else "", 60))
    match stop.kind:
        case StopKind.STEP:
            words: Content = ("where the step ", name, " begins: nothing of it has run")
        case StopKind.STEP_END:
            words = ("where the step ", name, " is over")
        case StopKind.ERROR:
            words = ("because it raised ", strong(safe_text(stop.error, 300)), "; the activity has not failed yet")
        case StopKind.DONE:
            words = "after its workflow has returned; the new state is not committed yet"
        case StopKind.PYTHON:
            words = "by ", strong(safe_text(stop.at, 60)), ", where you go on from it; nothing else on this loop moves"
    frame = found.frames[-1] if found.frames else None
    line = None if frame is None else (", at ", strong(place_of(frame)), " of ", title_of(frame))
    why = None if stop.kind is StopKind.PYTHON else quiet(f" ({plain(stop.at, 80)})")
    return fragment(f"Activity {stop.activity} is stopped ", words, line, ".", why)


class Debug:
    """The controls of a stopped activity: `bar`, and below the code `evaluator` and `edits`.

    `draw(found, frame)` brings them up to date: `frame` is the index of the frame that is shown.
    """

    def __init__(
        self, source: Source, id: str, commands: Commands, schedule: Schedule = run_now, label: str = ""
    ) -> None:
        self.source = source
        self.id = id
        self.commands = commands
        self.schedule = schedule
        self.stop: Stop | None = None
        self.frame: int | None = None
        self.values: deque[Markup] = deque(maxlen=MOST)
        give = self._give
        self.buttons = [
            self._button("Continue", "play", lambda: give("resume"), variant="contained"),
            self._button("Step over", "right", lambda: give("step_over")),
            self._button("Step into", "step", lambda: give("step_into")),
            self._button("Step out", "back", lambda: give("step_out")),
            self._button("To its end", "flag", lambda: give("step")),
            self._button("Run it again", "recover", lambda: give("retry")),
        ]
        self.note = Live(css=CSS)
        self.payload = editor(label="its payload, as JSON", **EDIT)
        self.state = editor(label="the state of the runtime, as JSON", **EDIT)
        self.again = self._button("Run it again with this payload", "recover", self._retry_with_payload)
        self.set_state = self._button("Set this state", "flag", self._set_state)
        self.code = editor(label="its code", **EDIT)
        self.use_code = self._button("Use this code and run it again", "recover", self._use_code)
        coding = pn.Column(self.code, self.use_code, visible=commands.may_evaluate, **WIDE)
        self.edits = line(
            pn.Column(self.payload, self.again, **WIDE), pn.Column(self.state, self.set_state, **WIDE), coding,
            align="start",
        )  # fmt: skip
        for column, least in zip(self.edits, (300, 300, 640), strict=True):
            column.styles = {**column.styles, "flex": f"1 1 min({least}px, 100%)"}
        self.expression = pmui.TextInput(label="an expression in the variables of this frame", **EDIT)
        self.expression.param.watch(lambda event: self.evaluate(), "enter_pressed")
        self.work_out = self._button("Evaluate", "play", self.evaluate)
        self.result = Live(css=CSS)
        self.evaluator = pn.Column(line(self.expression, self.work_out), self.result, **WIDE)
        self.bar = pn.Column(line(*self.buttons), self.note, visible=False, **WIDE)
        self.edits.visible = False
        self.evaluator.visible = commands.may_evaluate  # always: nothing jumps when an activity begins or ends

    def _button(self, label: str, name: str, act: Callable[[], Any], **look: Any) -> Any:
        button = pmui.Button(label=label, icon=icon(name), **{"variant": "outlined", **ROOM, **look})
        button.on_click(lambda event: act())
        return button

    # ---- what a person does

    def _give(self, command: str, **arguments: Any) -> bool:
        words = f"{command.replace('_', ' ')} {self.id}"
        return self.commands.do(words, lambda: self.commands.command(command, self.id, **arguments))

    def _retry_with_payload(self) -> None:
        self._give("retry", typed=str(value_of(self.payload)))

    def _set_state(self) -> None:
        self._give("edit_state", typed=str(value_of(self.state)))

    def _use_code(self) -> None:
        if self._give("edit_code", typed=str(value_of(self.code))):
            self._give("retry")

    def evaluate(self) -> None:
        """Work out what was typed, in the frame that is shown."""
        expression = str(value_of(self.expression)).strip()
        if not expression:
            return
        try:
            value = self.commands.command("evaluate", self.id, expression=expression, frame=self.frame).text
            words: Content = pre(safe_block(value, 4_000))
        except AgentError as error:
            words = div(with_glyph(STATUSES["error"], safe_text(str(error), 400)))
        self.values.appendleft(li(code(safe_text(expression, 200)), words))
        self.schedule(lambda: self.result.draw(ol(self.values, cls="values", aria_label="values")))

    # ---- drawing

    def draw(self, found: Whereabouts | None, frame: int | None) -> None:
        """Show what can be done now."""
        stop = found.stop if found is not None and found.how is How.STOPPED else None
        stop = None if stop is None or stop.kind is StopKind.PYTHON else stop
        self.frame = frame
        stops = self.commands.may_steer and stop is not None
        for pane in (self.bar, self.edits):
            if pane.visible != stops:
                pane.visible = stops
        if stop is not None and stop != self.stop:
            self._fill(stop)
        self.stop = stop

    def _fill(self, stop: Stop) -> None:
        for field, button, text in (
            (self.payload, self.again, stop.payload),
            (self.state, self.set_state, stop.state),
            (self.code, self.use_code, stop.code),
        ):
            field.param.update(value=text, value_input=text, disabled=not text)
            button.disabled = not text
        new = div("The new state: ", code(safe_text(stop.new, 400)), cls="new") if stop.new else None
        off = None if self.commands.may_evaluate else div(EVALUATOR_IS_OFF, cls="muted")
        self.note.draw((new, off))


EVALUATOR_IS_OFF = "Expressions are off on this page. Whoever serves it can allow them: manager.serve(evaluator=True)."
