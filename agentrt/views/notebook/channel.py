"""What a page and a view in the kernel send each other: the whole view, numbered changes of it, and what a person does.

A page opens one comm for each view that it shows, see `view.js`. It gets the whole view, and then each change as one
message with the next number. A page that misses a number asks for the whole again, so it never shows a mixture. What
is long in them it asks for in pieces, see `texts.py`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import uuid4

import panel as pn
from bokeh.core.json_encoder import serialize_json
from bokeh.core.serialization import Serializer
from bokeh.document import Document
from bokeh.document.callbacks import _combine_document_events, invoke_with_curdoc
from bokeh.document.events import DocumentPatchedEvent, ModelChangedEvent
from panel.io import notebook
from panel.io.model import diff, monkeypatch_events, patch_cds_msg
from panel.io.notebook import block_comm

from .scripts import page_scripts
from .texts import Texts, text_name, without_texts

__all__ = ["TARGET", "Channel", "listen"]

log = logging.getLogger(__name__)

TARGET = "agentrt.view"  # which pages open their comms to
PAGES = 8  # of one view
AWAY = (
    90.0  # seconds after which a page is not sent anything until it is heard of; a page out of sight asks once a minute
)


class Comm(Protocol):
    """A comm of Jupyter."""

    comm_id: str

    def send(self, data: Mapping[str, Any]) -> None:
        """Send a message to the page."""

    def on_msg(self, callback: Callable[[Any], None]) -> None:
        """Call this with each message of the page."""

    def close(self) -> None:
        """End it."""


class LinkedDocument(Document):
    """The models of a view in a cell."""

    channel: Channel


class CellPage:
    """One page that shows a view."""

    def __init__(self, comm: Comm) -> None:
        self.comm = comm
        self.texts = Texts()
        self.ready = False  # it has the whole
        self.heard = time.monotonic()


class Channel:
    """Between one view and the pages that show it.

    Pages are heard on any thread: those of JupyterLab on one of their own, while a cell runs.

    Args:
        document: The models of the view, with one root.
    """

    def __init__(self, document: LinkedDocument) -> None:
        self.id = uuid4().hex
        self.document = document
        self.frame = 0
        self.lock = threading.RLock()
        self.pages: dict[str, CellPage] = {}
        self.ended = False
        document.channel = self
        document.hold("collect")
        notebook.diff = _push_or_diff  # type: ignore[attr-defined]

    # -- to the pages

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Send all changes that are made inside as one frame."""
        with self.lock:
            with block_comm():
                yield
            self.push()

    def push(self) -> None:
        """Send what has changed since the last frame."""
        with self.lock:
            events = self._take()
            pages = self._listening()
            if events and pages:
                self._send_frame(self._encode(events), pages)
            elif events:
                self.frame += 1

    def close(self) -> None:
        """Tell the pages that the view has ended."""
        with self.lock:
            self.ended = True
            pages, self.pages = self.pages, {}
        for page in pages.values():
            _send_end(page.comm)

    def _take(self) -> list[DocumentPatchedEvent]:
        held = self.document.callbacks._held_events
        events = list(held)
        del held[: len(events)]
        combined: list[Any] = []
        for event in events:
            if isinstance(event, DocumentPatchedEvent):
                _combine_document_events(event, combined)
        monkeypatch_events(combined)
        return combined

    def _encode(self, events: list[DocumentPatchedEvent]) -> tuple[str, dict[str, str]]:
        models = self.document.models
        serializer = Serializer(references=models.synced_references, deferred=False)
        encoded = serializer.encode(events)
        models.flush_synced(lambda model: not serializer.has_ref(model))
        texts: dict[str, str] = {}
        return serialize_json(without_texts(encoded, texts)), texts

    def _send_frame(
        self, encoded: tuple[str, dict[str, str]], pages: list[CellPage], by: CellPage | None = None
    ) -> None:
        self.frame += 1
        events, texts = encoded
        for page in pages:
            names = page.texts.offer(texts)
            message = {"frame": self.frame, "events": "[]" if page is by else events}
            page.comm.send({**message, "texts": names, "offer": page.texts.number})

    def _listening(self) -> list[CellPage]:
        now = time.monotonic()
        return [page for page in self.pages.values() if page.ready and now - page.heard < AWAY]

    # -- from the pages

    def open(self, comm: Comm, data: Mapping[str, Any]) -> None:
        """A page shows the view."""
        comm.on_msg(lambda message: self.hear(comm, message["content"]["data"]))
        self.hear(comm, data)

    def hear(self, comm: Comm, data: Mapping[str, Any]) -> None:
        """What a page says."""
        if "bye" in data:
            self._forget(comm, closes=data["bye"] == "closes")
        elif (page := self._page(comm)) is not None:
            self._answer(page, data)

    def _forget(self, comm: Comm, closes: bool) -> None:
        with self.lock:
            self.pages.pop(comm.comm_id, None)
        if closes:
            _close_comm(comm)

    def _answer(self, page: CellPage, data: Mapping[str, Any]) -> None:
        if "text" in data:
            with self.lock:
                self._send(page, page.texts.piece(data["text"], data["piece"]))
            return
        if "has" in data:
            with self.lock:
                page.texts.receive(data["has"], data["offer"])
        elif data.get("want"):
            self._send_whole(page, data.get("texts", ()), scripts=bool(data.get("scripts")))
        elif "patch" in data:
            try:
                self._apply(page, json.loads(data["patch"]))
            except Exception:
                log.exception("what was done in a page could not be carried out")
        self._send(page, {"frame": self.frame})

    def _send(self, page: CellPage, message: Mapping[str, Any]) -> None:
        """Send it, unless the comm was closed meanwhile on another thread: a page reports a message of such a one."""
        with self.lock:
            if self.pages.get(page.comm.comm_id) is page:
                page.comm.send(message)

    def _page(self, comm: Comm) -> CellPage | None:
        with self.lock:
            if self.ended:
                return None
            page = self.pages.setdefault(comm.comm_id, CellPage(comm))
            page.heard = time.monotonic()
            if len(self.pages) > PAGES:
                longest = self.pages.pop(min(self.pages, key=lambda id: self.pages[id].heard))
                if page.heard - longest.heard > AWAY:  # it closed without a word, or it would have asked
                    _close_comm(longest.comm)
        return page

    def _send_whole(self, page: CellPage, has: Iterable[str], scripts: bool) -> None:
        with self.lock:
            page.ready = False
            page.texts.names = set(has)
            self.push()
            page.ready = True
            code = page_scripts() if scripts else ()
            parts: dict[str, Any] = dict(self.document.to_json(deferred=False))
            self.document.models.flush_synced()
            texts: dict[str, str] = {}
            whole = {
                "roots": serialize_json(without_texts(parts.pop("roots"), texts)),
                "document": serialize_json(parts),
            }
            once = {text_name(text): text for text in [*whole.values(), *(text for _, text, _ in code)]}
            names = page.texts.offer(texts | once)
            self._send(
                page,
                {
                    "frame": self.frame,
                    **{key: text_name(text) for key, text in whole.items()},
                    "texts": [name for name in names if name in texts],
                    "scripts": [(kind, text_name(text), type) for kind, text, type in code],
                    "offer": page.texts.number,
                },
            )

    def _apply(self, page: CellPage, patch: Any) -> None:
        setter: Any = page.comm.comm_id
        patch_cds_msg(self.document.roots[0], {"content": patch})
        self.document.apply_json_patch(patch, setter=setter)
        with self.lock:
            held = self.document.callbacks._held_events
            done = [event for event in list(held) if event.setter == setter]
            for event in done:
                held.remove(event)
            others = [each for each in self._listening() if each is not page]
            changes = [event for event in done if isinstance(event, ModelChangedEvent)]
            if others and changes:
                self._send_frame(self._encode(list(changes)), [page, *others], by=page)
        for event in done:
            if event.callback_invoker is not None:
                invoke_with_curdoc(self.document, event.callback_invoker)


def _push_or_diff(doc: Document, binary: bool = True, events: Any = None) -> Any:
    # Panel sends what this returns, in three messages or more, of which a page that is not ready loses some. Send it
    # here in one message, and return nothing.
    if not isinstance(doc, LinkedDocument):
        return diff(doc, binary, events)
    if not pn.state._hold:
        doc.channel.push()
    return None


def listen(manager: Any, find: Callable[[str], Channel | None]) -> None:
    """Let pages open their comms to the channels that are found by their ids."""

    def open(comm: Comm, message: Any) -> None:
        data = message["content"]["data"]
        channel = find(data.get("view", ""))
        if channel is None or channel.ended:
            _send_end(comm)
        else:
            channel.open(comm, data)

    manager.register_target(TARGET, open)


def _send_end(comm: Comm) -> None:
    comm.send({"ended": True})
    _close_comm(comm)


def _close_comm(comm: Any) -> None:
    """Close a comm on this side only.

    The message that a comm is closed goes to every page, and JupyterLab reports an error in the console of each that
    does not have it: of another page, or of this one before it was loaded again.
    """
    comm.publish_msg = _publish_nothing
    comm.close()


def _publish_nothing(*_: Any, **__: Any) -> None:
    pass
