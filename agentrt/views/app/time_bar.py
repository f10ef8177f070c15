"""The time bar: whether a page shows what is now or what was, and the way from one event to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...activity import Lane
from ...errors import AgentError
from ...events import Record
from ...feed.nodes import HasNodes
from ...feed.several import SeveralSource
from ...feed.source import Rewindable, Source
from ..feed import Schedule, Update, run_now
from ..html import Content, Markup, a, code, div, fragment, quiet, span, strong, with_glyph
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..runtime.log import record_words
from ..text import duration, plain, quantity, safe_text
from ..theme import STATUSES
from .event_order import EventOrder, Scope

__all__ = ["CSS", "LOOK", "PARTS", "TimeBar"]

PARTS = 1000  # of the slider; it is the same however much is recorded, so that nothing is sent while it is live
MOST_KINDS = 12
FORK = "In a notebook, another manager that goes on from here, of which this one knows nothing: "
SEVERAL = (
    "There is no time bar here: each of these managers numbers its records by itself, so no record is a moment of all. "
    "To go back in time, watch one of them: "
)
FEW = 3  # of them that are named
NOTHING_YET = "Nothing has happened yet, so there is nothing to go back to."
ANY = "any"
SMALL: dict[str, Any] = {"size": "small", "margin": 0}
LOOK = {
    **SMALL,
    "sx": {
        ".MuiTypography-root, .MuiFormLabel-root": {"fontSize": "12px", "lineHeight": "1"},
        ".MuiSlider-valueLabel": {"display": "none"},  # a part of a thousand says nothing
    },
}
CSS = """
.when { display: flex; flex-wrap: wrap; gap: 0 var(--s2); align-items: baseline; overflow-wrap: anywhere; }
.then { padding: 8px 14px; border-radius: 10px; border: 1px solid color-mix(in srgb, #CC79A7 65%, transparent);
  background: color-mix(in srgb, #CC79A7 14%, transparent); }
.then code { overflow-wrap: anywhere; }
.wide { overflow-wrap: anywhere; }
.dot { color: #009E73; }
.now { font-size: var(--t0); white-space: nowrap; }
"""


class TimeBar:
    """Goes to a moment with `look(sequence)`, and back with `look(None)`. `show(moment, runtime)` says what is shown.

    `update` counts what happens meanwhile. Where a source can't be looked at as it was it says why, or is empty.
    """

    def __init__(
        self,
        source: Source,
        look: Callable[[int | None], Any],
        commands: Commands | None = None,
        schedule: Schedule = run_now,
        keys: bool = False,  # whether the page has the keys [ and ]
    ) -> None:
        self.source = source
        self.commands = commands or Commands(source)
        self.schedule = schedule
        self.look = look
        self.moment: int | None = None
        self.runtime: str | None = None
        self.events = EventOrder()
        self._later = 0  # events since they were read
        self.slider = pmui.IntSlider(
            label="time", start=0, end=PARTS, value=PARTS, show_value=False, sizing_mode="stretch_width", **LOOK
        )
        self.slider.param.watch(self._drag, "value_throttled")
        key = ", key {}" if keys else ""
        self.earlier = self._button("Event before", "left", self.back, description="the event before" + key.format("["))
        self.later = self._button("Event after", "right", self.forth, description="the event after" + key.format("]"))
        self.of = pmui.Select(label="events of", options={"everything": ANY}, value=ANY, width=200, **SMALL)
        self.kind = pmui.Select(label="kind", options={"any kind": ANY}, value=ANY, width=150, **SMALL)
        self.now = self._button("Back to live", "play", lambda: self.look(None), variant="contained")
        self.fork = self._button("Fork from here", "flag", self._show_fork)
        is_file = bool(source.standing().recorded)
        # A file has no code to go on with, and a cluster is not one manager.
        self.fork.visible = not is_file and not isinstance(source, HasNodes)
        self.now.label = "Back to the end" if is_file else "Back to live"
        words = "the end" if is_file else (span("● ", cls="dot"), "live")
        self.live = Live(span(words, cls="now"), css=CSS, sizing_mode=None, width=56)
        self.words = Live(css=CSS)
        self.message = Live(css=CSS, visible=False)  # else it takes the room of a line
        slide = pn.Column(
            self.slider, **{**WIDE, "styles": {**WIDE["styles"], "flex": "1 1 200px", "padding": "0 8px"}}
        )
        self.first = line(self.live, self.earlier, self.later, slide)
        self.second = line(self.now, self.fork, self.of, self.kind)
        styles = {**WIDE["styles"], "gap": "8px"}
        self.panel = pn.Column(self.first, self.words, self.second, self.message, **{**WIDE, "styles": styles})
        if not isinstance(source, Rewindable):
            self._show_why_not(source)
        self._arrange()

    def _show_why_not(self, source: Source) -> None:
        self.panel.visible = isinstance(source, SeveralSource)
        self.panel.objects = [self.message]
        if isinstance(source, SeveralSource):
            alone = " or ".join(f"agentrt watch {plain(name, 40)}" for name in source.names[:FEW])
            self._tell(quiet(SEVERAL, code(safe_text(alone, 200)), "."))

    def _button(self, label: str, name: str, act: Callable[[], Any], **look: Any) -> Any:
        button = pmui.Button(label=label, icon=icon(name), **{"variant": "outlined", **SMALL, **look})
        button.on_click(lambda event: act())
        return button

    def _tell(self, words: Content) -> None:
        self.message.draw(words)
        if self.message.visible != (words is not None):
            self.message.visible = words is not None

    # ---- what a person does

    @property
    def scope(self) -> Scope:
        """Which events count for the one before and the one after."""
        kind = None if self.kind.value == ANY else self.kind.value
        if self.of.value == ANY or self.runtime is None:
            return Scope(kind=kind)
        return Scope(self.runtime, None if self.of.value == "all" else self.of.value, kind)

    def back(self) -> None:
        """Go to the event before."""
        if self.earlier.disabled or (self.moment is None and not self._read()):
            return
        self._go_to(self.events.before(self.moment, self.scope), "There is no earlier event of this kind.")

    def forth(self) -> None:
        """Go to the event after."""
        if self.moment is None:
            return
        found = self.events.after(self.moment, self.scope)
        if found is None and self._later:
            self._read()
            found = self.events.after(self.moment, self.scope)
        self._go_to(found, "There is no later event of this kind.")

    def _go_to(self, found: int | None, otherwise: str) -> None:
        if found is None:
            self._tell(div(otherwise, cls="muted", role="status"))
        else:
            self.look(found)

    def _drag(self, event: Any) -> None:
        if event.new == self._place():
            return
        if self.moment is None and not self._read():
            return
        self.look(None if event.new >= PARTS else self.events.at_part(event.new / PARTS))

    def _show_fork(self) -> None:
        by_hand = fragment(FORK, code(f"manager.at({self.moment}).fork()"))
        words: Content = by_hand
        if self.commands.may_steer:
            try:
                url = self.commands.command("fork", sequence=self.moment).text
                words = (
                    "It goes on from here, paused: ",
                    a("open the fork beside its origin", href=url, target="_blank"),
                    ". ",
                    by_hand,
                )
            except AgentError as error:
                words = with_glyph(STATUSES["error"], safe_text(str(error), 300)), " ", by_hand
        self.schedule(lambda: self._tell(div(words, role="status", cls="wide")))

    # ---- drawing

    def show(self, moment: int | None, runtime: str | None = None, problem: str = "") -> None:
        """Say that a page shows this moment, of which runtime it is, and why it does not show another one."""
        if not isinstance(self.source, Rewindable):
            return
        if moment is not None and (self.moment is None or not len(self.events)):
            self._read()
        if problem or (moment, runtime) != (self.moment, self.runtime):
            self._tell(div(with_glyph(STATUSES["error"], safe_text(problem, 300))) if problem else self._no_way_back())
        self.moment, self.runtime = moment, runtime
        self._arrange()

    def _read(self) -> bool:
        """Read which events there are; False, and a message, if that can't be. They stay while a moment is shown."""
        try:
            self.events = EventOrder(self.source.events())  # type: ignore[attr-defined]
        except AgentError as error:
            self._tell(div(with_glyph(STATUSES["error"], safe_text(str(error), 400))))
            return False
        self._later = 0
        return True

    def _place(self) -> int:
        return PARTS if self.moment is None else round(self.events.part_of(self.moment) * PARTS)

    def _arrange(self) -> None:
        then = self.moment is not None
        for pane, visible in ((self.second, then), (self.words, then), (self.live, not then), (self.later, then)):
            if pane.visible != visible:
                pane.visible = visible
        if self.slider.value != self._place():
            self.slider.value = self._place()
        self._offer_scopes()
        self._draw()

    def _offer_scopes(self) -> None:
        options = {"everything": ANY}
        if self.runtime is not None:
            name = plain(self.runtime, 30)
            options |= {name: "all", **{f"{name}, {lane.value} lane": lane.value for lane in Lane}}
        if options != self.of.options:
            self.of.param.update(options=options, value="all" if self.runtime is not None else ANY)
        kinds = {"any kind": ANY, **{kind.replace("_", " "): kind for kind in self.events.kinds()[:MOST_KINDS]}}
        if kinds != self.kind.options:
            kept = self.kind.value if self.kind.value in kinds.values() else ANY
            self.kind.param.update(options=kinds, value=kept)

    def update(self, update: Update) -> bool:
        """Count what happens while something earlier is shown, and offer the way back once there is one."""
        if not isinstance(self.source, Rewindable):
            return False
        if update.first or update.records:
            self._offer_way_back(bool(update.records) or update.missed > 0)
        if self.moment is not None and not update.first:
            self._later += len(update.records) + update.missed
            self._draw()
        return False

    def _offer_way_back(self, possible: bool) -> None:
        """Where nothing is recorded the way back is off, and the bar says why."""
        if self.earlier.disabled == possible:
            for widget in (self.earlier, self.slider):
                widget.disabled = not possible
            self._tell(self._no_way_back())

    def _no_way_back(self) -> Content:
        return div(NOTHING_YET, cls="muted", role="status") if self.earlier.disabled else None

    def _draw(self) -> None:
        self.words.draw(None if self.moment is None else self._sentence(self.moment))

    def _sentence(self, moment: int) -> Markup:
        record = self.events.find(moment)
        since = self.events.count_after(moment) + self._later
        recorded = self.source.standing().recorded
        meanwhile = f"{'' if recorded else 'the agents go on: '}{quantity(since, 'event')} since"
        return div(
            span("As it was at ", strong(self._clock(record)), f", after record {moment:,}", self._event(record), "."),
            quiet(f"This is the past: it can only be looked at; {meanwhile}.{_clock_words(self.source)}"),
            cls="when then",
            role="status",
        )

    def _clock(self, record: Record | None) -> str:
        return "an earlier time" if record is None else f"{self.source.wall(record.at):%H:%M:%S.%f}"[:-3]

    def _event(self, record: Record | None) -> Content:
        if record is None:
            return None
        kind = record.kind.replace("_", " ")
        of = (" of ", strong(safe_text(record.runtime, 60))) if record.runtime else None
        return fragment(": ", safe_text(kind, 40), of, " ", record_words(record))


def _clock_words(source: Source) -> str:
    """How far the clocks of the nodes are apart that it was put together from."""
    if not isinstance(source, HasNodes):
        return ""
    known = [node for node in source.nodes() if node.ahead is not None]
    most = max((max(abs(node.ahead or 0.0), node.error) for node in known), default=0.0)
    off = f"their clocks were up to {duration(most)} off, which is taken into account"
    return f" No node is shown before what another had caused there; {off}."
