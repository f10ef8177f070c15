"""The mailbox microscope: the items of both lanes side by side, coloured by age, and commands to change them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import is_
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...activity import Activity
from ...feed.source import Reply, Source, Typed
from ...snapshot import Status
from ..feed import Schedule, Update, run_now
from ..html import Content, Markup, div, empty, p, pre
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..theme import CLOCK, LANES, STATUSES, Look
from . import items
from .edit import PayloadEditor
from .items import CSS, Ages, LanePage, PayloadTexts
from .undoable_commands import Undo, UndoableCommands, commands_html, question_html

__all__ = ["Microscope"]

LATER = "delayed"
LOOKS = {**LANES, LATER: Look("#8A94A6", "◦", "not due yet", CLOCK)}
PAUSE = 0.25  # real seconds between two drawings of a mailbox that keeps changing
WORDS = {
    "first": "Move to the front",
    "promote": "Promote",
    "demote": "Demote",
    "edit": "Change payload",
    "drop": "Drop",
}
QUESTIONS = {
    "first": ("Let activity {} go before all others of its lane?", "Move it"),
    "promote": ("Move activity {} to the end of the priority lane?", "Promote it"),
    "demote": ("Move activity {} to the end of the standard lane?", "Demote it"),
    "drop": (
        "Drop activity {}? Whoever waits for it gets a MailboxFullError. Undo does not take that back: "
        "it sends the same payload again, as a new activity.",
        "Drop it",
    ),
}
TERMINATED = p("It is terminated: nothing waits.", cls="muted", style="padding:6px 4px")
EXAMPLE = """runtime.pause()
for n in range(5):
    runtime.send_nowait(n)"""
EMPTY = empty(
    "Nothing waits. What comes while an activity runs is shown here, and can be moved, changed or dropped. "
    "To look at some, pause the runtime and send it a few:",
    pre(EXAMPLE),
    style="margin-top:8px",
)


class Microscope(pn.viewable.Viewer):
    """What waits in one mailbox. A click on an item opens it: its whole payload, its source, and its commands.

    Every command asks once, in place, goes through `commands`, and offers its undo for some seconds. A long lane is
    shown in pages of 50. `go(address)` opens another page of the dashboard.
    """

    def __init__(
        self,
        source: Source,
        id: str,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
    ) -> None:
        super().__init__()
        self.source = source
        self.id = id
        self.schedule = schedule
        self.undoable = UndoableCommands(commands or Commands(source), self.draw, schedule)
        self.opened: int | None = None
        self.asked = ""
        self.wanted = ""
        self.pages = dict.fromkeys(LOOKS, 0)
        self.pause = PAUSE
        self.editor: PayloadEditor | None = None
        self._texts = PayloadTexts()
        self._shown: dict[str, tuple[Sequence[Activity[Any]], Any]] = {}
        self._drawn_at = self._aged_at = 0.0
        on = {"go": go or (lambda address: None), "open": self.open, "ask": self.ask, "turn": self.turn}
        on |= {"yes": lambda _: self.confirm(), "no": lambda _: self.ask("")}
        self.lists = {name: Live(css=CSS, on=on) for name in LOOKS}
        self.legend = Live(css=CSS, styles={"flex": "1 1 260px", "min-width": "0"})
        self.search = pmui.TextInput(placeholder="search what waits", size="small", width=200, margin=0)
        self.search.param.watch(lambda event: self.find(event.new), "value_input")
        self.editing = pn.Column(**WIDE)
        self.panel = self._layout()

    def _layout(self) -> Any:
        for name in LANES:
            self.lists[name].styles = {"flex": "1 1 min(220px, 100%)", "min-width": "0"}
        lanes = line(*(self.lists[name] for name in LANES), gap=16, align="flex-start")
        head = line(self.legend, self.search)
        parts = (head, self.undoable.message, self.editing, lanes, self.lists[LATER])
        return pn.Column(*parts, **{**WIDE, "styles": {**WIDE["styles"], "gap": "8px"}})

    def __panel__(self) -> Any:
        return self.panel

    # ---- what a person does

    def open(self, id: str) -> None:
        """Open an item, or close it."""
        number = int(id) if id.isdecimal() else None
        self.opened = None if number == self.opened else number
        self.ask("")

    def ask(self, what: str) -> None:
        """Ask before a command on the open item ("drop:12"), or about none; "edit" opens the editor."""
        name, _, id = what.partition(":")
        self.asked = name if id == str(self.opened) and name in QUESTIONS else ""
        if name == "edit" and id == str(self.opened) and self.undoable.commands.do("change an activity", lambda: None):
            self.schedule(self._edit)
        self.schedule(self.draw)

    def confirm(self) -> None:
        """Run the command that was asked about."""
        if self.opened is not None and self.asked:
            number, what = self.opened, f"{WORDS[self.asked].lower()} activity {self.opened}"
            report = partial(REPORTS[self.asked], number)
            self.undoable.submit(what, report, self.asked, self.id, activity=number)
        self.ask("")

    def find(self, text: str) -> None:
        """Show only what contains this in its id, its payload or its source."""
        self.wanted = text.strip().casefold()
        self.pages = dict.fromkeys(LOOKS, 0)
        self.schedule(self.draw)

    def turn(self, which: str) -> None:
        """Show another page of a lane: "standard:1" is the next one."""
        name, _, by = which.partition(":")
        if name in self.pages and by in ("1", "-1"):
            self.pages[name] = max(0, self.pages[name] + int(by))
            self.schedule(self.draw)

    # ---- the editor

    def _edit(self) -> None:
        """Open the editor, unless it is open on this item."""
        number = self.opened
        form = None if number is None else self.source.form(self.id, number)
        if number is None or form is None or (self.editor is not None and self.editor.id == number):
            return
        check = partial(self._check, number)
        self.editor = PayloadEditor(number, form, check, partial(self._save, number), self._close, self.schedule)
        self.editing.objects = [self.editor.panel]

    def _check(self, number: int, typed: Typed) -> None:
        self.undoable.commands.command("check", self.id, activity=number, typed=typed)

    def _save(self, number: int, typed: Typed) -> None:
        what, report = f"change activity {number}", partial(_report_change, number)
        self.undoable.submit(what, report, "edit", self.id, activity=number, typed=typed)
        self._close()

    def _close(self) -> None:
        self.editor = None
        self.schedule(lambda: self.editing.param.update(objects=[]))

    # ---- drawing

    def update(self, update: Update) -> bool:
        """Draw what waits now. True while something waits or an undo is offered."""
        offering = self.undoable.update()
        late = not update.first and time.monotonic() - self._drawn_at < self.pause
        if not late:
            self.draw()
        shot = self.source.snapshot(self.id, metrics=False)
        return offering or late or (shot is not None and any(shot.depth))

    def draw(self) -> None:
        """The same, at once."""
        self._drawn_at = time.monotonic()
        shot = self.source.snapshot(self.id, metrics=False)
        if shot is None:
            return
        waiting = self.source.mailbox(self.id).items
        self._forget(waiting)
        ages = Ages(self.source.speed)
        self.legend.draw(items.legend_html(ages))
        without = waiting or self.source.standing().recorded  # nothing can be tried with a file
        nothing = None if without else TERMINATED if shot.status is Status.TERMINATED else EMPTY
        capacity = dict(zip(LANES, shot.capacity, strict=True))
        for name, found in split(waiting, shot.at).items():
            lane = LanePage.of(found, self._texts, self.wanted, self.pages[name])
            self.pages[name] = lane.start // items.PAGE
            self._list(name, lane, capacity.get(name), shot.at, ages, nothing)
        if self._age_is_due():
            self._aged_at = time.monotonic()

    def _forget(self, waiting: Sequence[Activity[Any]]) -> None:
        """Close what no longer waits, and lock its editor."""
        self._texts.retain(waiting)
        ids = {each.id for each in waiting} if self.opened is not None or self.editor is not None else set()
        if self.opened not in ids:
            self.opened, self.asked = None, ""
        if self.editor is not None and self.editor.id not in ids:
            self.editor.lock()

    def _age_is_due(self) -> bool:
        return time.monotonic() - self._aged_at >= 1

    def _list(self, name: str, lane: LanePage, capacity: int | None, now: float, ages: Ages, nothing: Content) -> None:
        """Draw a lane if its items have changed; else only their ages, once a second."""
        other = (lane[1:], self.wanted, capacity, nothing, ages.limits, self._state_of(lane))
        before = self._shown.get(name)
        # Compared by identity: the `==` of a payload may run any code.
        if before is None or before[1] != other or not same(before[0], lane.items):
            self._shown[name] = lane.items, other
            self.lists[name].draw(self._lane(name, lane, capacity, now, ages, nothing))
        elif lane.items and self._age_is_due():
            self.lists[name].patch({f"a{each.id}": items.age_html(each, now, ages) for each in lane.items})

    def _state_of(self, lane: LanePage) -> tuple[Any, ...] | None:
        return (self.opened, self.asked) if any(each.id == self.opened for each in lane.items) else None

    def _lane(
        self, name: str, lane: LanePage, capacity: int | None, now: float, ages: Ages, nothing: Content
    ) -> Content:
        if name == LATER and not lane.total:
            return None
        rows = [self._row(name, each, now, ages) for each in lane.items]
        body = items.items_html(rows) if rows else items.no_items_html(lane, self.wanted)
        of = f" of {capacity:,}" if capacity is not None else ""
        # The height of a lane is fixed: nothing on the page jumps when one fills or empties.
        box = div((nothing if name == "standard" else None) or body, cls="later" if name == LATER else "box")
        return items.lane_head_html(LOOKS[name], lane, of), box, items.footer_html(lane, name)

    def _row(self, name: str, activity: Activity[Any], now: float, ages: Ages) -> Markup:
        text = self._texts.of(activity)
        if activity.id != self.opened:
            return items.item_html(activity, text, now, ages)
        detail = items.detail_html(activity, self.source, self._commands(name, activity.id))
        return items.item_html(activity, text, now, ages, detail)

    def _commands(self, name: str, id: int) -> Markup:
        left_out = {LATER: WORDS.keys() - {"drop"}, "priority": {"promote"}, "standard": {"demote"}}[name]
        words = {command: word for command, word in WORDS.items() if command not in left_out}
        buttons = commands_html(words, id, self.asked, () if self.undoable.commands.may_steer else words)
        if self.asked not in words:
            return buttons
        question, yes = QUESTIONS[self.asked]
        return buttons + question_html(question.format(id), yes, "Leave it", STATUSES["error"].tone)


# ---- what a command has done, in words, by the number of the activity


def _report_move(how: str, number: int, reply: Reply) -> Undo:
    back = f"Activity {number} is back where it was."
    return Undo(f"Activity {number} {how}.", "Undo: put it back", reply.undo, lambda _: back)


def _report_drop(number: int, reply: Reply) -> Undo:
    def again(reply: Reply) -> str:
        return f"The payload of activity {number} was sent again, as activity {reply.activity}."

    return Undo(f"Activity {number} was dropped.", "Send the same again", reply.undo, again)


def _report_change(number: int, reply: Reply) -> Undo:
    back = f"Activity {number} has its old payload again."
    return Undo(f"The payload of activity {number} was changed.", "Undo: the old payload", reply.undo, lambda _: back)


REPORTS: dict[str, Callable[[int, Reply], Undo]] = {
    "first": partial(_report_move, "was moved to the front"),
    "promote": partial(_report_move, "was promoted"),
    "demote": partial(_report_move, "was demoted"),
    "drop": _report_drop,
}


def split(waiting: Sequence[Activity[Any]], now: float) -> dict[str, list[Activity[Any]]]:
    """What waits, by lane, in its order there; and what is not due yet, the next one first."""
    found: dict[str, list[Activity[Any]]] = {name: [] for name in LOOKS}
    for activity in waiting:
        later = activity.not_before is not None and activity.not_before > now
        found[LATER if later else activity.lane.value].append(activity)
    found[LATER].sort(key=lambda activity: activity.not_before or 0.0)
    return found


def same(some: Sequence[Activity[Any]], others: Sequence[Activity[Any]]) -> bool:
    """Whether these are the same objects in the same order."""
    return len(some) == len(others) and all(map(is_, some, others))
