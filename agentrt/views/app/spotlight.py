"""One runtime, large enough for the last row of a classroom, while the rest of the page recedes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...activity import Activity, Lane
from ...feed.source import Source
from ...snapshot import Snapshot, Status
from ..feed import Update
from ..fleet.rows import Rates
from ..html import (
    Content,
    Markup,
    action,
    chip,
    code,
    div,
    empty,
    fragment,
    h2,
    li,
    ol,
    p,
    quiet,
    row,
    span,
    strong,
    symbol,
)
from ..live import Live
from ..role import Commands
from ..runtime.lanes import fill_bar
from ..runtime.runtime import moves_by_itself, status_sentence
from ..text import brief, percent, plain, rate, safe_text
from ..theme import LANES, STATUSES, Look, look_of
from .vantage import VantageBoard

__all__ = ["Spotlight", "spotlight_html"]

ITEMS = 5  # of each lane that are shown
SLOW = 0.1  # the speed of slow motion
# All lengths follow one unit: the width of the window, and whether the type is large.
CSS = """
.spot { --u: calc(clamp(14px, min(1.9vw, 3vh), 34px) * var(--large)); position: fixed; inset: 0; z-index: 1300;
  background: rgb(0 0 0 / .62); display: flex; align-items: center; justify-content: center; padding: 2vh 2vw; }
.card { width: min(1680px, 100%); max-height: 100%; overflow-y: auto; outline: none; font-size: var(--u);
  line-height: 1.35; background: var(--rt-surface); border: 1px solid var(--rt-line);
  border-radius: calc(.6 * var(--u)); padding: calc(.9 * var(--u)) calc(1.2 * var(--u)); }
.card > * + * { margin-top: calc(.6 * var(--u)); }
.card h2 { font-size: calc(2.2 * var(--u)); line-height: 1.1; }
.card .chip { font-size: calc(1.2 * var(--u)); padding: 0 .7em 0 .6em; }
.card .chip i { display: flex; }
.card code { font-size: .92em; overflow-wrap: anywhere; }
.now { min-height: 2.7em; }
.why { border-left: .25em solid var(--tone); padding-left: .6em; overflow-wrap: anywhere; }
.rate { margin-left: auto; white-space: nowrap; }
.rate strong, .depth { font-size: calc(2.2 * var(--u)); line-height: 1.1; font-weight: 700; }
.lanes { display: grid; grid-template-columns: 1fr 1fr; gap: calc(1.2 * var(--u)); }
.lane { min-width: 0; border-top: calc(.2 * var(--u)) solid var(--tone); padding-top: calc(.3 * var(--u)); }
.lane .bar { height: calc(.8 * var(--u)); border-radius: calc(.4 * var(--u)); margin: calc(.3 * var(--u)) 0; }
.lane ol { list-style: none; min-height: calc(8 * var(--u)); }
.lane li { height: calc(1.6 * var(--u)); overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  border-bottom: 1px solid var(--rt-line); }
.lane li:first-child { font-weight: 600; } .lane li.muted { font-weight: 400; border: 0; }
.act { all: unset; cursor: pointer; font-size: max(14px, .72em); padding: .25em .9em; border-radius: .5em;
  border: 1px solid color-mix(in srgb, var(--rt-text) 38%, transparent); }
.act:hover { border-color: var(--rt-text); }
.act:focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
.spread .row { font-size: max(13px, .72em); }
@media (max-width: 700px) {
  .spot { padding: 0; } .card { border-radius: 0; height: 100%; } .lanes { grid-template-columns: 1fr; }
  .lane ol { min-height: calc(4.8 * var(--u)); } .lane li:nth-child(n + 4) { display: none; }
  .rate { margin-left: 0; flex: 1 1 100%; }
}
"""


def spotlight_html(source: Source, snapshot: Snapshot, per_second: float) -> Markup:
    """The name and the status, what runs now, the rate, and both lanes with what comes next in each."""
    speed = rate(per_second, source.speed)
    head = row(
        h2(safe_text(snapshot.id, 60)),
        chip(look_of(snapshot.status.value)),
        span(strong(speed), quiet(" processed"), cls="rate"),
    )
    waits = source.mailbox
    cells = zip(Lane, LANES.values(), snapshot.depth, snapshot.capacity, strict=True)
    lanes = [
        _waiting_column(look, depth, capacity, waits(snapshot.id, lane.value, 0, ITEMS).items)
        for lane, look, depth, capacity in cells
    ]
    return fragment(head, div(_now(snapshot), cls="now"), div(lanes, cls="lanes"))


def _now(snapshot: Snapshot) -> Markup:
    current = snapshot.current
    payload = None if current is None else (" ", code(safe_text(brief(current.payload, 80), 80)))
    failed = snapshot.status in (Status.ERROR, Status.FAILED, Status.STUCK) and snapshot.error
    look = STATUSES["error"]
    words = (symbol(look), " ", safe_text(str(snapshot.error), 120))
    why = p(words, cls="tone why", style=f"--tone:{look.tone}") if failed else None
    return fragment(status_sentence(snapshot), payload, why)


def _waiting_column(look: Look, depth: int, capacity: int, items: tuple[Activity[Any], ...]) -> Markup:
    of = quiet(f" of {capacity:,} waiting")
    words = f"{look.word} lane: {depth:,} of {capacity:,} waiting, {percent(depth, capacity)} full"
    head = div(symbol(look), " ", look.word, cls="tone"), div(span(f"{depth:,}", cls="depth"), of)
    return div(
        head,
        fill_bar(depth, capacity, look.tone, words),
        ol(
            map(_waiting_item, items) if items else li("empty", cls="muted"), aria_label=f"next in the {look.word} lane"
        ),
        cls="lane",
        style=f"--tone:{look.tone}",
    )


def _waiting_item(activity: Activity[Any]) -> Markup:
    text = plain(brief(activity.payload, 60), 60)
    return li(quiet(f"{activity.id} "), code(safe_text(text)), data_key=f"{activity.id}", cls="fresh")


class Spotlight:
    """Shows one runtime over the page, or nothing.

    Args:
        board: What the page is drawn on: the same moment is shown here.
        show: Called with the id of another runtime to show, or with None to end it.
    """

    def __init__(self, board: VantageBoard, show: Callable[[str | None], Any]) -> None:
        self.board = board
        self.id: str | None = None
        self._show = show
        self._rates = Rates()
        self._per_second = 0.0
        self._usual = 1.0  # the speed before slow motion
        acts: dict[str, Callable[[str], Any]] = {
            "end": lambda _: show(None),
            "other": lambda way: self._go_on(int(way)),
            "toggle": lambda _: self._steer(self._commands.toggle),
            "recover": lambda _: self._steer(self._commands.recover),
            "step": lambda _: self._steer(self._commands.step),
            "slow": lambda _: self._change_pace(),
        }
        self.panel = Live(css=CSS, on=acts, visible=False)

    @property
    def _commands(self) -> Commands:
        return self.board.commands

    def choose(self) -> str | None:
        """The runtime that most activities wait for; None where there is none."""
        found = self.board.source.find("", "standard", True, 0, 1)
        return found.ids[0] if found.ids else None

    def show(self, id: str | None) -> None:
        """Show this runtime from now on; nothing with None."""
        self.id = id
        self._rates = Rates()
        if self.panel.visible != (id is not None):  # before it is drawn: nothing hidden takes the keyboard
            self.panel.visible = id is not None
        self._draw()

    def update(self, update: Update) -> bool:
        """Bring it up to date. True while it changes without a new record: the rate too, until it is zero."""
        return self._draw()

    # ---- what a person does

    def _go_on(self, way: int) -> None:
        ids = list(self.board.source.runtimes)
        if ids:
            at = ids.index(self.id) if self.id in ids else 0
            self._show(ids[(at + way) % len(ids)])

    def _steer(self, command: Callable[[str], Any]) -> None:
        if self.id is not None:
            command(self.id)

    def _change_pace(self) -> None:
        speed = self.board.source.speed
        if speed > SLOW:
            self._usual = speed
        self._commands.speed(SLOW if speed > SLOW else self._usual)

    # ---- drawing

    def _draw(self) -> bool:
        if self.id is None:
            self.panel.draw(None)
            return False
        shot = self.board.source.snapshot(self.id)
        body = self._body(shot) if shot else empty(f"There is no runtime {plain(self.id, 80)}.")
        title = f"spotlight on {plain(self.id, 60)}"
        card = div(body, self._foot(shot), cls="card", role="dialog", aria_label=title, tabindex=-1, data_focus=title)
        self.panel.draw(div(card, cls="spot"))
        return shot is not None and (moves_by_itself(shot) or self._per_second > 0)

    def _body(self, shot: Snapshot) -> Markup:
        speed = self.board.source.speed
        processed = shot.fates.done + shot.fates.failed + shot.fates.timed_out
        least = speed if 0 < speed < math.inf else 1.0  # a second of who looks, in slow motion too
        self._per_second = self._rates.of(shot.id, shot.at, processed, least)
        return spotlight_html(self.board.source, shot, self._per_second)

    def _foot(self, shot: Snapshot | None) -> Markup:
        others = len(self.board.source.runtimes) > 1
        turn = (_act_button("other", "Previous", -1), _act_button("other", "Next", 1)) if others else None
        steer = self._steering(shot) if shot is not None and self._commands.may_steer else None
        return div(row(steer, quiet(self._pace())), row(turn, _act_button("end", "Close (Esc)")), cls="row spread")

    def _steering(self, shot: Snapshot) -> Content:
        paused = shot.status is Status.PAUSED
        slow = "Usual speed" if self.board.source.speed <= SLOW else "Slow motion"
        pause = _act_button("toggle", "Resume" if paused else "Pause"), _act_button("step", "Step")
        failed = shot.status is Status.FAILED
        return _act_button("recover", "Recover") if failed else pause, _act_button("slow", slow)

    def _pace(self) -> str:
        speed = self.board.source.speed
        if self.board.vantage.moment is not None:
            return "as it was"
        return "" if speed == 1 else "as fast as it can" if speed == math.inf else f"speed {speed:g}x"


def _act_button(name: str, words: str, value: int | None = None) -> Markup:
    return action(name, words, value=value, cls="act")
