"""HTML in a page that is brought up to date in place, and buttons in it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from .theme import CSS

__all__ = ["Live"]

log = logging.getLogger(__name__)


class Live(JSComponent):
    """A piece of HTML. Setting `html` changes only what differs: focus, selection and open details stay.

    Texts in it must have passed `safe_text`. A `<button data-do="go" data-with="flow">` calls `on["go"]("flow")`.
    An element with `data-reveal` is scrolled into view whenever that says something new.
    """

    html = param.String(default="")

    _esm = Path(__file__).with_name("live.js").read_text(encoding="utf-8")

    def __init__(
        self, html: str = "", *, on: dict[str, Callable[[str], Any]] | None = None, css: str = "", **params: Any
    ):
        self.actions = on or {}
        self._patches = 0
        self._turn = count(1)
        params.setdefault("sizing_mode", "stretch_width")
        params.setdefault("margin", 0)
        params["styles"] = {"max-height": "none", **params.get("styles", {})}  # see layout.WIDE
        super().__init__(html=html, stylesheets=[CSS + css], **params)

    def draw(self, html: str) -> None:
        """Show this from now on; nothing is sent if it is the same."""
        if self._patches:
            # What the page shows is no longer `html`: send it even if it is what was sent before.
            self._patches = 0
            self.html = f"{html}<!-- {next(self._turn)} -->"
        elif html != self.html:
            self.html = html

    def patch(self, pieces: dict[str, str]) -> None:
        """Replace the elements of these keys (`data-key`), and send nothing else."""
        self._patches += 1
        self._send_msg({"pieces": pieces})

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
