"""HTML in a page that is brought up to date in place, and buttons in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from .html import Content, Markup, escape
from .theme import CSS

__all__ = ["Live"]

log = logging.getLogger(__name__)


class Live(JSComponent):
    """Content that is shown as HTML, brought up to date in place: focus, selection and open details stay.

    Content is what an element of `html` takes: a string that is not `Markup` is shown as text. A button that is made by
    `action("go", ..., value="flow")` calls `on["go"]("flow")`. An element with `data-reveal` is scrolled into view
    whenever the value of that attribute changes; one with `data-focus` takes the keyboard then.
    """

    html = param.String(default="")

    _esm = "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("link.js", "live.js"))

    def __init__(
        self,
        content: Content = None,
        *,
        on: dict[str, Callable[[str], Any]] | None = None,
        css: str = "",
        **params: Any,
    ) -> None:
        self.actions = on or {}
        self._patches = 0
        self._turn = count(1)
        params.setdefault("sizing_mode", "stretch_width")
        params.setdefault("margin", 0)
        params["styles"] = {"max-height": "none", **params.get("styles", {})}  # see layout.WIDE
        super().__init__(html=str(escape(content)), stylesheets=[CSS + css], **params)

    def draw(self, content: Content) -> None:
        """Show this from now on; nothing is sent if it is the same."""
        html = str(escape(content))
        if self._patches:
            # A patch has changed the page: send it even if it equals what was sent before.
            self._patches = 0
            self.html = f"{html}<!-- {next(self._turn)} -->"
        elif html != self.html:
            self.html = html

    def patch(self, pieces: Mapping[str, Markup]) -> None:
        """Replace the elements of these keys (`data-key`), and send nothing else."""
        self._patches += 1
        self._send_msg({"pieces": {key: str(piece) for key, piece in pieces.items()}})

    def _update_properties(self, *events: Any, doc: Any) -> dict[str, Any]:
        # Panel asks its design first, which looks into the file system each time: of use for styles only.
        if any(event.name == "stylesheets" for event in events):
            return super()._update_properties(*events, doc=doc)
        return self._process_param_change({event.name: event.new for event in events})

    def _handle_msg(self, message: Any) -> None:
        action = self.actions.get(str(message.get("do"))) if isinstance(message, dict) else None
        if action is None:
            log.warning("a page asked for something that %s does not do", type(self).__name__)
        else:
            action(str(message.get("with", "")))
