"""A Material control for each kind of field, with room under it for what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import panel_material_ui as pmui

from ...feed.source import PayloadForm
from ...schema.fields import Field
from ...schema.form import Form
from ..text import plain

__all__ = ["MaterialControls", "editor", "mark", "value_of"]

LONGEST = 100_000  # characters of one field
MONO = {"& textarea": {"fontFamily": "ui-monospace, 'DejaVu Sans Mono', Menlo, monospace", "fontSize": "13px"}}


class MaterialControls:
    """The controls of a form. `on_enter()` is called when Enter is pressed in a field of one line.

    React renders labels and texts as text: they pass `plain`, which makes control characters visible, and no escaping.
    """

    def __init__(self, form: Form | PayloadForm, on_enter: Callable[[], Any], *, width: int | None = None) -> None:
        self.form = form
        self.by_name = {field.name: control_of(field, width) for field in form.fields}
        for control in self.by_name.values():
            if isinstance(control, pmui.TextInput):
                control.param.watch(lambda event: on_enter(), "enter_pressed")

    @property
    def values(self) -> dict[str, Any]:
        """What the controls hold now, by field."""
        return {name: value_of(control) for name, control in self.by_name.items()}

    def show(self, problems: Mapping[str, str]) -> None:
        """Mark the fields that are wrong, and no others."""
        for field in self.form.fields:
            mark(self.by_name[field.name], problems.get(field.name, ""), field.doc)


def control_of(field: Field, width: int | None = None) -> Any:
    """The control of one field, with the value that the field starts with."""
    label = plain(field.label, 60) + (" *" if field.required else "")
    size = {"width": width} if width else {"sizing_mode": "stretch_width", "min_width": 160}
    shared = {"label": label, "size": "small", "margin": (6, 6), **size}
    if field.kind == "bool":
        return pmui.Checkbox(value=field.initial, description=plain(field.doc), **shared)
    shared["helper_text"] = plain(field.doc)
    if field.kind == "choice":
        options = {plain(choice.label, 60): choice.value for choice in field.choices}
        return pmui.Select(options=options, value=field.initial, **shared)
    shared |= {"value": field.initial, "placeholder": plain(field.expects, 60), "max_length": LONGEST}
    if field.kind == "json":
        return editor(**shared)
    return pmui.TextInput(**shared)


def editor(**settings: Any) -> Any:
    """A control for several lines of JSON; Shift and Enter ends it."""
    return pmui.TextAreaInput(
        **{"auto_grow": True, "rows": 2, "max_rows": 14, "sx": MONO, "max_length": LONGEST, **settings}
    )


def value_of(control: Any) -> Any:
    """What a control holds at this moment. Of a text, the latest keystroke, though nobody has pressed Enter or Tab."""
    latest = getattr(control, "value_input", None)
    return control.value if latest is None else latest


def mark(control: Any, problem: str, otherwise: str = "") -> None:
    """Write at a control what is wrong with it; without a problem, `otherwise`: what it is for."""
    if "helper_text" in control.param:
        control.param.update(error_state=bool(problem), helper_text=plain(problem or otherwise, 300))
    else:
        control.param.update(color="error" if problem else "primary", description=plain(problem or otherwise, 300))
