"""Changing the payload of a waiting activity: a form or JSON, with the current payload in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec
import panel as pn
import panel_material_ui as pmui

from ...activity import Activity
from ...errors import ActivityValidationError
from ...schema.convert import is_pydantic, parse_json, to_json
from ...schema.fields import Field
from ...schema.form import Form
from ..html import Content, strong, with_glyph
from ..inject.controls import MaterialControls, editor, mark, value_of
from ..inject.inject import toggle
from ..inject.injection import JSON, by_field
from ..layout import WIDE, line
from ..live import Live
from ..runtime.steer import Soon, at_once
from ..text import safe_text
from ..theme import STATUSES

__all__ = ["PayloadEditor", "form_of", "type_of"]

PLAIN = (dict, list, str, int, float, bool)
LOSSY = "Parts of this payload can't be written as JSON; they are null here, and would be lost."
ROOM = {"margin": (4, 0), "size": "small"}


def type_of(accepts: Any, payload: Any) -> Any:
    """The type of a changed payload: what the runtime accepts; where it accepts any, the class of one that JSON lacks.

    >>> type_of(None, {"a": 1}), type_of(None, (1, 2)), type_of(int, True)
    (None, <class 'tuple'>, <class 'int'>)
    """
    if accepts is not None:
        return accepts
    return None if payload is None or type(payload) in PLAIN else type(payload)


def is_whole(payload: Any) -> bool:
    """Whether JSON can hold all of it."""

    def encode(value: Any) -> Any:
        if is_pydantic(type(value)) or isinstance(value, Enum):
            return None
        raise TypeError

    try:
        msgspec.to_builtins(payload, str_keys=True, enc_hook=encode)
    except Exception:  # its fields may be anybody's code
        return False
    return True


def form_of(form: Form, payload: Any) -> Form:
    """The form with the values of a payload in its fields. `AttributeError` or `KeyError` if it lacks a field."""
    if not form.record:
        return msgspec.structs.replace(form, fields=(_field_with(form.fields[0], payload),))
    read = payload.__getitem__ if isinstance(payload, Mapping) else lambda name: getattr(payload, name)
    return msgspec.structs.replace(form, fields=tuple(_field_with(field, read(field.name)) for field in form.fields))


def _field_with(field: Field, value: Any) -> Field:
    # Required: the default of its type must not replace a value that was cleared.
    return msgspec.structs.replace(field, default=value, required=True)


class PayloadEditor:
    """The editor of one activity. `save(payload)` is called once what was typed is a valid payload."""

    def __init__(
        self,
        runtime: Any,
        activity: Activity[Any],
        save: Callable[[Any], Any],
        close: Callable[[], Any],
        soon: Soon = at_once,
    ) -> None:
        self.runtime = runtime
        self.id = activity.id
        self.save = save
        self.soon = soon
        self.type = type_of(runtime.accepts, activity.payload)
        self.controls = self._controls(activity.payload)
        self.raw = editor(label="payload as JSON", value=to_json(activity.payload), sizing_mode="stretch_width", **ROOM)
        self.mode = toggle({"form": "form", "JSON": JSON}, {})
        self.mode.visible = self.controls is not None
        self.mode.param.watch(lambda event: self.soon(self._arrange), "value")
        self.save_button = self._button("Change it", self.submit, variant="contained")
        self.cancel_button = self._button("Leave it", close, variant="outlined")
        self.message = Live(_problem("" if is_whole(activity.payload) else LOSSY))
        self.body = pn.Column(**WIDE)
        self._arrange()
        head = Live(strong(f"Change the payload of activity {self.id}"), margin=(8, 0, 0, 0))
        self.panel = pn.Column(
            head, self.mode, self.body, line(self.save_button, self.cancel_button), self.message, **WIDE
        )

    def _controls(self, payload: Any) -> MaterialControls | None:
        form = Form.of(self.type)
        if not form.record and form.fields[0].kind == "json":
            return None  # its only field is the JSON editor
        try:
            return MaterialControls(form_of(form, payload), self.submit)
        except (AttributeError, KeyError):  # the runtime accepts another type by now
            return None

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
        try:
            payload = self._payload()
        except ActivityValidationError as error:
            problems = error.problems or {"": str(error)}
            self.soon(lambda: self._show(problems))
        else:
            self.save(payload)

    def _payload(self) -> Any:
        if self.controls is None or self._as_json:
            payload = parse_json(str(value_of(self.raw)), self.type)
        else:
            payload = self.controls.form.build(self.controls.values)
        self.runtime.validate(payload)
        return payload

    def _show(self, problems: Mapping[str, str]) -> None:
        placed, rest = by_field(problems, Form.of(self.type), self._as_json)
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
