"""A live view as a widget of anywidget, for notebooks that have no other way to the kernel: marimo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as ipw
from traitlets import Dict, Unicode

from ...feed.source import Source
from ..html import Content, Markup, div
from .cell import VIEW, WORDS, LinkedView, view_html

__all__ = ["LiveWidget", "Still", "show_in_marimo"]

MODULE = f"const view = {VIEW.rstrip()}\n" + Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


class Still:
    """What marimo shows where a view can't be live.

    Args:
        content: The text or the picture.
    """

    def __init__(self, content: Content) -> None:
        self.content = content

    def _repr_html_(self) -> str:
        return str(div(self.content))


class WidgetComm:
    """What a channel takes for the comm of a page, over a widget that several pages may show."""

    def __init__(self, widget: LiveWidget, page: str) -> None:
        self.widget, self.comm_id = widget, page
        self._hear: Callable[[Any], None] | None = None

    def send(self, data: Mapping[str, Any]) -> None:
        """Send a message to the page. Any thread."""
        self.widget.send({"page": self.comm_id, "data": data})

    def on_msg(self, callback: Callable[[Any], None]) -> None:
        """Call this with each message of the page."""
        self._hear = callback

    def hear(self, data: Mapping[str, Any]) -> None:
        """A message of the page."""
        if self._hear is not None:
            self._hear({"content": {"data": data}})

    def close(self) -> None:
        """Forget the page."""
        self.widget.comms.pop(self.comm_id, None)


class LiveWidget(ipw.DOMWidget):
    """A view that is live in every page that shows the widget, until the notebook closes the widget's comm.

    Args:
        view: The view, filled and started.
        still: What is shown until it is live, and where it can't be.
    """

    _model_name = Unicode("AnyModel").tag(sync=True)
    _model_module = Unicode("anywidget").tag(sync=True)
    _model_module_version = Unicode("~0.9").tag(sync=True)
    _view_name = Unicode("AnyView").tag(sync=True)
    _view_module = Unicode("anywidget").tag(sync=True)
    _view_module_version = Unicode("~0.9").tag(sync=True)
    _esm = Unicode(MODULE).tag(sync=True)
    still = Unicode().tag(sync=True)
    view = Unicode().tag(sync=True)
    words = Dict(WORDS).tag(sync=True)

    def __init__(self, view: LinkedView, still: Markup) -> None:
        super().__init__(still=str(still), view=view.channel.id)
        self.linked_view = view
        self.comms: dict[str, WidgetComm] = {}
        self.on_msg(self._take)
        self._follow_comm()

    def _follow_comm(self) -> None:
        # marimo closes the comm when the cell runs again or is deleted, and tells the widget nothing.
        comm, close = self.comm, self.comm.close

        def end(*arguments: Any, **options: Any) -> None:
            comm.close = close
            self.linked_view.end()
            close(*arguments, **options)

        comm.close = end

    def _take(self, widget: Any, content: Any, buffers: Any) -> None:
        page, data = content["page"], content["data"]
        if (comm := self.comms.get(page)) is not None:
            comm.hear(data)
        else:
            comm = self.comms[page] = WidgetComm(self, page)
            self.linked_view.channel.open(comm, data)


def show_in_marimo(source: Source, fill: Callable[..., Any], picture: Content) -> LiveWidget | Still:
    """Return what marimo shows for a view: a live one, or the picture where no kernel runs.

    Args:
        source: What the view is drawn from.
        fill: `fill(holder, feed, schedule=...)` puts the view into a holder.
        picture: What is shown until the view is live, and where it can't be.
    """
    try:
        loop = asyncio.get_running_loop()  # marimo shows a value on the loop of its kernel
    except RuntimeError:
        return Still(picture)
    view = LinkedView(source, loop)
    view.draw(partial(fill, schedule=loop.call_soon_threadsafe))
    return LiveWidget(view, view_html(picture))
