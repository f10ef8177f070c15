"""Take part: send what a person typed to a runtime, once or as a burst, and see what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.source import Source
from ..html import code, fragment, quiet
from ..icons import icon
from ..live import Live
from ..role import Commands
from ..theme import LANES
from .controls import MaterialControls, editor, mark, value_of
from .injection import JSON, OPTIONS, Injection

__all__ = ["Inject"]

CSS = ".sends p { padding: 3px 0; overflow-wrap: anywhere; }"
ROOM = {"margin": (6, 6), "size": "small"}
BURST = ("count", "rate")
NO_FORM = fragment(
    quiet("There is no form: its workflow says of no type what a payload is, so type JSON. With a type, as in "),
    *(code("activity: Activity[Order]"), quiet(", the fields of it are asked for here.")),
)


class Inject(pn.viewable.Viewer):
    """The form of a runtime's payload, or raw JSON; lane, delay, burst; and what happened, refreshed by `update`.

    A send runs on the thread of the button that was pressed. The page is drawn through `schedule(call)`, which runs the
    call where the models of the session may be changed; without it, at once.
    """

    def __init__(
        self,
        source: Source,
        id: str,
        commands: Commands | None = None,
        schedule: Callable[[Callable[[], Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self.schedule = schedule or (lambda call: call())
        self.injection = Injection(source, id, commands, lambda: schedule and schedule(self.draw))
        self.lane = toggle({f"{look.glyph} {look.word}": name for name, look in reversed(LANES.items())}, LANE_SX)
        self.mode = toggle({"form": "form", "JSON": JSON}, {})
        self.options = MaterialControls(OPTIONS, self.send, width=130)
        self.raw = editor(label="payload as JSON", sizing_mode="stretch_width", **ROOM)
        self.fields = MaterialControls(self.injection.form, self.send)
        self.send_button = material_button("Send", "send", self.send, color="primary", variant="contained")
        self.burst_button = material_button("Burst", "bolt", self.burst)
        self.stop_button = material_button("Stop", "stop", self.stop, color="error")
        self.progress = pmui.LinearProgress(
            value=0, max=1, variant="determinate", sizing_mode="stretch_width", margin=(6, 6)
        )
        self.result = Live(css=CSS, margin=(0, 6))
        self.hint = Live(margin=(0, 6))
        self.body = pmui.Column(sizing_mode="stretch_width", margin=0)
        self.panel = self._layout()
        self.mode.param.watch(lambda event: self.schedule(self._arrange), "value")
        self._adapt()
        self.draw()

    def __panel__(self) -> Any:
        return self.panel

    def _layout(self) -> Any:
        options = self.options.by_name
        return pmui.Column(
            pmui.FlexBox(self.lane, self.mode, align_items="center"),
            self.hint,
            self.body,
            pmui.FlexBox(self.send_button, options["delay"], align_items="flex-start"),
            pmui.FlexBox(
                self.burst_button, *(options[name] for name in BURST), self.stop_button, align_items="flex-start"
            ),
            self.progress,
            self.result,
            sizing_mode="stretch_width",
            margin=0,
        )

    def _adapt(self) -> None:
        """New controls for another payload type."""
        self.fields = MaterialControls(self.injection.form, self.send)
        self.raw.value = self.injection.form.text
        form = self.injection.form
        self.mode.visible = form.record or any(field.kind != "json" for field in form.fields)
        self.hint.draw(None if self.mode.visible else NO_FORM)
        self._arrange()

    def _arrange(self) -> None:
        self.body[:] = (
            [self.raw] if self.mode.value == JSON else [pmui.FlexBox(*self.fields.by_name.values(), gap="0px")]
        )

    # -- commands

    def send(self, event: Any = None) -> None:
        """Send once what the fields hold."""
        self.injection.send(self._payload(), self.options.values, lane=self.lane.value)
        self.schedule(self.draw)

    def burst(self, event: Any = None) -> None:
        """Send it as a burst."""
        self.injection.start(self._payload(), self.options.values, lane=self.lane.value)
        self.schedule(self.draw)

    def stop(self, event: Any = None) -> None:
        """End the burst."""
        self.injection.stop()
        self.schedule(self.draw)

    def _payload(self) -> Any:
        return str(value_of(self.raw)) if self.mode.value == JSON else self.fields.values

    # -- drawing

    def update(self, update: Any) -> bool:
        """Draw what is new. True while something is pending: it will look different without a new record."""
        if self.injection.adapt():
            self._adapt()
        self.draw()
        return self.injection.moving

    def draw(self) -> None:
        """Draw what is wrong, what was sent and how far a burst is."""
        injection = self.injection
        self.fields.show(injection.problems)
        self.options.show(injection.option_problems)
        mark(self.raw, injection.problems.get(JSON, ""))
        burst = injection.progress
        bursting = burst is not None and burst.running
        self.progress.param.update(visible=bursting, value=burst.sent if burst else 0, max=burst.total if burst else 1)
        self.burst_button.disabled = bursting
        self.stop_button.visible = bursting
        self.result.draw(injection.words())


CALM = {"& .MuiToggleButton-root": {"textTransform": "none", "whiteSpace": "nowrap", "padding": "5px 12px"}}
LANE_SX = {
    f"& .MuiToggleButton-root.Mui-selected:nth-of-type({place})": {
        "backgroundColor": look.tone,
        "color": "#14171a",
        "&:hover": {"backgroundColor": look.tone},
    }
    for place, look in enumerate(reversed(LANES.values()), start=1)
}


def toggle(options: dict[str, str], sx: dict[str, Any]) -> Any:
    """A choice between the keys of `options`; the first at the start."""
    first = next(iter(options.values()))
    return pmui.RadioButtonGroup(options=options, value=first, sx={**CALM, **sx}, variant="outlined", **ROOM)


def material_button(label: str, drawing: str, on_click: Callable[[Any], Any], **look: Any) -> Any:
    """A button with a drawing of `icons`: an icon font would be fetched from the web."""
    button = pmui.Button(label=label, icon=icon(drawing), **{"variant": "outlined", **ROOM, **look})
    button.on_click(on_click)
    return button
