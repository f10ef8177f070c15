"""What belongs to the window of the browser: the address, the keyboard, its help, the notice of a lost connection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from ..theme import CSS

__all__ = ["Window"]

LOOKS = (
    CSS
    + """
.lost { position: fixed; z-index: 2000; top: 0; left: 0; right: 0; padding: 10px 16px; text-align: center;
  background: #7B241C; color: #fff; font-weight: 600; }
.help { position: fixed; z-index: 1500; top: 84px; right: 24px; width: min(420px, calc(100vw - 48px));
  background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 12px; padding: var(--s4);
  box-shadow: 0 8px 32px rgb(0 0 0 / .28); }
[hidden] { display: none; }
dl { display: grid; grid-template-columns: auto 1fr; gap: var(--s2) var(--s3); margin: var(--s3) 0; }
kbd { font: 600 var(--t0)/1.6 ui-monospace, monospace; border: 1px solid var(--rt-line); border-radius: 5px;
  padding: 0 7px; background: var(--rt-fill); }
.help button { all: unset; cursor: pointer; padding: 3px 12px; border-radius: 6px; border: 1px solid var(--rt-line); }
.help button:focus-visible { outline: 2px solid #0072B2; }
"""
)


class Window(JSComponent):
    """Shows nothing until it is needed. Setting `address` changes the address bar; back and forward call `go`.

    With `paths` an address is a path below `root`, else it is in the query. A key calls `key`. When the connection is
    lost the page says so, and it comes back once `health` answers. Both are found from the folder of the page.
    """

    address = param.String(default="")
    root = param.String(default="./")
    paths = param.Boolean(default=False)
    health = param.String(default="")
    name_of_page = param.String(default="")
    spotlight = param.String(default="", doc="the runtime in the spotlight; empty for none")

    _esm = Path(__file__).with_name("window.js").read_text(encoding="utf-8")

    def __init__(self, go: Callable[[str], Any], key: Callable[[str], Any], **params: Any) -> None:
        self._actions = {"go": go, "key": key}
        super().__init__(stylesheets=[LOOKS], width=0, height=0, margin=0, **params)

    def search(self) -> None:
        """Put the cursor into the field that searches runtimes."""
        self._send_msg({"focus": True})

    def _handle_msg(self, message: Any) -> None:
        action = self._actions.get(str(message.get("do"))) if isinstance(message, dict) else None
        if action is not None:
            action(str(message.get("with", "")))
