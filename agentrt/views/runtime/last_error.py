"""The last error of a runtime: what it was, when, in which activity, and where in the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...feed.failures import traceback_of
from ...snapshot import Snapshot
from ..app.address import Address
from ..html import Content, Markup, details, div, join, link, p, pre, quiet, strong, summary
from ..live import Live
from ..text import duration, safe_block, safe_text
from ..theme import STATUSES

__all__ = ["LastError", "error_html"]

CSS = """
.problem { border-left: 4px solid var(--tone); padding: var(--s2) var(--s3);
  background: color-mix(in srgb, var(--tone) 7%, transparent);
  border-radius: 0 6px 6px 0; overflow-wrap: anywhere; }
.problem pre { max-height: 260px; overflow: auto; margin-top: var(--s2); padding: var(--s2);
  background: var(--rt-fill); }
.problem summary { cursor: pointer; }
"""
NO_ERROR = p("No error so far.", cls="muted")


def error_html(error: Any, ago: float | None) -> Markup:
    """One error. `ago`: seconds since it happened."""
    cause = error.__cause__ or error
    id = getattr(error, "activity", None)
    about: list[Content] = [link(Address("activity", str(id)), f"activity {id}")] if id is not None else []
    about += [f"{duration(ago)} ago"] if ago is not None else []
    name = strong(safe_text(type(cause).__name__), ": ", safe_text(str(cause), 400))
    return div(
        div(name, quiet(join(", ", about)), cls="row spread"),
        details(summary("traceback"), pre(safe_block(traceback_of(error)))),
        cls="problem",
        style=f"--tone:{STATUSES['error'].tone}",
    )


class LastError:
    """The pane. `go(address)` opens the activity that failed."""

    def __init__(self, go: Callable[[str], Any] | None = None) -> None:
        self.panel = Live(NO_ERROR, css=CSS, on={"go": go or (lambda address: None)})

    def draw(self, snapshot: Snapshot) -> None:
        """Show the last error."""
        if snapshot.error is None:
            self.panel.draw(NO_ERROR)
            return
        ago = None if snapshot.error_at is None else max(0.0, snapshot.at - snapshot.error_at)
        self.panel.draw(error_html(snapshot.error, ago))
