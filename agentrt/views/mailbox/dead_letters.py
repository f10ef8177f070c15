"""Dead letters: what could not be delivered, when and why; to look at, to send again, to discard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...activity import Activity
from ...dead_letters import DeadLetter, Ledger
from ...errors import ActivityValidationError, AgentError
from ..app.address import Address
from ..feed import Update
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..runtime.steer import Soon, at_once
from ..text import count, plain, safe_text
from ..theme import FATES, STATUSES, toned
from . import items
from .items import CSS, Lane, Texts, detail_html, link
from .undoable_commands import SECONDS, Hand, Undo, ask_html, buttons_html

__all__ = ["Letters"]

KINDS = {"dead", "resent", "letter_discarded", "letter_kept", "created", "terminated"}
MANY = {"resend_all": "Send all again", "discard_all": "Discard all"}
ROWS = """
.items { max-height: none; }
.items .line.letter {
  grid-template-columns: 66px minmax(40px, max-content) minmax(60px, 150px) minmax(0, 1fr) fit-content(240px) auto; }
.items .line.letter strong { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.items .line.letter .why { max-width: 240px; }
@media (max-width: 700px) { .items .line.letter { grid-template-columns: 66px max-content minmax(0, 1fr) auto; }
  .items .line.letter code, .items .line.letter .why { grid-column: 1 / -1; max-width: none; order: 9; } }
"""
EMPTY = """<div class="empty">No dead letter. An activity becomes one when its runtime is terminated while it waits: it
was accepted, and nobody is there any more to do it. It is counted as <em>dead</em> among the fates and kept here, with
all it said: look at it, send it again to that runtime or to another, or discard it.</div>"""
GONE = """<p class="muted" style="margin-top:6px">That runtime is gone: create it again, or say above which other
runtime is to get it.</p>"""


class Letters(pn.viewable.Viewer):
    """The dead letters of a manager, newest first. A click on one opens it. `go(address)` opens another page.

    Sent again, a letter is a new activity (its parent is the dead one); the dead one stays counted as dead. What was
    discarded can be put back for some seconds; what was sent can't be unsent.
    """

    def __init__(
        self,
        manager: Any,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        super().__init__()
        self.manager = manager
        self.soon = soon
        self.letters = manager.dead_letters
        self.hand = Hand(commands or Commands(manager), self.draw, soon)
        self.opened: int | None = None
        self.asked = ""
        self.wanted = ""
        self.page = 0
        self.found: list[DeadLetter] = []
        self._texts = Texts()
        on = {"go": go or (lambda address: None), "open": self.open, "ask": self.ask, "turn": self.turn}
        on |= {"yes": lambda _: self.confirm(), "no": lambda _: self.ask("")}
        self.head, self.list = Live(css=CSS, on=on), Live(css=CSS + ROWS, on=on)
        self.search = self._field("search", lambda text: self.find(text))
        self.to = self._field("send again to another runtime", lambda text: self.soon(self.draw))
        self.tools = line(self.search, self.to)
        parts = (self.head, self.tools, self.hand.said, self.list)
        self.panel = pn.Column(*parts, **{**WIDE, "styles": {**WIDE["styles"], "gap": "8px"}})

    def __panel__(self) -> Any:
        return self.panel

    def _field(self, label: str, typed: Callable[[str], Any]) -> Any:
        field = pmui.TextInput(label=label, size="small", width=300, margin=(6, 0))
        field.param.watch(lambda event: typed(event.new), "value_input")
        return field

    @property
    def target(self) -> str | None:
        """The runtime that was typed; None for the one a letter was for."""
        return (self.to.value_input or self.to.value or "").strip() or None

    # ---- what a person does

    def open(self, id: str) -> None:
        """Open a letter, or close it."""
        number = int(id) if id.isdecimal() else None
        self.opened = None if number == self.opened else number
        self.ask("")

    def ask(self, what: str) -> None:
        """Ask about an act on the letter that is open ("discard:12"), on all that are found ("discard_all:0")."""
        name, _, id = what.partition(":")
        self.asked = name if name in MANY or (name in ("resend", "discard") and id == str(self.opened)) else ""
        self.soon(self.draw)

    def confirm(self) -> None:
        """Do what was asked about."""
        asked, id, to = self.asked, self.opened, self.target
        if asked in MANY:
            ids = [letter.activity.id for letter in self.found]
            act = self._resend_all if asked == "resend_all" else lambda ids, to: self._discard_all(ids)
            self.hand.act_here(MANY[asked].lower(), lambda: act(ids, to))
        elif asked and id is not None:
            one = self._resend if asked == "resend" else lambda id, to: self._discard_all([id])
            self.hand.act_here(f"{asked} activity {id}", lambda: one(id, to))
        self.ask("")

    def find(self, text: str) -> None:
        """Show only those that have this in their id, runtime, payload, source or reason."""
        self.wanted, self.page = text.strip().casefold(), 0
        self.soon(self.draw)

    def turn(self, which: str) -> None:
        """The next page ("letters:1") or the one before."""
        by = which.partition(":")[2]
        if by in ("1", "-1"):
            self.page = max(0, self.page + int(by))
            self.soon(self.draw)

    # ---- the acts

    def _resend(self, id: int, to: str | None) -> Undo:
        receipt = self.letters.resend(id, to)
        return Undo(f"Activity {id} was sent again to {plain(receipt.runtime, 60)}, as activity {receipt.id}.")

    def _resend_all(self, ids: list[int], to: str | None) -> Undo:
        wanted, sent, why = set(ids), 0, ""
        hopeless: set[tuple[str, str]] = set()  # runtimes that are gone, lanes that are full
        for activity in [letter.activity for letter in self.letters if letter.activity.id in wanted]:
            lane = to or activity.runtime, activity.lane.value
            if lane in hopeless:
                continue
            try:
                self.letters.resend(activity.id, to)
                sent += 1
            except AgentError as error:
                why = why or str(error)
                if not isinstance(error, ActivityValidationError):
                    hopeless.add(lane)
        kept = f" {len(ids) - sent:,} stay here: {why}" if why else ""
        return Undo(f"{count(sent, 'dead letter') if sent else 'Nothing'} sent again.{kept}")

    def _discard_all(self, ids: list[int]) -> Undo:
        gone: list[DeadLetter] = []
        for id in ids:
            try:
                gone.append(self.letters.discard(id))
            except AgentError:  # somebody else was quicker
                if len(ids) == 1:
                    raise

        def back() -> Undo:
            self.letters.put_back(*gone)
            return Undo(f"{count(len(gone), 'dead letter')} put back.")

        return Undo(f"{count(len(gone), 'dead letter')} discarded.", "Undo: put back", back)

    # ---- drawing

    def update(self, update: Update) -> bool:
        """Draw what is new. True while an undo is offered."""
        if update.first or update.missed or any(map(_matters, update.records)):
            self.draw()
        return self.hand.update()

    def draw(self) -> None:
        """The same, at once."""
        every = list(self.letters)
        self._texts.keep([letter.activity for letter in every])
        self.found = [letter for letter in every if self._matches(letter)] if self.wanted else every
        if all(letter.activity.id != self.opened for letter in self.found):
            self.opened, self.asked = None, self.asked if self.asked in MANY else ""
        self.head.draw(self._head(self.letters.ledger(), len(every)))
        self.tools.visible = bool(every)
        self.list.draw(self._list(len(every)))

    def _matches(self, letter: DeadLetter) -> bool:
        about = f"{letter.activity.runtime} {letter.reason}".casefold()
        return self.wanted in about or self._texts.matches(letter.activity, self.wanted)

    def _head(self, ledger: Ledger, here: int) -> str:
        if not ledger.dead and not here:
            return EMPTY
        look = FATES["dead"]
        parts = [f"<strong>{ledger.here:,}</strong> here", f"{ledger.resent:,} sent again"]
        parts += [f"{ledger.discarded:,} discarded"]
        parts += [f"{ledger.let_go:,} let go (no more are kept)"] if ledger.let_go else []
        words = f"{toned(look, f'{ledger.dead:,} {look.word}')} so far = {' + '.join(parts)}."
        return f"<div>{words}{self._all_acts(here)}</div>"

    def _all_acts(self, here: int) -> str:
        if not here:
            return ""
        off = () if self.hand.commands.may_steer and self.found else MANY
        buttons = buttons_html(MANY, 0, self.asked, off)
        ask = ""
        if self.asked in MANY:
            which = f"{count(len(self.found), 'dead letter')}{' that you searched for' if self.wanted else ''}"
            ask = self._question(self.asked.removesuffix("_all"), which)
        return f'<div style="margin-top:8px">{buttons}{ask}</div>'

    def _question(self, act: str, which: str) -> str:
        if act == "discard":
            words = f"Discard {which}? For {SECONDS:.0f} seconds that can be undone, then it is gone for good."
            return ask_html(words, "Discard it", "Leave it", STATUSES["error"].tone)
        to = "the runtime it was for" if self.target is None else safe_text(self.target, 60)
        words = f"Send {which} again, to {to}? It is done as a new activity; what is sent can't be unsent."
        return ask_html(words, "Send it", "Leave it", STATUSES["processing"].tone)

    def _list(self, every: int) -> str:
        if not every:
            return ""
        newest = self.found[::-1]
        start = min(self.page, max(0, (len(newest) - 1) // items.PAGE)) * items.PAGE
        self.page = start // items.PAGE
        shown = newest[start : start + items.PAGE]
        lane = Lane([letter.activity for letter in shown], start, len(newest), every)
        rows = items.list_html(map(self._row, shown)) if shown else items.nothing_html(lane, self.wanted)
        return rows + items.footer_html(lane, "letters")

    def _row(self, letter: DeadLetter) -> str:
        activity = letter.activity
        opened = activity.id == self.opened
        when = f"{self.manager.clock.wall(letter.at):%H:%M:%S}"
        return f"""<li data-key="i{activity.id}"{' class="open"' if opened else ""}><button class="line letter"
          data-do="open" data-with="{activity.id}" aria-expanded="{str(opened).lower()}">
          <span class="muted">{when}</span><span>{activity.id}</span><strong>{safe_text(activity.runtime, 60)}</strong>
          <code>{safe_text(self._texts.of(activity), 160)}</code>
          <span class="muted why">{safe_text(letter.reason, 80)}</span>{self._gone(letter)}</button>
          {self._detail(letter) if opened else ""}</li>"""

    def _gone(self, letter: DeadLetter) -> str:
        there = letter.activity.runtime in self.manager
        look = STATUSES["idle" if there else "terminated"]
        return toned(look, "there again" if there else "gone")

    def _detail(self, letter: DeadLetter) -> str:
        activity = letter.activity
        to = link(Address("runtime", activity.runtime), safe_text(activity.runtime, 60))
        why = f"Never delivered to {to}: {safe_text(letter.reason, 200)}. Lane: {activity.lane.value}."
        words = {"resend": f"Send again to {safe_text(self.target or activity.runtime, 40)}", "discard": "Discard"}
        gone = self.target is None and activity.runtime not in self.manager
        off = words.keys() if not self.hand.commands.may_steer else {"resend"} if gone else ()
        acts = buttons_html(words, activity.id, self.asked, off) + (GONE if gone else "")
        asks = self._question(self.asked, f"activity {activity.id}") if self.asked in words else ""
        return f'<div style="padding:4px 12px 0">{why}</div>{detail_html(activity, self.manager.clock, acts + asks)}'


def _matters(record: Any) -> bool:
    """Whether a record may change what is shown."""
    return not isinstance(record, Activity) and record.kind in KINDS
