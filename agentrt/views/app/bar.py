"""The line on top of every page: the way to the others, what watching costs, the speed, and all runtimes at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import panel as pn
import panel_material_ui as pmui

from ..feed import Update
from ..icons import icon
from ..layout import WIDE, line
from ..live import Live
from ..role import Commands
from ..text import safe_text
from .address import Address

__all__ = ["Bar"]

SPEEDS = {"stopped": 0.0, "1x": 1.0, "10x": 10.0, "60x": 60.0, "300x": 300.0, "3,000x": 3000.0}
PLACES = {"": "Overview", "timeline": "Timeline", "flow": "Flow", "letters": "Dead letters"}
WEIGHED = 2.0  # real seconds over which the cost of watching is measured
CSS = """
nav { display: flex; flex-wrap: wrap; gap: var(--s1); }
nav a { text-decoration: none; color: var(--rt-text); padding: 5px 12px; border-radius: 8px; font-weight: 600; }
nav a:hover { background: var(--rt-fill); }
nav a[aria-current] { background: color-mix(in srgb, #0072B2 16%, transparent); }
.cost { white-space: nowrap; font-size: var(--t0); }
"""
SAID = """
.said { display: block; padding: 10px 16px; border-radius: 10px; background: var(--rt-text); color: var(--rt-surface); }
.said:empty { display: none; }
"""
LAID = {"position": "fixed", "bottom": "20px", "left": "20px", "z-index": "1400", "max-width": "min(640px, 90vw)"}


def _pressed(act: Callable[[], Any], event: Any) -> None:
    act()


class Bar:
    """`update` keeps the speed, the cost and the count of dead letters current; `show(page)` marks where one is."""

    def __init__(
        self, manager: Any, commands: Commands, go: Callable[[str], Any], *, served: bool = False, paths: bool = False
    ) -> None:
        self.manager = manager
        self.commands = commands
        self.paths = paths
        self.page = ""
        self.share = 0.0
        self.weighed = (time.monotonic(), 0.0)
        self.nav = Live(on={"go": go}, css=CSS, styles={"flex": "1 1 320px"})
        self.said = Live(css=SAID, styles={"flex": "1 1 100%"} if not served else LAID)
        self.speed = self._speed()
        self.panel = line(self.nav, *self._buttons(), self.speed, self.said)

    def _buttons(self) -> list[Any]:
        made = []
        for label, drawing, act in (
            ("Pause all", "pause", self.commands.pause_all),
            ("Resume all", "play", self.commands.resume_all),
        ):
            button: Any = pmui.Button(
                label=label,
                icon=icon(drawing),
                size="small",
                variant="outlined",
                color="primary",
                margin=0,
                disabled=not self.commands.may_steer,
            )
            button.on_click(partial(_pressed, act))
            made.append(button)
        return made

    def _speed(self) -> Any:
        now = self.manager.clock.speed
        select = pmui.Select(
            label="speed",
            options=SPEEDS if now in SPEEDS.values() else {**SPEEDS, f"{now:g}x": now},
            value=now,
            width=110,
            size="small",
            margin=0,
            disabled=not self.commands.may_steer,
        )
        select.param.watch(self._speed_chosen, "value")
        return select

    def _speed_chosen(self, event: Any) -> None:
        if event.new != self.manager.clock.speed and not self.commands.speed(event.new):
            self.speed.value = event.old

    def show(self, page: str) -> None:
        """Say where one is."""
        self.page = page
        self._draw()

    def say(self, text: str, wrong: bool) -> None:
        """What came of a command, in one line; an empty one takes it away."""
        words = f"{'✕ ' if wrong else ''}{safe_text(text, 300)}" if text else ""
        self.said.draw(f'<span class="said" role="status">{words}</span>')

    def update(self, update: Update) -> bool:
        """Follow the clock, the hub and the dead letters."""
        speed = self.manager.clock.speed
        if self.speed.value != speed:
            if speed not in self.speed.options.values():
                self.speed.options = {**self.speed.options, f"{speed:g}x": speed}
            self.speed.value = speed
        self._weigh()
        self._draw()
        return self.share >= 0.005

    def _weigh(self) -> None:
        since, cost = self.weighed
        now, total = time.monotonic(), self.manager.hub.cost
        if now - since >= WEIGHED:
            self.weighed, self.share = (now, total), max(0.0, total - cost) / (now - since)

    def _draw(self) -> None:
        dead = len(self.manager.dead_letters)
        links = "".join(self._link(page, words, dead) for page, words in PLACES.items())
        # In whole percent, so that the figure stays as it is for as long as it means the same.
        cost = f"{self.share:.0%} of a core".replace("%", " %") if self.share >= 0.005 else "next to nothing"
        self.nav.draw(
            f'<div class="row spread"><nav aria-label="pages">{links}</nav>'
            f'<span class="cost muted" title="processor time that all open views take, in this process">'
            f"watching costs {cost}</span></div>"
        )

    def _link(self, page: str, words: str, dead: int) -> str:
        here = ' aria-current="page"' if page == self.page else ""
        number = f" ({dead:,})" if page == "letters" and dead else ""
        href = f"/{Address(page)}" if self.paths else "#"
        return f'<a href="{href}" data-do="go" data-with="{page}"{here}>{words}{number}</a>'


BANNER = """<div class="row" style="flex-wrap:nowrap;padding:8px 14px;border-radius:10px;
border:1px solid color-mix(in srgb,{tone} 55%,transparent);
background:color-mix(in srgb,{tone} 12%,transparent)"><span aria-hidden="true">{glyph}</span>
<span>{text}</span></div>"""


def banner(text: str, *, loud: bool = False) -> Any:
    """A line that stays: quiet where it only tells, loud where it must not be missed."""
    tone, glyph = ("#E69F00", "⚑") if loud else ("#8A94A6", "ⓘ")
    return Live(BANNER.format(tone=tone, glyph=glyph, text=safe_text(text, 300)))


def column(*objects: Any, **styles: str) -> Any:
    """Things below each other, with room between them."""
    return pn.Column(*objects, **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px", **styles}})
