"""The breakpoints of one runtime on its page: a button for each, and a line to add one at a step."""

from __future__ import annotations

from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.source import Source
from ..feed import Schedule, run_now
from ..html import Content, Markup, action, div, quiet, span
from ..inject.controls import value_of
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import safe_text

__all__ = ["BEFORE", "INSIDE", "Stops"]

BEFORE = {"priority": "a priority activity", "standard": "a standard activity", "error": "whatever follows a failure"}
INSIDE = {"step *": "at each step", "raise": "where it raises"}
MOST_STEPS = 6  # names of steps that are offered
SMALL = {"size": "small", "margin": (6, 0, 0, 0)}
CSS = """
.stops { margin-bottom: var(--s1); }
.stops button { all: unset; cursor: pointer; border: 1px solid var(--rt-line); border-radius: 999px; padding: 2px 11px;
  font-size: var(--t0); max-width: 100%; overflow-wrap: anywhere; box-sizing: border-box; }
.stops button[aria-pressed=true] { border-color: #B03A2E; font-weight: 600;
  background: color-mix(in srgb, #B03A2E 14%, transparent); }
.stops button[disabled] { cursor: default; color: var(--rt-muted); }
.stops button:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
"""


class Stops:
    """Where a runtime stops. `draw()` brings it up to date; `offer(name)` adds the name of a step to choose from."""

    def __init__(self, source: Source, id: str, commands: Commands, schedule: Schedule = run_now) -> None:
        self.source = source
        self.id = id
        self.commands = commands
        self.schedule = schedule
        self.steps: dict[str, None] = {}
        self.live = Live(css=CSS, on={"stop": self.toggle})
        self.step = pmui.TextInput(label="stop at the step", width=170, **SMALL)
        self.hits = pmui.TextInput(label="from hit", value="1", width=80, **SMALL)
        self.when = pmui.TextInput(label="if (an expression)", width=230, visible=commands.may_evaluate, **SMALL)
        self.add = pmui.Button(label="Add", variant="outlined", size="small", margin=(6, 0, 0, 0))
        self.add.on_click(lambda event: self.submit())
        for field in (self.step, self.when):
            field.param.watch(lambda event: self.submit(), "enter_pressed")
        self.form = line(self.step, self.hits, self.when, self.add)
        self.form.visible = commands.may_steer
        self.panel = pn.Column(self.live, self.form, **WIDE)

    def offer(self, step: str) -> None:
        """Offer a step that has been seen, by its name."""
        if step not in self.steps and len(self.steps) < MOST_STEPS:
            self.steps[step] = None

    # ---- what a person does

    def toggle(self, at: str) -> None:
        """Set or clear a breakpoint: by its name, or by the place of another one (only to clear)."""
        settings = self.source.settings(self.id)
        points = () if settings is None else settings.breakpoints
        if at in points:
            self._change("remove_breakpoint", place=points.index(at))
        elif at in BEFORE:
            self._change("add_breakpoint", at=at)
        elif at == "raise":
            self._change("add_breakpoint", error=True)
        elif at.startswith("step ") and at.removeprefix("step ") in ("*", *self.steps):
            self._change("add_breakpoint", step=at.removeprefix("step "))
        elif at.isdecimal() and int(at) < len(points):
            self._change("remove_breakpoint", place=int(at))
        self.schedule(self.draw)

    def submit(self) -> None:
        """Add what the fields say."""
        step, when, hits = (str(value_of(field)).strip() for field in (self.step, self.when, self.hits))
        if not step:
            return
        number = int(hits) if hits.isdecimal() else hits or 1
        condition = {"when": when} if when else {}
        done = self._change("add_condition" if when else "add_breakpoint", step=step, hits=number, **condition)
        if done:
            self.step.value = self.when.value = ""
        self.schedule(self.draw)

    def _change(self, command: str, **arguments: Any) -> bool:
        words = f"change breakpoints of {self.id}"
        return self.commands.do(words, lambda: self.commands.command(command, self.id, **arguments))

    # ---- drawing

    def draw(self) -> None:
        """Show which there are now."""
        self.live.draw(self._rows())

    def _rows(self) -> Content:
        settings = self.source.settings(self.id)
        if settings is None:
            return None
        names = settings.breakpoints
        inside = {**INSIDE, **{f"step {name}": f"at {name}" for name in self.steps}}
        others = [(str(at), name, True) for at, name in enumerate(names) if name not in BEFORE and name not in inside]
        return (
            self._row("Stop before", "breakpoints", [(at, what, at in names) for at, what in BEFORE.items()]),
            self._row("Stop inside", "stops inside", [(at, w, at in names) for at, w in inside.items()], others),
        )

    def _row(self, title: str, label: str, *choices: list[tuple[str, str, bool]]) -> Markup:
        off = not self.commands.may_steer
        buttons = [
            action("stop", "● " if on else "○ ", safe_text(what, 60), value=at, aria_pressed=on, disabled=off)
            for some in choices
            for at, what, on in some
        ]
        note = quiet("Paused between activities; step or resume continues.") if title == "Stop before" else None
        return div(span(title), buttons, " ", note, cls="row stops", role="group", aria_label=label)
