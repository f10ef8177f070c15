"""Dead letters: the activities that could not be delivered, when and why; to look at, to send again, to discard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...activity import Activity
from ...feed.source import DeadLetter, Ledger, Reply, Source
from ..app.address import Address
from ..feed import Schedule, Update, run_now
from ..html import (
    NOT_IN_FILE,
    Content,
    Markup,
    action,
    code,
    div,
    em,
    empty,
    fragment,
    join,
    li,
    link,
    p,
    quiet,
    span,
    strong,
    with_glyph,
)
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import plain, quantity, safe_text
from ..theme import FATES, STATUSES
from . import items
from .items import CSS, LanePage, PayloadTexts, detail_html
from .undoable_commands import UNDO_SECONDS, Undo, UndoableCommands, commands_html, question_html

__all__ = ["DeadLettersView"]

KINDS = {"dead", "resent", "letter_discarded", "letter_kept", "created", "terminated"}
FOR_ALL = {"resend_all": "Send all again", "discard_all": "Discard all"}
ROWS = """
.items { max-height: none; }
.items .line.letter {
  grid-template-columns: 66px minmax(40px, max-content) minmax(60px, 150px) minmax(0, 1fr) fit-content(240px) auto; }
.items .line.letter strong { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.items .line.letter .why { max-width: 240px; }
@media (max-width: 700px) { .items .line.letter { grid-template-columns: 66px max-content minmax(0, 1fr) auto; }
  .items .line.letter code, .items .line.letter .why { grid-column: 1 / -1; max-width: none; order: 9; } }
"""
EMPTY = empty(
    "No dead letter. An activity becomes one when its runtime is terminated while it waits: it was accepted, and can't "
    "be processed any more. It is counted as ",
    em("dead-lettered"),
    " among the fates and kept here with its payload: look at it, send it again to that runtime or to another, or "
    "discard it.",
)
GONE = p(
    "That runtime has ended: create it again, or enter above which other runtime is to get it.",
    cls="muted",
    style="margin-top:6px",
)


class DeadLettersView(pn.viewable.Viewer):
    """The dead letters of a manager, newest first. A click on one opens it. `go(address)` opens another page.

    Sending one again makes a new activity, whose parent is the dead one; the dead one stays counted as dead. For some
    seconds a discarded one can be put back; a sent one can't be unsent.
    """

    def __init__(
        self,
        source: Source,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
    ) -> None:
        super().__init__()
        self.source = source
        self.schedule = schedule
        self.undoable = UndoableCommands(commands or Commands(source), self.draw, schedule)
        self.opened: int | None = None
        self.asked = ""
        self.wanted = ""
        self.page = 0
        self.found: Sequence[DeadLetter] = ()
        self._texts = PayloadTexts()
        on = {"go": go or (lambda address: None), "open": self.open, "ask": self.ask, "turn": self.turn}
        on |= {"yes": lambda _: self.confirm(), "no": lambda _: self.ask("")}
        self.head, self.list = Live(css=CSS, on=on), Live(css=CSS + ROWS, on=on)
        self.search = self._field("search", lambda text: self.find(text))
        self.to = self._field("send again to another runtime", lambda text: self.schedule(self.draw))
        self.tools = line(self.search, self.to)
        parts = (self.head, self.tools, self.undoable.message, self.list)
        self.panel = pn.Column(*parts, **{**WIDE, "styles": {**WIDE["styles"], "gap": "8px"}})

    def __panel__(self) -> Any:
        return self.panel

    def _field(self, label: str, on_input: Callable[[str], Any]) -> Any:
        field = pmui.TextInput(label=label, size="small", width=300, margin=(6, 0))
        field.param.watch(lambda event: on_input(event.new), "value_input")
        return field

    @property
    def target(self) -> str | None:
        """The runtime in the field; None for the one that a dead letter was for."""
        return (self.to.value_input or self.to.value or "").strip() or None

    # ---- what a person does

    def open(self, id: str) -> None:
        """Open a dead letter, or close it."""
        number = int(id) if id.isdecimal() else None
        self.opened = None if number == self.opened else number
        self.ask("")

    def ask(self, what: str) -> None:
        """Ask before a command on the open dead letter ("discard:12"), or on all that are found ("discard_all:0")."""
        name, _, id = what.partition(":")
        self.asked = name if name in FOR_ALL or (name in ("resend", "discard") and id == str(self.opened)) else ""
        self.schedule(self.draw)

    def confirm(self) -> None:
        """Run the command that was asked about."""
        asked, id, to = self.asked, self.opened, self.target
        if asked in FOR_ALL:
            self._give(
                FOR_ALL[asked].lower(), asked.removesuffix("_all"), [each.activity.id for each in self.found], to
            )
        elif asked and id is not None:
            self._give(f"{asked} activity {id}", asked, [id], to)
        self.ask("")

    def _give(self, what: str, name: str, ids: list[int], to: str | None) -> None:
        report = partial(_report_resend if name == "resend" else _report_discard, ids)
        arguments = {"to": to} if name == "resend" else {}
        self.undoable.command(what, report, name, activities=ids, **arguments)

    def find(self, text: str) -> None:
        """Show only those with this in their id, runtime, payload, source or reason."""
        self.wanted, self.page = text.strip().casefold(), 0
        self.schedule(self.draw)

    def turn(self, which: str) -> None:
        """The next page ("dead-letters:1") or the one before."""
        by = which.partition(":")[2]
        if by in ("1", "-1"):
            self.page = max(0, self.page + int(by))
            self.schedule(self.draw)

    # ---- drawing

    def update(self, update: Update) -> bool:
        """Draw what is new. True while an undo is offered."""
        if update.first or update.missed or any(map(_is_relevant, update.records)):
            self.draw()
        return self.undoable.update()

    def draw(self) -> None:
        """The same, at once."""
        every = self.source.dead_letters().items
        self._texts.retain([letter.activity for letter in every])
        self.found = [letter for letter in every if self._matches(letter)] if self.wanted else every
        if all(letter.activity.id != self.opened for letter in self.found):
            self.opened, self.asked = None, self.asked if self.asked in FOR_ALL else ""
        self.head.draw(self._head(self.source.ledger(), len(every)))
        self.tools.visible = bool(every)
        self.list.draw(self._list(len(every)))

    def _matches(self, letter: DeadLetter) -> bool:
        about = f"{letter.activity.runtime} {letter.reason}".casefold()
        return self.wanted in about or self._texts.matches(letter.activity, self.wanted)

    def _head(self, ledger: Ledger, here: int) -> Markup:
        if not ledger.dead and not here:
            return NOT_IN_FILE if self.source.standing().recorded else EMPTY
        look = FATES["dead"]
        parts: list[Content] = [(strong(f"{ledger.here:,}"), " here"), f"{ledger.resent:,} sent again"]
        parts += [f"{ledger.discarded:,} discarded"]
        parts += [f"{ledger.let_go:,} dropped (no more are kept)"] if ledger.let_go else []
        total = with_glyph(look, f"{ledger.dead:,} {look.word}")
        return div(total, " so far = ", join(" + ", parts), ".", self._commands_for_all(here))

    def _commands_for_all(self, here: int) -> Content:
        if not here:
            return None
        off = () if self.undoable.commands.may_steer and self.found else FOR_ALL
        question = None
        if self.asked in FOR_ALL:
            which = f"{quantity(len(self.found), 'dead letter')}{' that you searched for' if self.wanted else ''}"
            question = self._question(self.asked.removesuffix("_all"), which)
        return div(commands_html(FOR_ALL, 0, self.asked, off), question, style="margin-top:8px")

    def _question(self, command: str, which: str) -> Markup:
        if command == "discard":
            words = f"Discard {which}? For {UNDO_SECONDS:.0f} seconds that can be undone, then it is gone for good."
            return question_html(words, "Discard it", "Leave it", STATUSES["error"].tone)
        to = "the runtime it was for" if self.target is None else plain(self.target, 60)
        words = f"Send {which} again, to {to}? It becomes a new activity; what is sent can't be unsent."
        return question_html(words, "Send it", "Leave it", STATUSES["processing"].tone)

    def _list(self, every: int) -> Content:
        if not every:
            return None
        newest = self.found[::-1]
        start = min(self.page, max(0, (len(newest) - 1) // items.PAGE)) * items.PAGE
        self.page = start // items.PAGE
        letters = newest[start : start + items.PAGE]
        page = LanePage([letter.activity for letter in letters], start, len(newest), every)
        rows = items.items_html(map(self._row, letters)) if letters else items.no_items_html(page, self.wanted)
        return rows, items.footer_html(page, "dead-letters")

    def _row(self, letter: DeadLetter) -> Markup:
        activity = letter.activity
        opened = activity.id == self.opened
        head = action(
            "open",
            *(quiet(f"{self.source.wall(letter.at):%H:%M:%S}"), span(activity.id)),
            *(strong(safe_text(activity.runtime, 60)), code(safe_text(self._texts.of(activity), 160))),
            *(span(safe_text(letter.reason, 80), cls="muted why"), self._presence(letter)),
            value=activity.id,
            cls="line letter",
            aria_expanded=opened,
        )
        detail = self._detail(letter) if opened else None
        return li(head, detail, data_key=f"i{activity.id}", cls="open" if opened else None)

    def _presence(self, letter: DeadLetter) -> Markup:
        """Whether a runtime of its id exists now."""
        there = letter.activity.runtime in self.source.runtimes
        return with_glyph(STATUSES["idle" if there else "terminated"], "there again" if there else "terminated")

    def _detail(self, letter: DeadLetter) -> Markup:
        activity = letter.activity
        to = link(Address("runtime", activity.runtime), safe_text(activity.runtime, 60))
        why = "Never delivered to ", to, f": {plain(letter.reason, 200)}. Lane: {activity.lane.value}."
        words = {"resend": f"Send again to {plain(self.target or activity.runtime, 40)}", "discard": "Discard"}
        gone = self.target is None and activity.runtime not in self.source.runtimes
        off = words.keys() if not self.undoable.commands.may_steer else {"resend"} if gone else ()
        question = self._question(self.asked, f"activity {activity.id}") if self.asked in words else None
        commands = fragment(commands_html(words, activity.id, self.asked, off), GONE if gone else None, question)
        return fragment(div(why, style="padding:4px 12px 0"), detail_html(activity, self.source, commands))


def _report_resend(ids: list[int], reply: Reply) -> Undo:
    if reply.activity is not None:
        return Undo(f"Activity {ids[0]} was sent again to {plain(reply.runtime, 60)}, as activity {reply.activity}.")
    rest = f" {len(ids) - reply.count:,} stay here: {reply.refusal}" if reply.refusal else ""
    return Undo(f"{quantity(reply.count, 'dead letter') if reply.count else 'Nothing'} sent again.{rest}")


def _report_discard(ids: list[int], reply: Reply) -> Undo:
    back = f"{quantity(reply.count, 'dead letter')} put back."
    return Undo(f"{quantity(reply.count, 'dead letter')} discarded.", "Undo: put back", reply.undo, lambda _: back)


def _is_relevant(record: Any) -> bool:
    """Whether a record may change what is shown."""
    return not isinstance(record, Activity) and record.kind in KINDS
