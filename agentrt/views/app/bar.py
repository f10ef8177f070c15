"""The line on top of every page: links to the others, what the views cost, the speed, and commands for all runtimes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ...feed.branch_point import BranchPoint, find_branch_point
from ...feed.source import Source
from ..feed import Update
from ..html import Markup, a, div, fragment, nav, row, span, strong, symbol
from ..icons import drawing_of, icon
from ..layout import WIDE, line
from ..live import Live
from ..pace import clock_words
from ..role import Commands
from ..text import safe_text
from ..theme import STATUSES
from .address import Address

__all__ = ["TopBar"]

SPEEDS = {"stopped": 0.0, "0.1x": 0.1, "1x": 1.0, "10x": 10.0, "60x": 60.0, "300x": 300.0, "3,000x": 3000.0}
LINKS = {"": "Overview", "timeline": "Timeline", "flow": "Flow", "dead-letters": "Dead letters"}
RECORDED = "The last minute is the one before the file was last written. When an activity was started is not stored."
COST_WINDOW = 2.0  # real seconds over which the cost of the views is measured
CSS = """
nav { display: flex; flex-wrap: wrap; gap: var(--s1); }
nav a { text-decoration: none; color: var(--rt-text); padding: 5px 12px; border-radius: 8px; font-weight: 600; }
nav a:hover { background: var(--rt-fill); }
nav a[aria-current] { background: color-mix(in srgb, #0072B2 16%, transparent); }
.clock { font-size: var(--t0); padding: var(--s1) 12px 0; }
.cost { white-space: nowrap; font-size: var(--t0); }
"""
MESSAGE = """
.message { display: block; padding: 10px 16px; border-radius: 10px; background: var(--rt-text);
  color: var(--rt-surface); }
.message:empty { display: none; }
"""
FLOATING = {"position": "fixed", "bottom": "20px", "left": "20px", "z-index": "1400", "max-width": "min(640px, 90vw)"}


def speed_label(speed: float) -> str:
    """A speed among those to choose from.

    >>> speed_label(2.5), speed_label(math.inf)
    ('2.5x', 'fastest')
    """
    return "fastest" if speed == math.inf else f"{speed:g}x"


def _fork_words(point: BranchPoint) -> Markup:
    when = f", as it was at {point.wall:%H:%M:%S} on {point.wall:%Y-%m-%d}, after record {point.sequence:,}."
    return fragment("Forked from ", strong(safe_text(point.name, 60)), when)


def _ignore_event(act: Callable[[], Any], event: Any) -> None:
    act()


class TopBar:
    """`update` brings speed, cost and dead letters up to date; `show(page)` marks the page that is shown."""

    def __init__(
        self,
        source: Source,
        commands: Commands,
        go: Callable[[str], Any],
        *,
        root: str | None = None,
        paths: bool = False,
        light: Callable[[], Any] | None = None,
    ) -> None:
        self.source = source
        self.commands = commands
        self.root = root if paths else None
        self.page = ""
        self.links = LINKS if find_branch_point(source) is None else {**LINKS, "beside": "Fork and origin"}
        self.share = 0.0
        self.measured = (time.monotonic(), 0.0)
        self.nav = Live(on={"go": go}, css=CSS, styles={"flex": "1 1 320px"})
        self.message = Live(css=MESSAGE, styles={"flex": "1 1 100%"} if root is None else FLOATING)
        self.speed = self._speed_select()
        self.buttons = self._buttons()
        lit = [] if light is None else [self._button("Spotlight", "spotlight", light, description="key s")]
        self.panel = line(self.nav, *lit, *self.buttons, self.speed, self.message)

    def _buttons(self) -> list[Any]:
        off = not self.commands.may_steer
        return [
            self._button("Pause all", "pause", self.commands.pause_all, disabled=off),
            self._button("Resume all", "play", self.commands.resume_all, disabled=off),
        ]

    def _button(self, label: str, drawing: str, act: Callable[[], Any], **options: Any) -> Any:
        look = {"size": "small", "variant": "outlined", "color": "primary", "margin": 0}
        button: Any = pmui.Button(label=label, icon=icon(drawing), **look, **options)
        button.on_click(partial(_ignore_event, act))
        return button

    def _speed_select(self) -> Any:
        now = self.source.speed
        select = pmui.Select(
            label="speed",
            options=SPEEDS if now in SPEEDS.values() else {**SPEEDS, speed_label(now): now},
            value=now,
            width=110,
            size="small",
            margin=0,
            disabled=not self.commands.may_steer,
        )
        select.param.watch(self._set_speed, "value")
        return select

    def _set_speed(self, event: Any) -> None:
        if event.new != self.source.speed and not self.commands.speed(event.new):
            self.speed.value = event.old

    def lock(self, off: bool) -> None:
        """Turn its commands off while a page shows what was, or on again."""
        for widget in (*self.buttons, self.speed):
            disabled = off or not self.commands.may_steer
            if widget.disabled != disabled:
                widget.disabled = disabled

    def show(self, page: str) -> None:
        """Mark this page as the one that is shown."""
        self.page = page
        self._draw()

    def say(self, text: str, wrong: bool) -> None:
        """Show the result of a command in one line; an empty text removes it."""
        words = fragment((symbol(STATUSES["error"]), " ") if wrong else None, safe_text(text, 300)) if text else None
        self.message.draw(span(words, cls="message", role="status"))

    def update(self, update: Update) -> bool:
        """Bring the speed, the cost and the count of dead letters up to date. True while there is a cost."""
        speed = self.source.speed
        if self.speed.value != speed:
            if speed not in self.speed.options.values():
                self.speed.options = {**self.speed.options, speed_label(speed): speed}
            self.speed.value = speed
        self._measure_cost()
        self._draw()
        return self.share >= 0.005

    def _measure_cost(self) -> None:
        since, cost = self.measured
        now, total = time.monotonic(), self.source.watching().cost
        if now - since >= COST_WINDOW:
            self.measured, self.share = (now, total), max(0.0, total - cost) / (now - since)

    def _draw(self) -> None:
        dead = self.source.dead_letters(count=0).total
        links = [self._link(page, words, dead) for page, words in self.links.items()]
        # In whole percent, so that the figure stays as it is for as long as it means the same.
        cost = f"{self.share:.0%} of a core".replace("%", " %") if self.share >= 0.005 else "next to nothing"
        title = "processor time that all open views take, in this process"
        words = span(f"watching costs {cost}", cls="cost muted", title=title)
        clock = RECORDED if self.source.standing().recorded else clock_words(self.source)
        point = find_branch_point(self.source)
        notes = [clock, None if point is None else _fork_words(point)]
        lines = [div(note, cls="muted clock") for note in notes if note]
        self.nav.draw((div(nav(links, aria_label="pages"), words, cls="row spread"), lines))

    def _link(self, page: str, words: str, dead: int) -> Markup:
        number = f" ({dead:,})" if page == "dead-letters" and dead else ""
        href = "#" if self.root is None else f"{self.root}{Address(page)}"
        current = "page" if page == self.page else None
        return a(words, number, href=href, data_do="go", data_with=page, aria_current=current)


BANNER = (
    "flex-wrap:nowrap;padding:8px 14px;border-radius:10px;border:1px solid color-mix(in srgb,{tone} 55%,transparent);"
    "background:color-mix(in srgb,{tone} 12%,transparent)"
)


def banner(text: str, *, loud: bool = False) -> Any:
    """A line that stays: grey for a note, orange (`loud`) for what must not be missed."""
    tone, name = ("#E69F00", "flag") if loud else ("#8A94A6", "info")
    drawing = drawing_of(name, width="16", height="16", fill="currentColor", aria_hidden="true", style="flex:none")
    words = drawing, span(safe_text(text, 300))
    return Live(row(*words, style=BANNER.format(tone=tone)))


def column(*objects: Any, **styles: str) -> Any:
    """A column of these objects, with room between them."""
    return pn.Column(*objects, **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px", **styles}})
