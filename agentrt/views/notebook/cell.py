"""Live views in a cell: the kernel's loop, and what an output has: a picture, and the script that makes it live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import panel as pn
from bokeh.models.ui import UIElement
from panel.io.notebook import EXEC_MIME, patch_inline_stylesheets
from panel.io.resources import set_resource_mode
from pyviz_comms import Comm

from ...feed.source import Source
from ..feed import Feed, feed_notebook
from ..html import Content, Markup, div, p, script
from ..layout import WIDE
from .callback_output import replace_stdout_capture
from .channel import Channel, LinkedDocument, listen
from .execution import CellViews, current_execution, end_view

__all__ = ["VIEW", "WORDS", "LinkedView", "bundle", "kernel_loop", "view_html"]

VIEW = Path(__file__).with_name("view.js").read_text(encoding="utf-8")
PICTURE = "As it was when the cell ran, and not live"
AGAIN = "Run the cell again to see it live."
WORDS = {
    "saved": f"{PICTURE}. {AGAIN}",
    "ended": f"No longer live: the cell has run again since, or the kernel was restarted. {AGAIN}",
    "apart": f"{PICTURE}: the view finds no kernel in this page.",
    "gone": f"No longer live: the kernel was restarted or has ended. {AGAIN}",
    "silent": "Not live now, as the kernel does not answer: it is busy, or it was restarted; then run the cell again.",
}
NOTE = "margin:0;padding:6px 14px;color:var(--jp-error-color1,#c0392b);font:13px system-ui,sans-serif"


def kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of the Jupyter kernel this runs in; None outside of one."""
    loop = getattr(_kernel(), "io_loop", None)
    return getattr(loop, "asyncio_loop", None)


def _kernel() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return getattr(get_ipython(), "kernel", None)


def bundle(
    source: Source,
    loop: asyncio.AbstractEventLoop,
    fill: Callable[[Any, Feed], Any],
    text: str,
    picture: Content = None,
) -> Any:
    """The mime bundle of a live view: `fill(holder, feed)` puts the view into it, and lets the feed follow it.

    Args:
        source: What the view is drawn from.
        loop: The loop of the kernel.
        fill: Puts the view into a holder.
        text: What is shown where there is only text.
        picture: What is shown where the view can't be live, as in a saved notebook; the text by default.
    """
    if pn.config.comms != "default":
        return _bundle_of_panel(source, loop, fill)
    kernel = _kernel()
    replace_stdout_capture()
    listen(kernel.comm_manager, _channels.get)
    view = LinkedView(source, loop)
    _views.add(current_execution(kernel), view.end)
    view.draw(fill)
    id = view.channel.id
    _channels[id] = view.channel
    html = _html(id, text if picture is None else picture)
    return {"text/html": str(html), EXEC_MIME: "", "text/plain": text}, {EXEC_MIME: {"id": id}}


def _html(id: str, picture: Content) -> Markup:
    call = f"{VIEW.rstrip()}(document.currentScript, {json.dumps(id)}, {json.dumps(WORDS)})"
    return view_html(picture, script(call))


def view_html(picture: Content, script: Content = None) -> Markup:
    """The places of a view, as `view.js` expects them: its picture, a note, and the live view."""
    note = p(WORDS["saved"], role="status", style=NOTE)
    return div(div(picture), note, div(data_lm_suppress_shortcuts="true"), script)


class LinkedView:
    """A view with its feed, and the channel to the pages that show it.

    Args:
        source: What the view is drawn from.
        loop: The loop of the kernel.
    """

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        pn.config.inline = True  # type: ignore[misc]
        self.holder, self.document = pn.Column(**WIDE), LinkedDocument()
        self.channel = Channel(self.document)
        self.feed = feed_notebook(source, self.holder, loop, self.channel.batch)

    def draw(self, fill: Callable[[Any, Feed], Any]) -> None:
        """Make its models, and keep them up to date."""
        fill(self.holder, self.feed)
        with set_resource_mode("inline"):
            root = self.holder._render_model(self.document, Comm())
        for model in root.select({"type": UIElement}):
            patch_inline_stylesheets(model)
        self.feed.start()

    def end(self) -> None:
        """Stop the feed, and tell the pages. Idempotent."""
        end_view(self.holder, self.feed, self.channel)


def _bundle_of_panel(source: Source, loop: asyncio.AbstractEventLoop, fill: Callable[[Any, Feed], Any]) -> Any:
    # For what a person chose with `pn.extension(comms=...)`: a front end that is not Jupyter's.
    holder = pn.Column(**WIDE)
    feed = feed_notebook(source, holder, loop)
    fill(holder, feed)
    feed.start()
    return holder._repr_mimebundle_()


_views = CellViews()
_channels: WeakValueDictionary[str, Channel] = WeakValueDictionary()
