"""Commands of a view that can be undone: each asks once, and offers its undo for some seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from ...errors import AgentError
from ...feed.source import Reply
from ..feed import Schedule
from ..html import Content, Markup, action, button, div, quiet, row, span, with_glyph
from ..live import Live
from ..role import Commands
from ..text import safe_text
from ..theme import STATUSES
from .items import CSS

__all__ = ["Undo", "UndoableCommands", "commands_html", "question_html"]

log = logging.getLogger(__name__)

UNDO_SECONDS = 20.0  # real seconds for which an undo is offered


class Undo(NamedTuple):
    """What was done, in words; and its undo: the offer, its number, and what was done when it was undone."""

    done: str
    offer: str = ""
    number: int | None = None
    undone: Callable[[Reply], str] = lambda reply: ""


Report = Callable[[Reply], Undo]


class UndoableCommands:
    """Gives the commands of a view, and shows the result of the last one: what was done, with its undo, or the refusal.

    A `report` says of the reply to a command what was done. `on_change()` is called, through `schedule`,
    when the view has to be drawn again.
    """

    def __init__(
        self,
        commands: Commands,
        on_change: Callable[[], Any],
        schedule: Schedule,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.commands = commands.report_to(self._refuse)
        self.on_change = on_change
        self.schedule = schedule
        self.now = now
        self.undo: Undo | None = None
        self.message = Live(css=CSS, on={"undo": lambda _: self.undo_last()})
        self._refusal = ""
        self._waiting = False
        self._until = 0.0

    def submit(self, what: str, report: Report, name: str, id: str = "", /, **arguments: Any) -> None:
        """Give a command that is carried out between two activities. The page does not wait while one runs."""
        self._waiting = True
        self._refuse("", False)
        try:
            self.commands.check(what)
            future = self.commands.submit(name, id, **arguments)
        except AgentError as error:
            self._waiting = False
            self._refuse(str(error), True)
        else:
            future.add_done_callback(lambda future: self._finish(future, report))
        self._show()

    def _finish(self, future: Future[Reply], report: Report) -> None:
        error = None if future.cancelled() else future.exception()
        self._waiting = False
        if isinstance(error, AgentError):
            self._refuse(str(error), True)
        elif error is not None:
            log.error("a command of a view failed", exc_info=error)
        elif not future.cancelled():
            self._offer(report(future.result()))
        self._show()

    def command(self, what: str, report: Report, name: str, id: str = "", /, **arguments: Any) -> None:
        """Give a command that is carried out on this thread: one that does not have to wait for an activity."""
        self.commands.do(what, lambda: self._offer(report(self.commands.command(name, id, **arguments))))
        self._show()

    def _offer(self, undo: Undo) -> None:
        self._until = self.now() + UNDO_SECONDS
        self.undo = undo

    def undo_last(self) -> None:
        """Undo the last act, if that is still offered."""
        undo, self.undo = self.undo, None
        if undo is not None and undo.number is not None and self.now() < self._until:
            self.submit("undo", lambda reply: Undo(undo.undone(reply)), "undo", number=undo.number)
        self._show()

    def update(self) -> bool:
        """Remove an offer whose time is over. True while one is shown, or a command has yet to run."""
        if self.undo is not None and self.now() >= self._until:
            self.undo = None
            self.draw()
        return self.undo is not None or self._waiting

    def _refuse(self, text: str, wrong: bool) -> None:
        self._refusal = text if wrong else ""
        if wrong:
            self.undo = None

    def _show(self) -> None:
        self.schedule(self._redraw)

    def _redraw(self) -> None:
        self.draw()
        self.on_change()

    def draw(self) -> None:
        """Show what was done or refused, in one line."""
        self.message.draw(div(self._words(), role="status", style="min-height:24px"))

    def _words(self) -> Content:
        if self._refusal:
            return with_glyph(STATUSES["error"], safe_text(self._refusal, 300))
        if self._waiting:
            return quiet("It is done as soon as the loop is free.")
        if self.undo is None:
            return None
        offer = action("undo", safe_text(self.undo.offer, 120), cls="act") if self.undo.number is not None else None
        return span(span(safe_text(self.undo.done, 200)), offer, cls="row")


def question_html(question: str, yes: str, no: str, tone: str) -> Markup:
    """The question before a command, in place, and its two answers."""
    answers = action("yes", yes, cls="act sure"), action("no", no, cls="act")
    return div(question, row(answers), cls="ask", style=f"--tone:{tone}", role="group", aria_label=question)


def commands_html(commands: Mapping[str, str], id: int, asked: str, off: Collection[str]) -> Markup:
    """The commands for one item as a row of buttons, by name and word. `asked` is the one with an open question."""
    buttons = [
        COMMAND(word, data_with=f"{name}:{id}", aria_pressed=name == asked, disabled=name in off)
        for name, word in commands.items()
    ]
    return row(buttons, role="group", aria_label="what to do")


COMMAND = button.with_(cls="act", data_do="ask", style="--tone:#0072B2")
