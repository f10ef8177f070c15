"""The whole picture of an output for a page that was loaded again: it shows the saved one, which may be old."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.document.events import DocumentChangedEvent, ModelChangedEvent
from panel.io import notebook
from panel.io.model import diff

__all__ = ["Saved", "send_to_new_pages"]

FIXED = {"esm", "js_event_callbacks", "js_property_callbacks", "subscribed_events"}  # never changed; a module is 1.5 MB


class Saved:
    """What the text of an output has: its models, and which of their properties have a value of their own."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.properties = {model.id: set(_values(model)) for model in document.models}

    def changes(self) -> list[DocumentChangedEvent]:
        """What makes the saved models those of now. Models that are not among them come along whole."""
        models = self.document.models
        models._new_models = {model for model in models if model.id not in self.properties}
        return [
            ModelChangedEvent(self.document, model, name, getattr(model, name))
            for model in list(models)
            for name in sorted(self.properties.get(model.id, set()) | set(_values(model)))
            if model.id in self.properties
        ]


def _values(model: Any) -> list[str]:
    names = model.properties_with_values(include_defaults=False)
    return [name for name in names if name not in FIXED and not model.lookup(name).property.readonly]


def send_to_new_pages(output: Any, schedule: Callable[[Callable[[], object]], object]) -> None:
    """Send the whole picture to each page that shows this output again. Call it when the output has been made."""
    for ref, (comm, client) in output._comms.items():
        document = pn.state._views[ref][2]
        client._on_open = _Opened(Saved(document), comm, schedule)


class _Opened:
    def __init__(self, saved: Saved, comm: Any, schedule: Callable[[Callable[[], object]], object]) -> None:
        self.saved = saved
        self.comm = comm
        self.schedule = schedule
        self.pages = 0

    def __call__(self, message: Any) -> None:
        self.comm.init()
        self.pages += 1
        if self.pages > 1:  # the first one has missed nothing
            self.schedule(self._send)

    def _send(self) -> None:
        document = self.saved.document
        document.callbacks._held_events = []  # all of them are in the picture
        message = diff(document, events=self.saved.changes())
        if message is not None:
            notebook.send(self.comm, message)
