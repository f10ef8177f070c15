"""The last error of a runtime: what it was, when, about which activity, and where in the code."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from ...snapshot import Snapshot
from ..app.address import Address
from ..live import Live
from ..text import duration, safe_block, safe_text
from ..theme import STATUSES

__all__ = ["Problem", "problem_html", "traceback_of"]

CSS = """
.problem { border-left: 4px solid var(--tone); padding: var(--s2) var(--s3);
  background: color-mix(in srgb, var(--tone) 7%, transparent);
  border-radius: 0 6px 6px 0; overflow-wrap: anywhere; }
.problem pre { max-height: 260px; overflow: auto; margin-top: var(--s2); padding: var(--s2);
  background: var(--rt-fill); }
.problem summary { cursor: pointer; }
"""
NONE = '<p class="muted">No error so far.</p>'


def traceback_of(error: BaseException) -> str:
    """The traceback of what the workflow raised, without the frames of this package above it."""
    cause = error.__cause__ or error
    return "".join(traceback.format_exception(cause, limit=-12, chain=True))


def problem_html(error: Any, ago: float | None) -> str:
    """One error. `ago`: seconds since it happened."""
    cause = error.__cause__ or error
    activity = _link(error.activity) if getattr(error, "activity", None) is not None else ""
    when = f"{duration(ago)} ago" if ago is not None else ""
    about = ", ".join(filter(None, (activity, when)))
    return f"""<div class="problem" style="--tone:{STATUSES["error"].tone}">
      <div class="row spread"><strong>{safe_text(type(cause).__name__)}: {safe_text(str(cause), 400)}</strong>
      <span class="muted">{about}</span></div>
      <details><summary>traceback</summary><pre>{safe_block(traceback_of(error))}</pre></details></div>"""


def _link(id: int) -> str:
    address = Address("activity", str(id))
    return f'<button class="link" data-do="go" data-with="{address}">activity {id}</button>'


class Problem:
    """The pane. `go(address)` opens the activity that failed."""

    def __init__(self, go: Callable[[str], Any] | None = None) -> None:
        self.panel = Live(NONE, css=CSS, on={"go": go or (lambda address: None)})

    def draw(self, snapshot: Snapshot) -> None:
        """Show the last error."""
        if snapshot.error is None:
            self.panel.draw(NONE)
            return
        ago = None if snapshot.error_at is None else max(0.0, snapshot.at - snapshot.error_at)
        self.panel.draw(problem_html(snapshot.error, ago))
