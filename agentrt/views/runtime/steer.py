"""Steering one runtime: pause, resume, step, terminate, recover, and every knob."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...limits import Overflow
from ...snapshot import Snapshot, Status
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import plain, safe_text
from ..theme import STATUSES

__all__ = ["Knob", "Steer", "number_or_none"]

Soon = Callable[[Callable[[], Any]], Any]
SMALL = {"size": "small", "margin": (4, 0)}
FIELD = {**SMALL, "margin": (8, 0, 0, 0)}  # room for its label, which stands on its border
CSS = ".said { min-height: 20px; } .said .tone { font-weight: 500; }"


def at_once(call: Callable[[], Any]) -> Any:
    """Where a callback may draw by itself: on a served page it runs in its session."""
    return call()


def number_or_none(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Reads what a person typed into a knob: a number, or none. Raises `ValueError` with a sentence.

    >>> number_or_none(float)("2.5 s"), number_or_none(int)("none")
    (2.5, None)
    """

    def read(text: str) -> Any:
        word = text.strip().lower().removesuffix("s").strip()
        if word in ("", "none", "non", "-"):
            return None
        try:
            return kind(word)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{plain(text, 40)!r} is not {what}; give one, or none") from None

    return read


class Knob:
    """One limit as a text field. It follows the runtime, and says at the field what is wrong with what was typed."""

    def __init__(self, steer: Steer, name: str, label: str, read: Callable[[str], Any], width: int = 128) -> None:
        self.steer = steer
        self.name = name
        self.read = read
        self.shown = self._text()
        self.widget = pmui.TextInput(label=label, value=self.shown, width=width, **FIELD)
        self.widget.param.watch(self._typed, "value")

    def _text(self) -> str:
        value = getattr(self.steer.runtime, self.name)
        return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    def follow(self) -> None:
        """Show what the runtime has, if that is another."""
        text = self._text()
        if text != self.shown:
            self.shown = text
            self.widget.param.update(value=text, error_state=False)

    def _typed(self, event: Any) -> None:
        if event.new == self.shown:
            return
        done = self._turn(event.new)
        self.widget.error_state = not done
        if done:
            self.shown = ""
            self.follow()

    def _turn(self, text: str) -> bool:
        try:
            value = self.read(text)
        except ValueError as error:
            self.steer.say(str(error), True)
            return False
        return self.steer.commands.set(self.steer.runtime, self.name, value)


class Steer:
    """The row of buttons and the row of knobs. `draw` lets them follow the runtime.

    A command is carried out where its button was pressed, on any thread; what is drawn of it goes through `soon(call)`.
    """

    def __init__(self, runtime: Any, commands: Commands, *, knobs: bool = True, soon: Soon = at_once) -> None:
        self.runtime = runtime
        self.commands = commands
        self.soon = soon
        self.said = Live('<div class="said"></div>', css=CSS)
        off = not commands.may_steer
        self.pause = self._button("Pause", "pause", lambda: self._toggle(), disabled=off)
        self.step = self._button("Step", "step", lambda: commands.step(runtime), disabled=off)
        self.recover = self._button("Recover", "recover", lambda: commands.recover(runtime), visible=False)
        self.end = self._button("Terminate", "stop", self._ask, color="error", disabled=off)
        self.sure = self._button(
            f"Terminate {plain(runtime.id, 40)}",
            "stop",
            self._terminate,
            color="error",
            variant="contained",
            visible=False,
        )
        self.keep = self._button("Keep it", "undo", self._calm, visible=False)
        buttons = line(self.pause, self.step, self.recover, self.end, self.sure, self.keep)
        self.knobs = self._knobs() if knobs else []
        self.overflow = self._overflow() if knobs else None
        self.panel = pn.Column(buttons, *self._knob_row(off), self.said, **WIDE)

    def _button(self, label: str, drawing: str, act: Callable[[], Any], **options: Any) -> Any:
        options = {"variant": "outlined", "color": "primary", **SMALL, **options}
        button = pmui.Button(label=label, icon=icon(drawing), **options)
        button.on_click(lambda event: act())
        return button

    def _knobs(self) -> list[Knob]:
        whole = number_or_none(int)
        return [
            Knob(self, "timeout", "timeout (s)", number_or_none(float)),
            Knob(self, "priority_capacity", "priority capacity", whole),
            Knob(self, "standard_capacity", "standard capacity", whole),
            Knob(self, "fairness", "fairness", whole),
            Knob(self, "retries", "retries", whole),
        ]

    def _overflow(self) -> Any:
        words = {word.value.replace("_", " "): word.value for word in Overflow}
        value = str(self.runtime.overflow)
        select = pmui.Select(label="when a lane is full", options=words, value=value, width=150, **FIELD)
        select.param.watch(self._overflow_chosen, "value")
        return select

    def _overflow_chosen(self, event: Any) -> None:
        if event.new != str(self.runtime.overflow) and not self.commands.set(self.runtime, "overflow", event.new):
            event.obj.value = str(self.runtime.overflow)

    def _knob_row(self, off: bool) -> list[Any]:
        if self.overflow is None:
            return []
        widgets = [knob.widget for knob in self.knobs] + [self.overflow]
        for widget in widgets:
            widget.disabled = off
        return [line(*widgets)]

    def _toggle(self) -> None:
        (self.commands.resume if self.runtime.paused else self.commands.pause)(self.runtime)

    def _ask(self) -> None:
        self.say("What waits in it goes to the dead letters. This can't be undone.", False)
        self._asking(True)

    def _calm(self) -> None:
        self.say("", False)
        self._asking(False)

    def _terminate(self) -> None:
        self._asking(False)
        self.commands.terminate(self.runtime)

    def _asking(self, asking: bool) -> None:
        def show() -> None:
            self.end.visible = not asking
            self.sure.visible = self.keep.visible = asking

        self.soon(show)

    def say(self, text: str, wrong: bool) -> None:
        """One line under the controls."""
        look = STATUSES["error"]
        mark = f'<span class="tone" style="--tone:{look.tone}">{look.glyph} {safe_text(text, 300)}</span>'
        html = f'<div class="said" role="status">{mark if wrong else safe_text(text, 300)}</div>'
        self.soon(lambda: self.said.draw(html))

    def draw(self, snapshot: Snapshot) -> None:
        """Let the controls follow."""
        over = snapshot.status is Status.TERMINATED
        paused = bool(self.runtime.paused)
        off = over or not self.commands.may_steer
        set_if(
            self.pause, label="Resume" if paused else "Pause", icon=icon("play" if paused else "pause"), disabled=off
        )
        set_if(self.step, disabled=off or not any(snapshot.depth))
        set_if(self.end, disabled=off)
        set_if(self.recover, visible=snapshot.status is Status.FAILED, disabled=off)
        for knob in self.knobs:
            knob.follow()
            set_if(knob.widget, disabled=off)
        if self.overflow is not None:
            set_if(self.overflow, value=str(self.runtime.overflow), disabled=off)


def set_if(widget: Any, **values: Any) -> None:
    """Set only what differs, so that nothing is sent otherwise."""
    new = {name: value for name, value in values.items() if getattr(widget, name) != value}
    if new:
        widget.param.update(**new)
