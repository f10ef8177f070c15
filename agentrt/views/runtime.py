"""One runtime: how it is, what waits, what it did and does, its state, its last error, its log; and taking part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from ..snapshot import Snapshot, Status
from .axes import TimeAxis
from .depth import Depth
from .feed import News
from .lanes import Lanes
from .layout import WIDE, beside, section
from .live import Live
from .log import Log
from .problem import Problem
from .role import Commands
from .state import State
from .steer import Soon, Steer, at_once
from .text import count, duration, safe_text
from .theme import chip, look_of
from .throughput import Throughput
from .timeline import Timeline

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
    """The page of one runtime. `update(news)` draws what is new; whether anything does so is up to a `Feed`."""

    def __init__(
        self,
        runtime: Any,
        commands: Commands | None = None,
        inject: Any = None,
        *,
        go: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.commands = commands or Commands(runtime.manager)
        axis = self.axis = TimeAxis(runtime.manager.clock)
        self.head = Live()
        self.lanes, self.depth, self.timeline, self.throughput = Lanes(), Depth(axis), Timeline(axis), Throughput(axis)
        self.state, self.problem, self.log = State(height=330), Problem(), Log(runtime.manager.clock)
        self.steer = Steer(runtime, self.commands, knobs=not over(runtime), soon=soon)
        if commands is None:
            self.commands.tell = self.steer.say
        self.panel = self._lay_out(inject)

    def _lay_out(self, inject: Any) -> Any:
        take_part = [section("Inject an activity", inject, grow=2)] if inject is not None else []
        return pn.Column(
            section("", self.head, pn.Spacer(height=8), self.steer.panel),
            beside(
                section("Lanes", self.lanes.panel, grow=2),
                section("Waiting", self.depth.panel, note="dashed: capacity", grow=3),
            ),
            section("What it did", self.timeline.panel, note="pale: waiting, solid: working, marks: how it ended"),
            beside(section("Throughput", self.throughput.panel), section("State", self.state.panel)),
            beside(*take_part, section("Last error", self.problem.panel, grow=3)),
            section("Events", self.log.panel, note="newest first"),
            **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px"}},
        )

    def __panel__(self) -> Any:
        return self.panel

    def update(self, news: News) -> bool:
        """Draw what is new. True while it moves by itself."""
        snapshot = self.runtime.snapshot()
        records = news.of.get(snapshot.id, [])
        self.axis.move(snapshot.at)
        self.head.draw(headline(snapshot))
        self.lanes.draw(snapshot)
        self.depth.draw(snapshot, news, records)
        self.timeline.draw(snapshot, news, records, self.runtime.mailbox_items)
        self.throughput.draw(snapshot, news, records)
        self.state.draw(snapshot.state)
        self.problem.draw(snapshot)
        self.log.draw(news, records)
        self.steer.draw(snapshot)
        return lively(snapshot)
