"""Where a runtime is right now: the line its workflow is at, the chain of awaits, the variables, and for how long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn

from ...debugger import How, Whereabouts
from ...events import Event, Outcome
from ...frames import StackFrame
from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..feed import Update
from ..layout import WIDE
from ..live import Live
from ..mailbox.items import pace
from ..role import Commands
from ..text import duration, safe_text
from ..theme import STATUSES, chip, look_of
from .diagnosis import awaited, ended_html, idle_html, loop_advice, sentence, stuck_advice
from .source import CSS as SOURCE_CSS
from .source import is_own, listing_html, locals_html, place_of, title_of
from .steer import Soon, at_once

__all__ = ["Where"]

HOPS = 6
LAST = 8  # activities that are listed while none runs
BRISKLY = (Status.IDLE, Status.ERROR, Status.PROCESSING)
BRISK = "It does one short activity after the other, none of which stays at a line. To look at one, pause it and step."
STOPS = {"priority": "a priority activity", "standard": "a standard activity", "error": "whatever follows a failure"}
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
.chain button:focus-visible, .stops button:focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
.chain code { overflow-wrap: anywhere; min-width: 0; }
.chain details { padding: 2px var(--s2); }
.chain summary { cursor: pointer; }
.note { border-left: 4px solid var(--tone); padding: var(--s2) var(--s3); margin: var(--s2) 0;
  border-radius: 0 6px 6px 0; background: color-mix(in srgb, var(--tone) 8%, transparent); overflow-wrap: anywhere; }
.note pre { overflow-x: auto; margin-top: var(--s1); }
.stops button { all: unset; cursor: pointer; border: 1px solid var(--rt-line); border-radius: 999px; padding: 2px 11px;
  font-size: var(--t0); }
.stops button[aria-pressed=true] { border-color: #B03A2E; font-weight: 600;
  background: color-mix(in srgb, #B03A2E 14%, transparent); }
.stops button[disabled] { cursor: default; color: var(--rt-muted); }
"""
)


class Where(pn.viewable.Viewer):
    """Where one runtime is right now. `update(update)` looks again; between two looks the workflow is left alone.

    A line of the chain shows that function and its variables. `go(address)` opens the page of another runtime.
    """

    def __init__(
        self,
        runtime: Any,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.manager = runtime.manager
        self.commands = commands or Commands(runtime.manager)
        self.soon = soon
        self.stuck_at: float | None = None
        self.blocked: Event | None = None
        self.stopped: Event | None = None
        self.ended: deque[Outcome] = deque(maxlen=LAST)
        self._chosen: tuple[int, int] | None = None
        self._here: tuple[Any, float] = (None, 0.0)
        self._found: Whereabouts | None = None
        on = {"go": go or (lambda address: None), "frame": self.choose, "stop": self.toggle}
        self.head = Live(css=CSS, on=on)
        self.body = Live(css=CSS, on=on)
        self.stops = Live(css=CSS, on=on)
        self.panel = pn.Column(self.head, self.body, self.stops, **{**WIDE, "styles": {**WIDE["styles"], "gap": "8px"}})

    def __panel__(self) -> Any:
        return self.panel

    # ---- what a person does

    def choose(self, place: str) -> None:
        """Show another frame of the chain, by its place in it."""
        found = self._found
        if found is not None and found.activity is not None and place.isdecimal():
            self._chosen = (found.activity.id, int(place))
            self.soon(self._draw)

    def toggle(self, at: str) -> None:
        """Set or clear a breakpoint: a word of `STOPS`, or the place of one that is a function (only to clear)."""
        points = self.runtime.breakpoints
        if at in STOPS:
            change = points.remove if at in tuple(points) else points.add
            self.commands.do(f"change breakpoints of {self.runtime.id}", lambda: change(at))
        elif at.isdecimal() and int(at) < len(points):
            point = tuple(points)[int(at)]
            self.commands.do(f"change breakpoints of {self.runtime.id}", lambda: points.remove(point))
        self.soon(self._draw)

    # ---- drawing

    def update(self, update: Update) -> bool:
        """Look again. True while something runs, or is about to."""
        for record in update.of.get(self.runtime.id, ()):
            self._remember(record)
        kept = [each for each in update.records if type(each) is Event and each.kind == "blocked"]
        self.blocked = kept[-1] if kept else self.blocked
        shot = self._draw()
        soon = any(shot.depth) and shot.status in (Status.IDLE, Status.ERROR)
        return shot.current is not None or soon or self._brisk(shot)

    def _remember(self, record: Any) -> None:
        if isinstance(record, Outcome):
            self.ended.append(record)
        elif record.kind == "stuck":
            self.stuck_at = record.at
        elif record.kind in ("breakpoint", "paused", "resumed"):
            self.stopped = record if record.kind == "breakpoint" else None

    def _draw(self) -> Snapshot:
        shot: Snapshot = self.runtime.snapshot(metrics=False)
        over = shot.status is Status.TERMINATED
        found = self._found = None if over else self.runtime.whereabouts()
        self.head.draw(self._head(shot, found))
        self.body.draw("" if found is None else self._body(shot, found))
        self.stops.draw("" if over else self._stops())
        return shot

    @property
    def last(self) -> Outcome | None:
        """What ended last, as far as was seen."""
        return self.ended[-1] if self.ended else None

    def _head(self, shot: Snapshot, found: Whereabouts | None) -> str:
        notes = ""
        if self._brisk(shot):
            words = BRISK
        elif found is None or found.activity is None:
            words = idle_html(shot, self.last, self.stopped, self.manager.clock)
        else:
            words = sentence(shot, found, self._at_line(found))
            notes = stuck_advice(shot, found, self.stuck_at)
        notes += loop_advice(shot, self.blocked, self._keeper())
        return f'<div class="words">{chip(look_of(shot.status))} {words}{notes}</div>'

    def _brisk(self, shot: Snapshot) -> bool:
        """Whether it does one short activity after the other: their lines would only flicker."""
        second = pace(self.manager.clock.speed)
        if shot.status not in BRISKLY or len(self.ended) < 3 or shot.at - self.ended[-3].at > 2 * second:
            return False
        return shot.current is None or shot.started is None or shot.at - shot.started < second / 2

    def _at_line(self, found: Whereabouts) -> float:
        """For how long it has been seen where it is."""
        assert found.activity is not None
        key = (found.activity.id, [(frame.file, frame.line) for frame in found.frames if is_own(frame)])
        if key != self._here[0]:
            self._here = (key, found.at)
        return found.at - self._here[1]

    def _keeper(self) -> str | None:
        """The runtime that keeps the loop at this moment, if one was told to do so by the watchdog."""
        event = self.blocked
        other = self.manager.get(event.runtime) if event is not None and event.runtime else None
        if event is None or other is None:
            return None
        there = other.whereabouts()
        same = there.activity is not None and there.activity.id == event.detail["activity"]
        return event.runtime if same and there.how is How.RUNNING else None

    def _body(self, shot: Snapshot, found: Whereabouts) -> str:
        """The code beside what belongs to it. Always as high, so that nothing jumps when an activity comes or ends."""
        tone = STATUSES[shot.status.value].tone
        if found.activity is None or not found.frames or self._brisk(shot):
            return _asleep(found, self._others(found.waits_for, tone) + self._before())
        at = self._focus(found)
        frame = found.frames[at]
        chain = f'<h4>Chain of awaits</h4><ol class="chain" style="--tone:{tone}">{_chain(found.frames, at)}</ol>'
        variables = f"<h4>Variables of {title_of(frame)}</h4>{locals_html(frame)}"
        beside = f"{chain}{self._others(found.waits_for, tone)}{variables}"
        return f'<div class="where">{listing_html(frame, tone)}{_beside(beside)}</div>'

    def _focus(self, found: Whereabouts) -> int:
        """The frame that is shown: what was chosen, else the innermost that is a person's code."""
        assert found.activity is not None
        if self._chosen is not None and self._chosen[0] == found.activity.id and self._chosen[1] < len(found.frames):
            return self._chosen[1]
        return max((i for i, frame in enumerate(found.frames) if is_own(frame)), default=0)

    def _others(self, ids: tuple[str, ...], tone: str) -> str:
        """The runtimes it waits for, and those they wait for."""
        items: list[str] = []
        seen = {self.runtime.id}
        while ids and len(items) < HOPS:
            found = {id: self.manager.get(id) for id in ids if id not in seen}
            seen |= set(found)
            items += [_hop(other, tone) for other in found.values() if other is not None]
            ids = tuple(id for other in found.values() if other is not None for id in other.whereabouts().waits_for)
        return f'<h4>It waits for</h4><ol class="chain">{"".join(items)}</ol>' if items else ""

    def _before(self) -> str:
        """What it did last, newest first: what else is there to look at while it does nothing."""
        if self.last is None or self._found is None:
            return ""
        items = "".join(f"<li>{ended_html(each, self.manager.clock)}</li>" for each in reversed(self.ended))
        return f'<h4>Its last activities</h4><ol class="last">{items}</ol>'

    def _stops(self) -> str:
        points = self.runtime.breakpoints
        off = "" if self.commands.may_steer else " disabled"
        held = tuple(points)
        words = [(word, what, word in held) for word, what in STOPS.items()]
        words += [(str(i), f"{name} says so", True) for i, name in enumerate(points.names) if name not in STOPS]
        buttons = "".join(
            f'<button data-do="stop" data-with="{at}" aria-pressed="{str(on).lower()}"{off}>'
            f"{'● ' if on else '○ '}{safe_text(what, 60)}</button>"
            for at, what, on in words
        )
        return f"""<div class="row stops" role="group" aria-label="breakpoints"><span>Stop before</span>{buttons}
          <span class="muted">It stops between activities, paused; step or resume goes on.</span></div>"""


def _asleep(found: Whereabouts, others: str) -> str:
    """The workflow, with no line marked."""
    if found.workflow is None:
        return others
    words = '<p class="muted none">No line is marked: nothing runs that stays at one.</p>'
    code = listing_html(found.workflow, STATUSES["idle"].tone, marked=False)
    return f'<div class="where">{code}{_beside(f"<h4>Its workflow</h4>{words}{others}")}</div>'


def _beside(html: str) -> str:
    return f'<div class="of" tabindex="0" role="region" aria-label="chain of awaits and variables">{html}</div>'


def _chain(frames: tuple[StackFrame, ...], at: int) -> str:
    """Every function it is in, outermost first; what is not a person's code at the end is folded up."""
    last = max((i for i, frame in enumerate(frames) if is_own(frame)), default=0)
    items = [_link(frame, i, i == at) for i, frame in enumerate(frames)]
    inside = frames[last + 1 :]
    folded = ""
    if inside:
        rest = "".join(items[last + 1 :])
        opened = " open" if at > last else ""
        waits = escape(awaited(inside))
        words = f"inside, not your code: {title_of(inside[-1])}{waits and f', {waits}'}"
        folded = (
            f'<li><details{opened}><summary class="muted">{words}</summary><ol class="chain">{rest}</ol></details></li>'
        )
    return "".join(items[: last + 1]) + folded


def _link(frame: StackFrame, place: int, chosen: bool) -> str:
    muted = "" if is_own(frame) else " muted"
    return f"""<li class="{"at" if chosen else ""}{muted}"><button data-do="frame" data-with="{place}"
      aria-pressed="{str(chosen).lower()}"><strong>{title_of(frame)}</strong><code>{safe_text(frame.source, 120)}</code>
      <span class="muted">{place_of(frame)}</span></button></li>"""


def _hop(other: Any, tone: str) -> str:
    """Another runtime on the way, in one line."""
    shot, found = other.snapshot(metrics=False), other.whereabouts()
    look = look_of(shot.status)
    name = safe_text(other.id, 60)
    link = f'<button data-do="go" data-with="{escape(str(Address("runtime", other.id)))}">'
    own = [frame for frame in found.frames if is_own(frame)] or list(found.frames[:1])
    there = (
        f"<code>{safe_text(own[-1].source, 100)}</code><span class='muted'>{place_of(own[-1])}</span>" if own else ""
    )
    since = f"for {duration(shot.at - shot.started)}" if shot.started is not None else ""
    held = "it takes nothing before it is resumed" if shot.status is Status.PAUSED else ""
    return f"""<li class="at" style="--tone:{look.tone}">{link}<strong>{name}</strong>{chip(look)}
      <span class="muted">{since or held}</span>{there}</button></li>"""
