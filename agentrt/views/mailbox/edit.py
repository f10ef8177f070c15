"""Changing the payload of a waiting activity: its form or its JSON, filled with what it is now."""

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
from ..inject.controls import MaterialControls, editor, mark, value_of
from ..inject.inject import toggle
from ..inject.injection import JSON, by_field
from ..layout import WIDE, line
from ..live import Live
from ..runtime.steer import Soon, at_once
from ..text import safe_text
from ..theme import STATUSES, toned

__all__ = ["Edit", "filled", "type_of"]

PLAIN = (dict, list, str, int, float, bool)
LOSSY = "Parts of this payload can't be written as JSON; they are null here, and would be lost."
ROOM = {"margin": (4, 0), "size": "small"}


def type_of(accepts: Any, payload: Any) -> Any:
    """What a changed payload has to be: what the runtime takes; where it takes any, the class of one that JSON lacks.

    >>> type_of(None, {"a": 1}), type_of(None, (1, 2)), type_of(int, True)
    (None, <class 'tuple'>, <class 'int'>)
    """
    if accepts is not None:
        return accepts
    return None if payload is None or type(payload) in PLAIN else type(payload)


def is_whole(payload: Any) -> bool:
    """Whether JSON can hold all of it."""

    def known(value: Any) -> Any:
        if is_pydantic(type(value)) or isinstance(value, Enum):
            return None
        raise TypeError

    try:
        msgspec.to_builtins(payload, str_keys=True, enc_hook=known)
    except Exception:  # its fields may be anybody's code
        return False
    return True


def filled(form: Form, payload: Any) -> Form:
    """The same form, that starts with what the payload holds. `AttributeError` or `KeyError` if it lacks a field."""
    if not form.record:
        return msgspec.structs.replace(form, fields=(_starting(form.fields[0], payload),))
    read = payload.__getitem__ if isinstance(payload, Mapping) else lambda name: getattr(payload, name)
    return msgspec.structs.replace(form, fields=tuple(_starting(field, read(field.name)) for field in form.fields))


def _starting(field: Field, value: Any) -> Field:
    # Required: what a field starts with here is not what its type would give it.
    return msgspec.structs.replace(field, default=value, required=True)


class Edit:
    """The editor of one activity. `save(payload)` is called with what was typed, once it is a payload."""

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
        self.done = self._button("Change it", self.submit, variant="contained")
        self.off = self._button("Leave it", close, variant="outlined")
        self.said = Live(_wrong("" if is_whole(activity.payload) else LOSSY))
        self.body = pn.Column(**WIDE)
        self._arrange()
        head = Live(f"<strong>Change the payload of activity {self.id}</strong>", margin=(8, 0, 0, 0))
        self.panel = pn.Column(head, self.mode, self.body, line(self.done, self.off), self.said, **WIDE)

    def _controls(self, payload: Any) -> MaterialControls | None:
        form = Form.of(self.type)
        if not form.record and form.fields[0].kind == "json":
            return None  # its one field is the JSON
        try:
            return MaterialControls(filled(form, payload), self.submit)
        except (AttributeError, KeyError):  # the runtime takes another type by now
            return None

    def _button(self, label: str, pressed: Callable[[], Any], **look: Any) -> Any:
        button = pmui.Button(label=label, color="primary", **ROOM, **look)
        button.on_click(lambda event: pressed())
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
        """Check what was typed; save it, or say at its field what is wrong."""
        try:
            payload = self._payload()
        except ActivityValidationError as error:
            problems = error.problems or {"": str(error)}
            self.soon(lambda: self._show(problems))
        else:
            self.save(payload)

    def _payload(self) -> Any:
        if self.controls is None or self._as_json:
            made = parse_json(str(value_of(self.raw)), self.type)
        else:
            made = self.controls.form.build(self.controls.values)
        self.runtime.validate(made)
        return made

    def _show(self, problems: Mapping[str, str]) -> None:
        placed, rest = by_field(problems, Form.of(self.type), self._as_json)
        mark(self.raw, placed.get(JSON, ""))
        if self.controls is not None:
            self.controls.show(placed)
        self.said.draw(_wrong(rest))

    def gone(self) -> None:
        """It was taken while it was edited: what was typed stays to be seen, and can't be saved."""
        if not self.done.disabled:
            self.done.disabled = True
            self.said.draw(
                _wrong(f"Activity {self.id} does not wait any more: it can't be changed. Your text is kept.")
            )


def _wrong(words: str) -> str:
    return toned(STATUSES["error"], safe_text(words, 300)) if words else ""
