"""Where a runtime is now: the line its workflow is at, the chain of awaits, the variables, and for how long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import panel as pn

from ...activity import Activity
from ...debugger import How, Whereabouts
from ...events import Event, Outcome
from ...feed.source import Source
from ...frames import StackFrame
from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..feed import Schedule, Update, run_now
from ..html import (
    Content,
    Markup,
    action,
    chip,
    code,
    details,
    div,
    fragment,
    h4,
    li,
    ol,
    p,
    quiet,
    strong,
    summary,
)
from ..layout import WIDE
from ..live import Live
from ..pace import real_second
from ..role import Commands
from ..text import duration, plain, safe_text
from ..theme import STATUSES, look_of
from .debug import Debug, stop_sentence
from .diagnosis import activity_sentence, idle_html, loop_advice, outcome_html, past_sentence, stuck_advice, wait_reason
from .source import CSS as SOURCE_CSS
from .source import is_own, listing_html, locals_html, place_of, title_of
from .stay import Stay
from .stops import Stops

__all__ = ["Where"]

READINGS = 3  # at most, until the snapshot and the place are of the same activity
HOPS = 6  # runtimes of a chain of waits that are shown
LAST = 8  # activities that are listed while none runs
RUNNING = (Status.IDLE, Status.ERROR, Status.PROCESSING)
SHORT_ACTIVITIES = (
    "It runs one short activity after the other, none of which stays at a line. To see one, pause and step."
)
CSS = (
    SOURCE_CSS
    + """
.words { min-height: 44px; }
@media (max-width: 700px) { .words { min-height: 66px; } .where > .of { height: 300px; } }
.none { margin-bottom: var(--s3); }
.last { list-style: none; margin: 0; padding: 0; }
.last li { padding: 3px 0; border-bottom: 1px solid var(--rt-line); }
.where { display: flex; flex-wrap: wrap; gap: var(--s3); }
.where > * { min-width: 0; height: 348px; }
.where > .code { flex: 3 1 380px; }
.where > .of { flex: 2 1 260px; max-width: 100%; overflow-y: auto; padding-right: var(--s1); }
h4 { margin: 0 0 var(--s1); font-size: var(--t1); font-weight: 600; }
.chain { list-style: none; margin: 0 0 var(--s3); padding: 0; }
.chain .chain { margin: 0; }
.chain li { border-left: 3px solid var(--rt-line); padding: 1px 0 1px var(--s3); margin-left: 5px; }
.chain li.at { border-left-color: var(--tone); }
.chain button { all: unset; cursor: pointer; display: flex; flex-wrap: wrap; gap: 0 var(--s3); width: 100%;
  padding: 3px var(--s2); border-radius: 6px; box-sizing: border-box; align-items: baseline; }
.chain button:hover { background: var(--rt-fill); }
.chain button[aria-pressed=true] { background: color-mix(in srgb, var(--tone) 13%, transparent); }
.chain button:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
.chain code { overflow-wrap: anywhere; min-width: 0; }
.chain details { padding: 2px var(--s2); }
.chain summary { cursor: pointer; }
.note { border-left: 4px solid var(--tone); padding: var(--s2) var(--s3); margin: var(--s2) 0;
  border-radius: 0 6px 6px 0; background: color-mix(in srgb, var(--tone) 8%, transparent); overflow-wrap: anywhere; }
.note pre { overflow-x: auto; margin-top: var(--s1); }
"""
)


def _id_of(activity: Activity[Any] | None) -> int | None:
    return None if activity is None else activity.id


def _are_of_two(shot: Snapshot, found: Whereabouts | None) -> bool:
    return found is not None and _id_of(shot.current) != _id_of(found.activity)


class Where(pn.viewable.Viewer):
    """Where one runtime is right now. `update(update)` looks again; between two looks the workflow is left alone.

    A line of the chain shows that function and its variables. `go(address)` opens the page of another runtime.
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
        self.commands = commands or Commands(source)
        self.schedule = schedule
        self.stuck_at: float | None = None
        self.blocked: Event | None = None
        self.stopped: Event | None = None
        self.ended: deque[Outcome] = deque(maxlen=LAST)
        self._chosen: tuple[int, int] | None = None
        self._stay = Stay()
        self._found: Whereabouts | None = None
        on = {"go": go or (lambda address: None), "frame": self.choose}
        self.head = Live(css=CSS, on=on)
        self.body = Live(css=CSS, on=on)
        self.debug = Debug(source, id, self.commands, schedule)
        self.stops = Stops(source, id, self.commands, schedule)
        self.panel = pn.Column(
            *(self.head, self.debug.bar, self.body, self.debug.evaluator, self.stops.panel, self.debug.edits),
            **{**WIDE, "styles": {**WIDE["styles"], "gap": "8px"}},
        )

    def __panel__(self) -> Any:
        return self.panel

    # ---- what a person does

    def choose(self, place: str) -> None:
        """Show another frame of the chain, by its index."""
        found = self._found
        if found is not None and found.activity is not None and place.isdecimal():
            self._chosen = (found.activity.id, int(place))
            self.schedule(self._draw)

    # ---- drawing

    def update(self, update: Update) -> bool:
        """Look again. True while something runs or is about to."""
        for record in update.of.get(self.id, ()):
            self._remember(record)
        blocked = [each for each in update.records if type(each) is Event and each.kind == "blocked"]
        self.blocked = blocked[-1] if blocked else self.blocked
        shot = self._draw()
        if shot is None:
            return False
        about_to_run = any(shot.depth) and shot.status in (Status.IDLE, Status.ERROR)
        return shot.current is not None or about_to_run or self._runs_short_activities(shot)

    def _remember(self, record: Any) -> None:
        if isinstance(record, Outcome):
            self.ended.append(record)
            if record.kind == "done" and self.stopped is not None and self.stopped.kind == "paused":
                self.stopped = None  # what was asked is answered
        elif record.kind == "stuck":
            self.stuck_at = record.at
        elif record.kind == "step":
            self.stops.offer(plain(str(record.detail.get("name")), 60))
        elif record.kind in ("breakpoint", "paused", "resumed"):
            self.stopped = record if record.detail is not None else None  # by a breakpoint, or by its workflow

    def _draw(self) -> Snapshot | None:
        shot, found = self._read()
        if shot is None:
            return None
        self._found = found
        self.head.draw(self._head(shot, found))
        self.body.draw("" if found is None else self._body(shot, found))
        self.debug.draw(found, None if found is None or not found.frames else self._focus(found))
        self.stops.draw()
        return shot

    def _read(self) -> tuple[Snapshot | None, Whereabouts | None]:
        """How the runtime is and where: of one moment, or of two between which nothing ended."""
        shot = self.source.snapshot(self.id, metrics=False)
        found = self.source.where(self.id)
        for _ in range(READINGS):
            if shot is None or found is None or _id_of(shot.current) == _id_of(found.activity):
                break
            shot, found = self.source.snapshot(self.id, metrics=False), self.source.where(self.id)
        return shot, found

    @property
    def last(self) -> Outcome | None:
        """What ended last, of the records that this view has read."""
        return self.ended[-1] if self.ended else None

    def _head(self, shot: Snapshot, found: Whereabouts | None) -> Markup:
        stuck: Content = None
        words: Content
        if shot.current is not None and self.source.standing().recorded:
            words = past_sentence(shot)
        elif self._runs_short_activities(shot) or _are_of_two(shot, found):
            words = SHORT_ACTIVITIES
        elif found is None or found.activity is None:
            words = idle_html(shot, self.last, self.stopped, self.source)
        elif found.how is How.STOPPED:
            words = stop_sentence(found)
        else:
            words = activity_sentence(shot, found, self._stay.look(found, real_second(self.source.speed)))
            stuck = stuck_advice(shot, found, self.stuck_at)
        loop = loop_advice(shot, self.blocked, self._blocker())
        return div(chip(look_of(shot.status)), " ", words, stuck, loop, cls="words")

    def _runs_short_activities(self, shot: Snapshot) -> bool:
        """Whether it runs one short activity after the other: their lines would only flicker."""
        second = real_second(self.source.speed)
        if self.source.standing().recorded:
            return False
        if shot.status not in RUNNING or len(self.ended) < 3 or shot.at - self.ended[-3].at > 2 * second:
            return False
        return shot.current is None or shot.started is None or shot.at - shot.started < second / 2

    def _blocker(self) -> str | None:
        """The runtime that blocks the loop at this moment, if the watchdog has reported one."""
        event = self.blocked
        there = self.source.where(event.runtime) if event is not None and event.runtime else None
        if event is None or there is None:
            return None
        same = there.activity is not None and there.activity.id == event.detail["activity"]
        return event.runtime if same and there.how is How.RUNNING else None

    def _body(self, shot: Snapshot, found: Whereabouts) -> Markup:
        """The code, and beside it what belongs to it. Its height never changes: nothing jumps when an activity ends."""
        tone = STATUSES[shot.status.value].tone
        if found.activity is None or not found.frames or self._runs_short_activities(shot):
            return _workflow(found, fragment(self._runtimes_waited_for(found.waits_for), self._last_activities()))
        at = self._focus(found)
        frame = found.frames[at]
        side = _sidebar(
            *(h4("Chain of awaits"), ol(_await_chain(found.frames, at), cls="chain", style=f"--tone:{tone}")),
            self._runtimes_waited_for(found.waits_for),
            *(h4("Variables of ", title_of(frame)), locals_html(frame)),
        )
        return div(listing_html(frame, tone), side, cls="where")

    def _focus(self, found: Whereabouts) -> int:
        """The frame that is shown: the one a person chose, else the innermost of the user's code."""
        assert found.activity is not None
        if self._chosen is not None and self._chosen[0] == found.activity.id and self._chosen[1] < len(found.frames):
            return self._chosen[1]
        return max((i for i, frame in enumerate(found.frames) if is_own(frame)), default=0)

    def _runtimes_waited_for(self, ids: tuple[str, ...]) -> Content:
        """The runtimes it waits for, and those that these wait for."""
        items: list[Markup] = []
        seen = {self.id}
        while ids and len(items) < HOPS:
            others = [id for id in dict.fromkeys(ids) if id not in seen]
            seen |= set(others)
            found = [there for id in others if (there := self.source.where(id)) is not None]
            shots = {shot.id: shot for shot in self.source.snapshots(others)}
            items += [_runtime_item(shots[there.runtime], there) for there in found if there.runtime in shots]
            ids = tuple(id for there in found for id in there.waits_for)
        return (h4("It waits for"), ol(items, cls="chain")) if items else None

    def _last_activities(self) -> Content:
        """What ended last, newest first: there is nothing else to show while nothing runs."""
        if self.last is None or self._found is None:
            return None
        items = [li(outcome_html(each, self.source)) for each in reversed(self.ended)]
        return h4("Its last activities"), ol(items, cls="last")


def _workflow(found: Whereabouts, others: Markup) -> Markup:
    """The workflow, with no line marked."""
    if found.workflow is None:
        return others
    note = p("No line is marked: nothing runs, or not long enough to show.", cls="muted none")
    listing = listing_html(found.workflow, STATUSES["idle"].tone, marked=False)
    return div(listing, _sidebar(h4("Its workflow"), note, others), cls="where")


def _sidebar(*content: Content) -> Markup:
    return div(*content, cls="of", tabindex=0, role="region", aria_label="chain of awaits and variables")


def _await_chain(frames: tuple[StackFrame, ...], at: int) -> Content:
    """Every function it is in, outermost first. Those inside the user's code are in a part that opens."""
    last = max((i for i, frame in enumerate(frames) if is_own(frame)), default=0)
    items = [_frame_item(frame, i, i == at) for i, frame in enumerate(frames)]
    inside = frames[last + 1 :]
    if not inside:
        return items
    reason = wait_reason(inside)
    head = summary("inside, not your code: ", title_of(inside[-1]), f", {reason}" if reason else None, cls="muted")
    return items[: last + 1], li(details(head, ol(items[last + 1 :], cls="chain"), open=at > last))


def _frame_item(frame: StackFrame, place: int, chosen: bool) -> Markup:
    head = strong(title_of(frame)), code(safe_text(frame.source, 120)), " ", quiet(place_of(frame))
    button = action("frame", *head, value=place, aria_pressed=chosen)
    return li(button, cls=f"{'at' if chosen else ''}{'' if is_own(frame) else ' muted'}")


def _runtime_item(shot: Snapshot, found: Whereabouts) -> Markup:
    """Another runtime in the chain of waits, in one line."""
    look = look_of(shot.status)
    own = [frame for frame in found.frames if is_own(frame)] or list(found.frames[:1])
    line = (code(safe_text(own[-1].source, 100)), quiet(place_of(own[-1]))) if own else None
    paused = "it processes nothing before it is resumed" if shot.status is Status.PAUSED else None
    since = f"for {duration(shot.at - shot.started)}" if shot.started is not None else paused
    head = strong(safe_text(shot.id, 60)), chip(look), " ", quiet(since)
    button = action("go", *head, line, value=str(Address("runtime", shot.id)))
    return li(button, cls="at", style=f"--tone:{look.tone}")
