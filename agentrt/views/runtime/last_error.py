"""The last error of a runtime: what it was, when, in which activity, and where in the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import AgentError
from ...feed.failures import LONGEST_WHOLE, lengths_of, traceback_of
from ...feed.source import Source, whole_error
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
NO_ERROR = p("No error so far.", cls="muted")


def error_html(error: Any, ago: float | None, *, whole: bool = False) -> Markup:
    """One error. `ago`: seconds since it happened. `whole`: with all of its message and its traceback."""
    cause = error.__cause__ or error
    message, trace = str(cause), traceback_of(error)
    id = getattr(error, "activity", None)
    about: list[Content] = [link(Address("activity", str(id)), f"activity {id}")] if id is not None else []
    about += [f"{duration(ago)} ago"] if ago is not None else []
    name = strong(safe_text(type(cause).__name__), ": ", safe_text(message, SHORT))
    lengths = lengths_of(error)
    return div(
        div(name, quiet(join(", ", about)), cls="row spread"),
        _whole_message(message, lengths[0]) if whole else _ask_for_whole(message, trace, lengths),
        details(summary("traceback"), _whole_trace(trace, lengths[1]) if whole else pre(safe_block(trace))),
        cls="problem",
        style=f"--tone:{STATUSES['error'].tone}",
    )


def _whole_message(message: str, length: int) -> Content:
    first = message[:LONGEST_WHOLE]
    return _left_out("first", first, length), _block(first), action("whole", "show less", cls="link")


def _whole_trace(trace: str, length: int) -> Content:
    last = trace[-LONGEST_WHOLE:]
    return _left_out("last", last, length), _block(last)


def _left_out(part: str, text: str, length: int) -> Content:
    return p(f"The {part} {len(text):,} of {length:,} characters:", cls="muted") if length > len(text) else None


def _block(text: str) -> Markup:
    return pre(safe_block(text, lines=LONGEST_WHOLE, width=LONGEST_WHOLE))


def _ask_for_whole(message: str, trace: str, lengths: tuple[int, int]) -> Content:
    """A button to ask for all of it, where something is left out."""
    cut = lengths != (len(message), len(trace))
    if cut or len(message) > SHORT or "\n" in message or len(trace.splitlines()) > LINES:
        return action("whole", f"show all {lengths[0]:,} characters, and all of the traceback", cls="link")
    return None


class LastError:
    """The pane.

    Args:
        source: What an error is read from again when all of it is asked for.
        go: Opens the activity that failed.
        schedule: Runs a call where things may be drawn.
    """

    def __init__(self, source: Source, go: Callable[[str], Any] | None = None, schedule: Schedule = run_now) -> None:
        self.source = source
        self.schedule = schedule
        self.whole: AgentError | None = None  # the error, read again once all of it was asked for
        self._last: Snapshot | None = None
        self.panel = Live(NO_ERROR, css=CSS, on={"go": go or (lambda address: None), "whole": self._toggle})

    def _toggle(self, _: str) -> None:
        last = self._last
        if last is None:
            return
        self.whole = None if self.whole is not None else whole_error(self.source, last.id) or last.error
        self.schedule(lambda: self.draw(last))

    def draw(self, snapshot: Snapshot) -> None:
        """Show the last error."""
        if self._last is not None and _key_of_error(self._last) != _key_of_error(snapshot):
            self.whole = None
        self._last = snapshot
        if snapshot.error is None:
            self.panel.draw(NO_ERROR)
            return
        ago = None if snapshot.error_at is None else max(0.0, snapshot.at - snapshot.error_at)
        self.panel.draw(error_html(self.whole or snapshot.error, ago, whole=self.whole is not None))


def _key_of_error(snapshot: Snapshot) -> object:
    # Not the object: one of another process is another object each time that it is read.
    return snapshot.id, snapshot.error_at, getattr(snapshot.error, "activity", None)
