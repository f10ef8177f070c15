"""Acts by hand in a view: each asks once, is carried out where it belongs, and can be undone for some seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ...errors import AgentError
from ..live import Live
from ..role import Commands
from ..runtime.steer import Soon
from ..text import safe_text
from ..theme import STATUSES, toned
from .items import CSS

__all__ = ["Hand", "Undo", "ask_html", "buttons_html"]

log = logging.getLogger(__name__)

SECONDS = 20.0  # real ones, for which an undo is offered


class Undo(NamedTuple):
    """What was done, in words; and what the undo of it does, in words and as a call. `act` is None if there is none."""

    done: str
    offer: str = ""
    act: Callable[[], Undo | None] | None = None


class Hand:
    """Carries out the acts of a view, and says below what was done, with its undo, or why it was refused.

    An act runs on the agents' loop, between two activities: where a workflow keeps that loop the page must not wait.
    `drawn()` is called, through `soon`, when there is something new to be seen. An act returns its `Undo`.
    """

    def __init__(
        self, commands: Commands, drawn: Callable[[], Any], soon: Soon, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.manager = commands.manager
        self.commands = Commands(commands.manager, role=commands.role, who=commands.who, tell=self._tell)
        self.drawn = drawn
        self.soon = soon
        self.now = now
        self.undo: Undo | None = None
        self.said = Live(css=CSS, on={"undo": lambda _: self.take_back()})
        self._refusal = ""
        self._waiting = False
        self._until = 0.0

    def act(self, what: str, act: Callable[[], Undo | None]) -> None:
        """Do it. The role is checked now, and again when the loop comes to it."""
        if self.commands.do(what, lambda: None):
            self._waiting = True
            try:
                self.manager.submit(self._on_loop(what, act)).add_done_callback(_tell_error)
            except AgentError as error:
                self._waiting = False
                self._tell(str(error), True)
        self._show()

    def act_here(self, what: str, act: Callable[[], Undo | None]) -> None:
        """Do it on this thread: what needs no loop."""
        done: list[Undo | None] = []
        if self.commands.do(what, lambda: done.append(act())):
            self._until = self.now() + SECONDS
            self.undo = done[0]
        self._show()

    async def _on_loop(self, what: str, act: Callable[[], Undo | None]) -> None:
        try:
            self.act_here(what, act)
        finally:
            self._waiting = False
            self._show()

    def take_back(self) -> None:
        """Undo the last act, if that is still offered."""
        undo, self.undo = self.undo, None
        if undo is not None and undo.act is not None and self.now() < self._until:
            self.act("undo", undo.act)
        self._show()

    def update(self) -> bool:
        """Take away an offer that is over. True while there is one, or something is on its way."""
        if self.undo is not None and self.now() >= self._until:
            self.undo = None
            self.draw()
        return self.undo is not None or self._waiting

    def _tell(self, text: str, wrong: bool) -> None:
        self._refusal = text if wrong else ""
        if wrong:
            self.undo = None

    def _show(self) -> None:
        self.soon(self._drawn)

    def _drawn(self) -> None:
        self.draw()
        self.drawn()

    def draw(self) -> None:
        """What was done or refused, in one line."""
        self.said.draw(f'<div role="status" style="min-height:24px">{self._words()}</div>')

    def _words(self) -> str:
        look = STATUSES["error"]
        if self._refusal:
            return toned(look, safe_text(self._refusal, 300))
        if self._waiting:
            return '<span class="muted">It is done as soon as the loop is free.</span>'
        if self.undo is None:
            return ""
        offer = (
            f'<button class="act" data-do="undo">{safe_text(self.undo.offer, 120)}</button>' if self.undo.act else ""
        )
        return f'<span class="row"><span>{safe_text(self.undo.done, 200)}</span>{offer}</span>'


def _tell_error(future: Any) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("what was done by hand failed", exc_info=error)


def ask_html(question: str, yes: str, no: str, tone: str) -> str:
    """The one question before an act, in place. The texts must be safe."""
    return f"""<div class="ask" style="--tone:{tone}" role="group" aria-label="{question}">{question}<div class="row">
      <button class="act sure" data-do="yes">{yes}</button><button class="act" data-do="no">{no}</button></div></div>"""


def buttons_html(acts: Mapping[str, str], id: int, asked: str, off: Collection[str]) -> str:
    """The acts on one thing as a row of buttons: name and word. `asked` is the one that is asked about."""
    buttons = "".join(
        f'<button class="act" data-do="ask" data-with="{name}:{id}" aria-pressed="{str(name == asked).lower()}"'
        f' style="--tone:#0072B2"{" disabled" if name in off else ""}>{word}</button>'
        for name, word in acts.items()
    )
    return f'<div class="row" role="group" aria-label="what to do">{buttons}</div>'
