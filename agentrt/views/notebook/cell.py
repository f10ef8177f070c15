"""Live views in a cell: the kernel's loop, the JavaScript that a notebook loads once, and the mime bundle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
from panel.io import notebook

from ...feed.source import Source
from ..feed import Feed, feed_notebook
from ..layout import WIDE
from .callback_output import replace_stdout_capture
from .dedupe_modules import dedupe_modules
from .execution import CellViews, Execution, current_execution, end_view
from .resync import send_to_new_pages

__all__ = ["bundle", "kernel_loop"]


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


def bundle(source: Source, loop: asyncio.AbstractEventLoop, fill: Callable[[Any, Feed], Any], text: str) -> Any:
    """The mime bundle of a live view: `fill(holder, feed)` puts the view into the cell, and lets the feed follow it."""
    execution = current_execution(_kernel())
    _load(execution)
    holder = pn.Column(**WIDE)
    feed = feed_notebook(source, holder, loop)
    _views.add(execution, partial(end_view, holder, feed))
    fill(holder, feed)
    output = holder._repr_mimebundle_()
    send_to_new_pages(holder, loop.call_soon_threadsafe)
    feed.start()
    data, meta = output if isinstance(output, tuple) else (output, {})
    return {**data, "text/html": dedupe_modules(data["text/html"]), "text/plain": text}, meta


_views = CellViews()
_loaded_in: Execution | None = None  # the run of a cell whose outputs have the JavaScript


def _load(execution: Execution) -> None:
    """Load the JavaScript of Panel into this notebook, from this machine: nothing is fetched.

    Once for each page, as a page that is loaded again may show a notebook whose outputs do not have it; and again when
    the cell that has it runs again, as its outputs are replaced.
    """
    global _loaded_in
    before = _loaded_in or execution
    if not pn.extension._loaded:
        pn.extension(inline=True)
    elif execution.page != before.page or execution.repeats(before):
        notebook.load_notebook(inline=True)
        before = execution
    _loaded_in = before
    notebook.send = _send_whole
    replace_stdout_capture()


_send, _sending = notebook.send, threading.Lock()


def _send_whole(comm: Any, msg: Any) -> None:
    # A message is sent in three parts. Callbacks of widgets and the feed run on two threads: without a lock the parts
    # of two messages would mix.
    with _sending:
        _send(comm, msg)
