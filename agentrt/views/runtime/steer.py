"""The controls of one runtime: pause, resume, step, terminate, recover, and its limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.source import Settings, Source
from ...limits import Limits, Overflow
from ...snapshot import Snapshot, Status
from ..feed import Schedule, run_now
from ..html import div, with_glyph
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import plain, safe_text
from ..theme import STATUSES

__all__ = ["LimitField", "Steer", "number_or_none"]

SMALL = {"size": "small", "margin": (4, 0)}
FIELD = {**SMALL, "margin": (8, 0, 0, 0)}  # room for its label, which stands on its border
CSS = ".message { min-height: 20px; } .message .tone { font-weight: 500; }"


def number_or_none(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader of the text in such a field: a number, or none. It raises `ValueError` with a sentence.

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


class LimitField:
    """One limit as a text field. It shows what the runtime has, and marks what can't be set."""

    def __init__(self, steer: Steer, name: str, label: str, read: Callable[[str], Any], width: int = 148) -> None:
        self.steer = steer
        self.name = name
        self.read = read
        self.shown = self._text()
        self.widget = pmui.TextInput(label=label, value=self.shown, width=width, **FIELD)
        self.widget.param.watch(self._set_from, "value")

    def _text(self) -> str:
        value = getattr(self.steer.settings.limits, self.name)
        return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    def follow(self) -> None:
        """Show what the runtime has, if that is another."""
        text = self._text()
        if text != self.shown:
            self.shown = text
            self.widget.param.update(value=text, error_state=False)

    def _set_from(self, event: Any) -> None:
        if event.new == self.shown:
            return
        done = self._set(event.new)
        self.widget.error_state = not done
        if done:
            self.shown = ""
            self.steer.read()
            self.follow()

    def _set(self, text: str) -> bool:
        try:
            value = self.read(text)
        except ValueError as error:
            self.steer.say(str(error), True)
            return False
        return self.steer.commands.set(self.steer.id, self.name, value)


class Steer:
    """The row of buttons and the row of limits. `draw` brings them up to date with the runtime.

    A command runs on the thread of its button, which may be any; what is drawn then goes through `schedule(call)`.
    """

    def __init__(
        self, source: Source, id: str, commands: Commands, *, limits: bool = True, schedule: Schedule = run_now
    ) -> None:
        self.source = source
        self.id = id
        self.settings = Settings(paused=False, limits=Limits())
        self.read()
        self.commands = commands
        self.schedule = schedule
        self.message = Live(div(cls="message"), css=CSS)
        off = not commands.may_steer
        self.pause = self._button("Pause", "pause", lambda: self._toggle(), disabled=off)
        self.step = self._button("Step", "step", lambda: commands.step(id), disabled=off)
        self.recover = self._button("Recover", "recover", lambda: commands.recover(id), visible=False)
        self.end = self._button("Terminate", "stop", self._ask, color="error", disabled=off)
        self.confirm = self._button(
            f"Terminate {plain(id, 40)}",
            "stop",
            self._terminate,
            color="error",
            variant="contained",
            visible=False,
        )
        self.cancel = self._button("Keep it", "undo", self._cancel, visible=False)
        buttons = line(self.pause, self.step, self.recover, self.end, self.confirm, self.cancel)
        self.limits = self._limit_fields() if limits else []
        self.overflow = self._overflow_field() if limits else None
        self.panel = pn.Column(buttons, *self._limit_row(off), self.message, **WIDE)

    def read(self) -> Settings:
        """The settings as they are now; as they were last if the runtime has ended."""
        self.settings = self.source.settings(self.id) or self.settings
        return self.settings

    def _button(self, label: str, drawing: str, act: Callable[[], Any], **options: Any) -> Any:
        options = {"variant": "outlined", "color": "primary", **SMALL, **options}
        button = pmui.Button(label=label, icon=icon(drawing), **options)
        button.on_click(lambda event: act())
        return button

    def _limit_fields(self) -> list[LimitField]:
        whole = number_or_none(int)
        return [
            LimitField(self, "timeout", "timeout (s)", number_or_none(float)),
            LimitField(self, "priority_capacity", "priority capacity", whole),
            LimitField(self, "standard_capacity", "standard capacity", whole),
            LimitField(self, "fairness", "fairness", whole),
            LimitField(self, "retries", "retries", whole),
        ]

    def _overflow_field(self) -> Any:
        words = {word.value.replace("_", " "): word.value for word in Overflow}
        value = str(self.settings.limits.overflow)
        select = pmui.Select(label="when a lane is full", options=words, value=value, width=150, **FIELD)
        select.param.watch(self._set_overflow, "value")
        return select

    def _set_overflow(self, event: Any) -> None:
        now = str(self.read().limits.overflow)
        if event.new != now and not self.commands.set(self.id, "overflow", event.new):
            event.obj.value = now

    def _limit_row(self, off: bool) -> list[Any]:
        if self.overflow is None:
            return []
        widgets = [field.widget for field in self.limits] + [self.overflow]
        for widget in widgets:
            widget.disabled = off
        return [line(*widgets)]

    def _toggle(self) -> None:
        self.commands.toggle(self.id)

    def _ask(self) -> None:
        self.say("What waits in it goes to the dead letters. This can't be undone.", False)
        self._show_question(True)

    def _cancel(self) -> None:
        self.say("", False)
        self._show_question(False)

    def _terminate(self) -> None:
        self._show_question(False)
        self.commands.terminate(self.id)

    def _show_question(self, asking: bool) -> None:
        def show() -> None:
            self.end.visible = not asking
            self.confirm.visible = self.cancel.visible = asking

        self.schedule(show)

    def say(self, text: str, wrong: bool) -> None:
        """One line under the controls."""
        words = safe_text(text, 300)
        html = div(with_glyph(STATUSES["error"], words) if wrong else words, cls="message", role="status")
        self.schedule(lambda: self.message.draw(html))

    def draw(self, snapshot: Snapshot) -> None:
        """Bring the controls up to date."""
        over = snapshot.status is Status.TERMINATED
        paused = self.read().paused
        off = over or not self.commands.may_steer
        set_changes(
            self.pause, label="Resume" if paused else "Pause", icon=icon("play" if paused else "pause"), disabled=off
        )
        set_changes(self.step, disabled=off or not any(snapshot.depth))
        set_changes(self.end, disabled=off)
        set_changes(self.recover, visible=snapshot.status is Status.FAILED, disabled=off)
        for field in self.limits:
            field.follow()
            set_changes(field.widget, disabled=off)
        if self.overflow is not None:
            set_changes(self.overflow, value=str(self.settings.limits.overflow), disabled=off)


def set_changes(widget: Any, **values: Any) -> None:
    """Set the values that differ: setting an equal one would send it to the page too."""
    new = {name: value for name, value in values.items() if getattr(widget, name) != value}
    if new:
        widget.param.update(**new)
