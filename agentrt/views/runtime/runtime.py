"""The page of one runtime: status, lanes, what it did and does, state, last error, and the controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from ...feed.source import JournalStanding, Source
from ...snapshot import Snapshot, Status
from ..feed import Schedule, Update, run_now
from ..html import Content, Markup, chip, em, fragment, h2, header, join, quiet, row, strong
from ..journal import is_unsettled, journal_sentence
from ..layout import WIDE, beside, section
from ..live import Live
from ..role import Commands
from ..text import duration, quantity, safe_text
from ..theme import look_of
from ..timeline.axes import TimeAxis
from ..timeline.depth import Depth
from ..timeline.throughput import Throughput
from ..timeline.timeline import Timeline
from .lanes import Lanes
from .last_error import LastError
from .state import State
from .steer import Steer
from .where import Where

__all__ = ["RuntimeView", "headline", "moves_by_itself", "status_sentence"]

QUIET = (Status.PAUSED, Status.FAILED, Status.TERMINATED)


def moves_by_itself(snapshot: Snapshot) -> bool:
    """Whether it will look different soon without a new record: something runs, or is about to."""
    return snapshot.current is not None or (any(snapshot.depth) and snapshot.status not in QUIET)


def status_sentence(snapshot: Snapshot) -> Markup:
    """What it does now, in words."""
    waiting = quantity(sum(snapshot.depth), "activity")
    if snapshot.current is not None and snapshot.status not in (Status.TERMINATED, Status.FAILED):
        step = [(", in ", em(safe_text(span, 60))) for span in snapshot.spans[-1:]]
        ran = duration(snapshot.at - (snapshot.started or snapshot.at))
        lane = snapshot.current.lane.value
        if snapshot.status is Status.PAUSED:
            return fragment(f"Activity {snapshot.current.id} of the {lane} lane is stopped", step, ".")
        return fragment(f"Activity {snapshot.current.id} of the {lane} lane runs for {ran}", step, ".")
    words = {
        Status.TERMINATED: "It is terminated: it accepts no activities any more.",
        Status.FAILED: f"Its supervisor stopped it after repeated failures; {waiting} waiting. Recover resumes it.",
        Status.PAUSED: f"Paused, with {waiting} waiting. Step processes one.",
    }
    return fragment(words.get(snapshot.status, f"{waiting} waiting." if any(snapshot.depth) else "Nothing to do."))


def headline(snapshot: Snapshot, extra: Content = None) -> Markup:
    """Its id, status and counts, and `extra` after them."""
    fates = snapshot.fates
    failed = fates.failed + fates.timed_out
    counts = [(strong(f"{fates.done + failed:,}"), " processed"), (strong(f"{failed:,}"), " failed")]
    counts += [(strong(f"{fates.dropped:,}"), " dropped")] if fates.dropped else []
    name, status = h2(safe_text(snapshot.id, 80)), chip(look_of(snapshot.status.value))
    return header(
        row(name, status, quiet(status_sentence(snapshot))), row(quiet(join(", ", counts)), extra), cls="row spread"
    )


def _storage_words(source: Source, id: str, journal: JournalStanding | None) -> Content:
    """Whether it is stored, where some are."""
    if journal is None or source.standing().recorded or id not in source.runtimes:
        return None
    return quiet("In memory only, not stored." if source.journal(id) is None else journal_sentence(journal))


class RuntimeView(pn.viewable.Viewer):
    """The page of one runtime. `update(update)` draws what is new; whether anything does so is up to a `Feed`.

    `more` is shown below the parts that are always there; `files` are the downloads.
    """

    def __init__(
        self,
        source: Source,
        id: str,
        commands: Commands | None = None,
        more: Any = None,
        *,
        files: Any = None,
        go: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
    ) -> None:
        super().__init__()
        self.source = source
        self.id = id
        self.commands = commands or Commands(source)
        axis = self.axis = TimeAxis(source)
        self.head = Live()
        self.lanes, self.depth, self.timeline, self.throughput = Lanes(), Depth(axis), Timeline(axis), Throughput(axis)
        self.state, self.last_error = State(height=330), LastError(source, go, schedule)
        live = id in source.runtimes
        self.where = Where(source, id, self.commands, go=go, schedule=schedule) if live else None
        self.steer = Steer(source, id, self.commands, limits=live, schedule=schedule)
        if commands is None:
            self.commands.tell = self.steer.say
        self.panel = self._layout(more, files)

    def _layout(self, more: Any, files: Any) -> Any:
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
            beside(*rest, section("Last error", self.last_error.panel, grow=2)),
            **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px"}},
        )

    def __panel__(self) -> Any:
        return self.panel

    def update(self, update: Update) -> bool:
        """Draw what is new. True while it changes without a new record."""
        snapshot = self.source.snapshot(self.id)
        if snapshot is None:
            return False
        records = update.of.get(snapshot.id, [])
        self.axis.move(snapshot.at)
        journal = self.source.journal()
        self.head.draw(headline(snapshot, _storage_words(self.source, self.id, journal)))
        self.lanes.draw(snapshot)
        self.depth.draw(snapshot, update, records)
        self.timeline.draw(snapshot, update, records, lambda: self.source.mailbox(self.id).items)
        self.throughput.draw(snapshot, update, records)
        self.state.draw(snapshot.state)
        self.last_error.draw(snapshot)
        self.steer.draw(snapshot)
        moves = self.where.update(update) if self.where is not None else False
        return moves_by_itself(snapshot) or moves or is_unsettled(journal)
