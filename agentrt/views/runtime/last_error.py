"""The last error of a runtime: what it was, when, in which activity, and where in the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...feed.failures import traceback_of
from ...snapshot import Snapshot
from ..app.address import Address
from ..feed import Schedule, run_now
from ..html import Content, Markup, action, details, div, join, link, p, pre, quiet, strong, summary
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
SHORT, LINES = 400, 60  # characters of a message and lines of a traceback that are shown unasked
LONGEST = (5_000, 100_000)  # lines, and characters of each
NO_ERROR = p("No error so far.", cls="muted")


def error_html(error: Any, ago: float | None, *, whole: bool = False) -> Markup:
    """One error. `ago`: seconds since it happened. `whole`: with all of its message and its traceback."""
    cause = error.__cause__ or error
    message, trace = str(cause), traceback_of(error)
    id = getattr(error, "activity", None)
    about: list[Content] = [link(Address("activity", str(id)), f"activity {id}")] if id is not None else []
    about += [f"{duration(ago)} ago"] if ago is not None else []
    name = strong(safe_text(type(cause).__name__), ": ", safe_text(message, SHORT))
    return div(
        div(name, quiet(join(", ", about)), cls="row spread"),
        _rest(message, trace, whole),
        details(summary("traceback"), pre(safe_block(trace, *(LONGEST if whole else ())))),
        cls="problem",
        style=f"--tone:{STATUSES['error'].tone}",
    )


def _rest(message: str, trace: str, whole: bool) -> Content:
    """All of the message once it was asked for; before, a button to ask for it, where something is left out."""
    if whole:
        return pre(safe_block(message, *LONGEST)), action("whole", "show less", cls="link")
    if len(message) > SHORT or "\n" in message or len(trace.splitlines()) > LINES:
        return action("whole", f"show all {len(message):,} characters, and all of the traceback", cls="link")
    return None


class LastError:
    """The pane. `go(address)` opens the activity that failed."""

    def __init__(self, go: Callable[[str], Any] | None = None, schedule: Schedule = run_now) -> None:
        self.schedule = schedule
        self.whole = False
        self._last: Snapshot | None = None
        self.panel = Live(NO_ERROR, css=CSS, on={"go": go or (lambda address: None), "whole": self._toggle})

    def _toggle(self, _: str) -> None:
        self.whole = not self.whole
        if self._last is not None:
            last = self._last
            self.schedule(lambda: self.draw(last))

    def draw(self, snapshot: Snapshot) -> None:
        """Show the last error."""
        if self._last is not None and self._last.error is not snapshot.error:
            self.whole = False
        self._last = snapshot
        if snapshot.error is None:
            self.panel.draw(NO_ERROR)
            return
        ago = None if snapshot.error_at is None else max(0.0, snapshot.at - snapshot.error_at)
        self.panel.draw(error_html(snapshot.error, ago, whole=self.whole))
