"""A runtime in plain ipywidgets, for front ends that speak nothing else: lanes, steering, and the injection form."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as ipw

from ...feed.source import Frame, HasRuntime, PayloadForm, Subject
from ...schema.fields import Field
from ...schema.form import Form
from ...snapshot import Snapshot, Status
from ..html import Content, Markup, b, br, fragment, small, span, symbol
from ..inject.injection import JSON, OPTIONS, Injection
from ..role import Commands
from ..text import plain, safe_text
from ..theme import LANES, STATUSES, Look, look_of
from .card import display
from .static_render import text_and_picture
from .widget_display import WidgetDisplay

__all__ = ["Widget"]

NAMED = {"description_width": "110px"}
WIDE = {"width": "100%", "max_width": "640px"}
BAR = {"width": "420px"}
NARROW = {"width": "210px"}
WRAPPED = {"flex_flow": "row wrap"}
WRONG = "color:#B03A2E"
OVER = (Status.TERMINATED, Status.FAILED)


class Widget(ipw.VBox):
    """Shows and steers one runtime. It follows the runtime while a front end shows it, until `close()`.

    Frames are drawn on the thread of the hub, so it stays up to date while a cell runs; buttons may be pressed on any
    other thread. One lock keeps the two apart.
    """

    def __init__(self, runtime: HasRuntime) -> None:
        self.source, self.id = runtime.manager.source, runtime.id
        self.lock = threading.RLock()
        self.commands = Commands(self.source, tell=self._refuse)
        self.injection = Injection(self.source, self.id, changed=self.draw, label=label)
        self.refusal = ""
        self.status = ipw.HTML()
        self.bars = {name: LaneBar(look) for name, look in LANES.items()}
        self.pause_button = button("Pause", "pause", self.toggle_pause)
        self.step_button = button("Step", "step-forward", self.step)
        self.lane = ipw.ToggleButtons(
            options=[(f"{look.glyph} {name}", name) for name, look in reversed(LANES.items())]
        )
        self.mode = ipw.ToggleButtons(options=[("form", "form"), ("JSON", JSON)])
        self.fields = Controls(self.injection.form)
        self.raw = Control(Field(JSON, label="JSON"))
        self.options = Controls(OPTIONS, across=True)
        self.send_button = button("Send", "paper-plane", self.send, button_style="primary")
        self.burst_button = button("Burst", "bolt", self.burst)
        self.stop_button = button("Stop", "stop", self.stop, button_style="danger")
        self.progress = ipw.IntProgress(description="burst", style=NAMED, layout=BAR)
        self.result = ipw.HTML()
        self.body = ipw.VBox()
        super().__init__(self._layout())
        self._detach: Callable[[], None] | None = None
        self._display = WidgetDisplay()
        self.mode.observe(lambda change: self._arrange(), "value")
        self.raw.widget.value = self.injection.form.text
        self._arrange()
        self._attach()
        self._view_count = 0  # from here on the front end counts how often it shows this
        self.observe(self._count_views, "_view_count")

    def _layout(self) -> list[Any]:
        return [
            ipw.HBox([self.status, self.pause_button, self.step_button], layout=WRAPPED),
            *(bar.box for bar in self.bars.values()),
            ipw.HBox([self.lane, self.mode], layout=WRAPPED),
            self.body,
            self.options.box,
            ipw.HBox([self.send_button, self.burst_button, self.stop_button]),
            self.progress,
            self.result,
        ]

    def _adapt(self) -> None:
        """New controls for another payload type."""
        old, self.fields = self.fields, Controls(self.injection.form)
        self.raw.widget.value = self.injection.form.text
        self._arrange()
        close_all(old.box)

    def _arrange(self) -> None:
        with self.lock:
            self.body.children = [self.raw.box if self.mode.value == JSON else self.fields.box]

    def _ipython_display_(self) -> None:
        """What IPython calls for the last expression of a cell."""
        text, picture = text_and_picture(Subject(self.source, self.id))
        self._display.show(self, picture, text)

    def _display_(self) -> Any:
        """What marimo shows, which has no ipywidgets: the live view of the runtime."""
        return display(Subject(self.source, self.id))

    # -- updates

    def _attach(self) -> None:
        if self._detach is None:
            self._detach = self.source.attach(self.update)

    def detach(self) -> None:
        """Stop following the runtime. Idempotent."""
        detach, self._detach = self._detach, None
        if detach is not None:
            detach()

    def _count_views(self, change: Mapping[str, Any]) -> None:
        (self._attach if change["new"] else self.detach)()

    def close(self) -> None:
        """Stop following and take it off every page."""
        self.detach()
        close_all(self.fields.box, self.raw.box, *parts(self))
        super().close()

    def update(self, frame: Frame) -> None:
        """Draw what is new; the hub calls it."""
        if frame.first or self.id in frame.changed:
            with self.lock:
                if self.injection.adapt():
                    self._adapt()
                self.draw()

    # -- commands

    def toggle_pause(self, event: Any = None) -> None:
        """Pause, or continue."""
        self.commands.toggle(self.id)
        self.draw()

    def step(self, event: Any = None) -> None:
        """Pause, and process the next waiting activity."""
        self.commands.step(self.id)
        self.draw()

    def send(self, event: Any = None) -> None:
        """Send once what is typed."""
        self.injection.send(self._payload(), self.options.typed, lane=self.lane.value)
        self.draw()

    def burst(self, event: Any = None) -> None:
        """Send it many times."""
        self.injection.start(self._payload(), self.options.typed, lane=self.lane.value)
        self.draw()

    def stop(self, event: Any = None) -> None:
        """End the burst."""
        self.injection.stop()
        self.draw()

    def _payload(self) -> Any:
        return self.raw.widget.value if self.mode.value == JSON else self.fields.typed

    def _refuse(self, text: str, wrong: bool) -> None:
        self.refusal = text

    # -- drawing

    def draw(self) -> None:
        """Show how the runtime is, what is wrong with what was typed, and what became of what was sent."""
        shot = self.source.snapshot(self.id, metrics=False)
        with self.lock:
            if shot is not None:
                self._draw_runtime(shot)
            self._draw_injection()

    def _draw_runtime(self, shot: Snapshot) -> None:
        self.status.value = status_line(shot, self.refusal)
        for bar, depth, capacity in zip(self.bars.values(), shot.depth, shot.capacity, strict=True):
            bar.show(depth, capacity)
        settings = self.source.settings(self.id)
        paused = settings is not None and settings.paused
        self.pause_button.description, self.pause_button.icon = ("Resume", "play") if paused else ("Pause", "pause")
        self.pause_button.disabled = self.step_button.disabled = shot.status in OVER

    def _draw_injection(self) -> None:
        injection, burst = self.injection, self.injection.progress
        self.fields.show(injection.problems)
        self.options.show(injection.option_problems)
        self.raw.mark(injection.problems.get(JSON, ""))
        bursting = burst is not None and burst.running
        self.burst_button.disabled = bursting
        self.stop_button.layout.display = self.progress.layout.display = "" if bursting else "none"
        if burst is not None:
            self.progress.max, self.progress.value = burst.total, burst.sent
        self.result.value = injection.words()


class LaneBar:
    """The depth of one lane against its capacity, on a scale of its own colour."""

    def __init__(self, look: Look) -> None:
        style = {**NAMED, "bar_color": look.tone}
        self.progress = ipw.IntProgress(description=f"{look.glyph} {look.word}", style=style, layout=BAR)
        self.text = ipw.Label()
        self.box = ipw.HBox([self.progress, self.text])

    def show(self, depth: int, capacity: int) -> None:
        """So many wait, of so many that may."""
        self.progress.max = max(capacity, 1)
        self.progress.value = min(depth, self.progress.max)
        self.text.value = f"{depth:,} of {capacity:,} waiting"


class Control:
    """One field: its widget, and a line under it for what is wrong or what it is for."""

    def __init__(self, field: Field, narrow: bool = False) -> None:
        self.field = field
        self.widget = widget_of(field, narrow)
        self.note = ipw.HTML(layout={"margin": "0 0 0 4px" if narrow else "0 0 0 118px"})
        self.box = ipw.VBox([self.widget, self.note])
        self.mark("")

    def mark(self, problem: str) -> None:
        """Say what is wrong; with no problem, what the field is for."""
        if problem:
            self.note.value = b(symbol(STATUSES["error"]), " ", safe_text(problem, 300), style=WRONG)
        else:
            self.note.value = small(safe_text(self.field.doc)) if self.field.doc else ""


class Controls:
    """The controls of a form: one below the other, or narrow ones side by side."""

    def __init__(self, form: Form | PayloadForm, across: bool = False) -> None:
        self.by_name = {field.name: Control(field, across) for field in form.fields}
        boxes = [control.box for control in self.by_name.values()]
        self.box = ipw.HBox(boxes, layout=WRAPPED) if across else ipw.VBox(boxes)

    @property
    def typed(self) -> dict[str, Any]:
        """What the controls hold now, by field."""
        return {name: control.widget.value for name, control in self.by_name.items()}

    def show(self, problems: Mapping[str, str]) -> None:
        """Mark the fields that are wrong, and only those."""
        for name, control in self.by_name.items():
            control.mark(problems.get(name, ""))


def widget_of(field: Field, narrow: bool = False) -> Any:
    """The ipywidget for one field, holding what the field starts with."""
    look = {"style": {"description_width": "initial"}, "layout": NARROW} if narrow else {"style": NAMED, "layout": WIDE}
    shared = {"description": plain(field.label, 60) + (" *" if field.required else ""), **look}
    if field.kind == "bool":
        return ipw.Checkbox(value=field.initial, indent=True, **shared)
    if field.kind == "choice":
        options = [(plain(choice.label, 60), choice.value) for choice in field.choices]
        return ipw.Dropdown(options=options, value=field.initial, **shared)
    kind = ipw.Textarea if field.kind == "json" else ipw.Text
    return kind(value=field.initial, placeholder=plain(field.expects, 60), **shared)


def parts(widget: Any) -> list[Any]:
    """Every widget that belongs to one: what is in it, and their layouts and styles."""
    looks = [getattr(widget, name) for name in ("layout", "style") if widget.has_trait(name)]
    inside = [*getattr(widget, "children", ()), *looks]
    return inside + [each for child in inside for each in parts(child)]


def close_all(*widgets: Any) -> None:
    """Close widgets and all that belongs to them."""
    for each in [*widgets, *(part for widget in widgets for part in parts(widget))]:
        each.close()


def status_line(shot: Snapshot, refused: str) -> Markup:
    """Id, status, counts and the state in one line; under it what was refused."""
    counts = f"{shot.fates.done:,} done, {shot.fates.failed + shot.fates.timed_out:,} failed"
    name, status, state = b(safe_text(shot.id, 60)), label(look_of(shot.status)), safe_text(shot.state, 80)
    refusal = (br(), b(symbol(STATUSES["error"]), " ", safe_text(refused, 300), style=WRONG)) if refused else None
    return fragment(name, " ", status, f" {counts}, state ", state, refusal)


def label(look: Look, text: Content = None) -> Markup:
    """A status, lane or fate with its glyph; it needs no style sheet."""
    style = f"border:1px solid {look.tone};border-radius:8px;padding:0 6px;white-space:nowrap"
    return span(symbol(look), " ", text or look.word, style=style)


def button(description: str, icon: str, pressed: Callable[[Any], Any], **look: Any) -> Any:
    """A button that does this when it is pressed."""
    made = ipw.Button(description=description, icon=icon, layout={"width": "auto"}, **look)
    made.on_click(pressed)
    return made
