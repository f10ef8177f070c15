"""One runtime: how it is, what waits, what it did and does, its state, its last error, its log; and taking part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from ...snapshot import Snapshot, Status
from ..feed import Update
from ..layout import WIDE, beside, section
from ..live import Live
from ..role import Commands
from ..text import count, duration, safe_text
from ..theme import chip, look_of
from ..timeline.axes import TimeAxis
from ..timeline.depth import Depth
from ..timeline.throughput import Throughput
from ..timeline.timeline import Timeline
from .lanes import Lanes
from .last_error import Problem
from .state import State
from .steer import Soon, Steer, at_once
from .where import Where

__all__ = ["RuntimeView", "headline", "lively", "sentence"]

QUIET = (Status.PAUSED, Status.FAILED, Status.TERMINATED)


def lively(snapshot: Snapshot) -> bool:
    """Whether it will look different soon by itself: something runs, or is about to."""
    return snapshot.current is not None or (any(snapshot.depth) and snapshot.status not in QUIET)


def sentence(snapshot: Snapshot) -> str:
    """What it does now, in words that are safe for HTML."""
    waiting = sum(snapshot.depth)
    if snapshot.status is Status.TERMINATED:
        return "It is over: it takes no activities any more."
    if snapshot.status is Status.FAILED:
        return f"Its supervisor stopped it after repeated failures; {count(waiting, 'activity')} kept. Recover goes on."
    if snapshot.current is not None:
        spans = "".join(f", in <em>{safe_text(span, 60)}</em>" for span in snapshot.spans[-1:])
        ran = duration(snapshot.at - (snapshot.started or snapshot.at))
        return f"Activity {snapshot.current.id} of the {snapshot.current.lane.value} lane runs for {ran}{spans}."
    if snapshot.status is Status.PAUSED:
        return f"Paused, with {count(waiting, 'activity')} waiting. Step lets one through."
    return "Nothing to do." if not waiting else f"{count(waiting, 'activity')} waiting."


def over(runtime: Any) -> bool:
    """Whether there is nothing left to steer."""
    return bool(runtime.snapshot(metrics=False).status is Status.TERMINATED)


def headline(snapshot: Snapshot, extra: str = "") -> str:
    """Its id, status and counts."""
    fates = snapshot.fates
    ended = fates.done + fates.failed + fates.timed_out
    parts = [f"<strong>{ended:,}</strong> processed", f"<strong>{fates.failed + fates.timed_out:,}</strong> failed"]
    parts += [f"<strong>{fates.dropped:,}</strong> dropped"] if fates.dropped else []
    status = chip(look_of(snapshot.status.value))
    return f"""<header class="row spread"><div class="row"><h2>{safe_text(snapshot.id, 80)}</h2>{status}
      <span class="muted">{sentence(snapshot)}</span></div>
      <div class="row"><span class="muted">{", ".join(parts)}</span>{extra}</div></header>"""


class RuntimeView(pn.viewable.Viewer):
    """The page of one runtime. `update(update)` draws what is new; whether anything does so is up to a `Feed`.

    `more` is what else there is to see, below all that always is; `files` is what can be taken home.
    """

    def __init__(
        self,
        runtime: Any,
        commands: Commands | None = None,
        more: Any = None,
        *,
        files: Any = None,
        go: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.commands = commands or Commands(runtime.manager)
        axis = self.axis = TimeAxis(runtime.manager.clock)
        self.head = Live()
        self.lanes, self.depth, self.timeline, self.throughput = Lanes(), Depth(axis), Timeline(axis), Throughput(axis)
        self.state, self.problem = State(height=330), Problem(go)
        self.where = None if over(runtime) else Where(runtime, self.commands, go=go, soon=soon)
        self.steer = Steer(runtime, self.commands, knobs=self.where is not None, soon=soon)
        if commands is None:
            self.commands.tell = self.steer.say
        self.panel = self._lay_out(more, files)

    def _lay_out(self, more: Any, files: Any) -> Any:
        where = [section("Where it is", self.where, grow=3, least=680)] if self.where is not None else []
        did = [self.timeline.panel] if files is None else [self.timeline.panel, files]
        rest = [section("", more, grow=3)] if more is not None else []
        return pn.Column(
            section("", self.head, self.steer.panel),
            beside(*where, section("State", self.state.panel, grow=1, least=260)),
            section("What it did", *did, note="pale: waiting, solid: working, marks: how it ended"),
            beside(
                section("Lanes", self.lanes.panel, grow=4),
                section("Waiting", self.depth.panel, note="dashed: capacity", grow=5),
                section("Throughput", self.throughput.panel, grow=5),
            ),
            beside(*rest, section("Last error", self.problem.panel, grow=2)),
            **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px"}},
        )

    def __panel__(self) -> Any:
        return self.panel

    def update(self, update: Update) -> bool:
        """Draw what is new. True while it moves by itself."""
        snapshot = self.runtime.snapshot()
        records = update.of.get(snapshot.id, [])
        self.axis.move(snapshot.at)
        self.head.draw(headline(snapshot))
        self.lanes.draw(snapshot)
        self.depth.draw(snapshot, update, records)
        self.timeline.draw(snapshot, update, records, self.runtime.mailbox_items)
        self.throughput.draw(snapshot, update, records)
        self.state.draw(snapshot.state)
        self.problem.draw(snapshot)
        self.steer.draw(snapshot)
        moves = self.where.update(update) if self.where is not None else False
        return lively(snapshot) or moves
