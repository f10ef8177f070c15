"""The dashboard: the sentence and the totals, the fleet, and one runtime a click away. One `Dashboard` per session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

import panel as pn
import panel_material_ui as pmui
from panel_material_ui.template.base import Page

from ..snapshot import Snapshot
from .feed import Feed, feed_page
from .fleet import Fleet
from .icons import icon
from .layout import WIDE, line, section
from .live import Live
from .overview import Overview
from .role import Commands, Role
from .runtime import RuntimeView
from .steer import Soon, at_once
from .text import count, listing, safe_text

__all__ = ["Dashboard", "Past", "dashboard"]

log = logging.getLogger(__name__)

SPEEDS = {"stopped": 0.0, "1x": 1.0, "10x": 10.0, "60x": 60.0, "300x": 300.0, "3,000x": 3000.0}
BANNER = """<div class="row" style="flex-wrap:nowrap;padding:8px 14px;border-radius:10px;
border:1px solid color-mix(in srgb,#E69F00 55%,transparent);
background:color-mix(in srgb,#E69F00 12%,transparent)"><span aria-hidden="true">⚑</span><span>{}</span></div>"""
FONT = {"fontFamily": 'system-ui, "Segoe UI", Roboto, sans-serif'}
THEME = {
    "light": {"palette": {"primary": {"main": "#0B5C8C"}}, "typography": FONT},
    "dark": {"palette": {"primary": {"main": "#7CC0EE"}}, "typography": FONT},
}


class Past:
    """A terminated runtime of which only the last snapshot is left: all that a view asks of a runtime."""

    def __init__(self, manager: Any, id: str) -> None:
        self.manager = manager
        self.id = id
        self.paused = False

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """The last one."""
        found: Snapshot = self.manager.snapshot(self.id, metrics=metrics)
        return found

    def mailbox_items(self) -> list[Any]:
        """Nothing waits any more."""
        return []


class Dashboard:
    """The content of one page. `show()` is the fleet, `show(id)` one runtime; the address follows."""

    def __init__(
        self,
        manager: Any,
        feed: Feed,
        commands: Commands,
        *,
        note: str = "",
        location: Any = None,
        soon: Soon = at_once,
    ) -> None:
        self.manager = manager
        self.feed = feed
        self.commands = commands
        self.location = location
        self.soon = soon
        self.note = note
        self.selected: str | None = None
        self._ends: list[Callable[[], Any]] = []
        self.overview = Overview(manager, self.show)
        self.fleet = Fleet(manager, self.show, soon=soon)
        self.said = Live()
        self.speed = self._speed()
        self.tools = self._tools()
        self.holder = pn.Column(**{**WIDE, "styles": {**WIDE["styles"], "gap": "12px"}})
        self.panel = pn.Column(
            *self._banners(), self.holder, **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px", "padding": "12px"}}
        )
        if location is not None:
            location.param.watch(self._moved, "search")

    def _banners(self) -> list[Any]:
        viewer = [] if self.commands.may_steer else ["This link is for looking only: buttons are off."]
        return [Live(BANNER.format(safe_text(text, 300))) for text in [self.note, *viewer] if text]

    def _speed(self) -> Any:
        now = self.manager.clock.speed
        speeds = SPEEDS if now in SPEEDS.values() else {**SPEEDS, f"{now:g}x": now}
        select = pmui.Select(
            label="speed",
            options=speeds,
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

    def _tools(self) -> Any:
        options = {
            "size": "small",
            "variant": "outlined",
            "color": "primary",
            "margin": 0,
            "disabled": not self.commands.may_steer,
        }
        pause = pmui.Button(label="Pause all", icon=icon("pause"), **options)
        resume = pmui.Button(label="Resume all", icon=icon("play"), **options)
        pause.on_click(lambda event: self._all(self.commands.pause_all))
        resume.on_click(lambda event: self._all(self.commands.resume_all))
        self.said.styles = {"flex": "1 1 200px", "min-width": "0"}
        return line(pause, resume, self.speed, self.said)

    def _all(self, command: Callable[[], bool]) -> None:
        command()

    def show(self, id: str | None = None) -> None:
        """Show one runtime, or the fleet without an id. From any thread: it is drawn through `soon`."""
        self.soon(lambda: self.draw(id))

    def draw(self, id: str | None = None) -> None:
        """The same, at once: where models may be changed."""
        for end in self._ends:
            end()
        self._ends = []
        self.selected = id
        self._address(id)
        if id is None:
            self._show_fleet()
        elif id in self.manager or id in self.manager.terminated:
            self._show_runtime(id)
        else:
            self.holder.objects = [self._back(), Live(self._unknown(id))]

    def _show_fleet(self) -> None:
        self.commands.tell = self._say
        self._ends = [self.feed.follow(self.overview), self.feed.follow(self.fleet), self.feed.follow(self)]
        self.holder.objects = [
            self.overview.panel,
            self.tools,
            section("Runtimes", self.fleet, note="click one to open it"),
        ]

    def _show_runtime(self, id: str) -> None:
        runtime = self.manager.get(id) or Past(self.manager, id)
        inject = None if isinstance(runtime, Past) else self._inject(runtime)
        view = RuntimeView(runtime, self.commands, inject, soon=self.soon)
        self._ends = [self.feed.follow(view)]
        if inject is not None:
            self._ends.append(self.feed.follow(inject))
        self.holder.objects = [self._back(), view]

    def _inject(self, runtime: Any) -> Any:
        from .inject import Inject

        return Inject(runtime, self.commands, soon=None if self.soon is at_once else self.soon)

    def _back(self) -> Any:
        button = pmui.Button(label="All runtimes", icon=icon("back"), size="small", variant="text", margin=0)
        button.on_click(lambda event: self.show())
        return button

    def _unknown(self, id: str) -> str:
        known = listing([safe_text(each, 40) for each in self.manager], most=6) or "none yet"
        return f'<div class="empty">There is no runtime {safe_text(id, 80)!s}. There are: {known}.</div>'

    def _say(self, text: str, wrong: bool) -> None:
        mark = "✕ " if wrong else ""
        html = f'<span role="status">{mark}{safe_text(text, 300)}</span>' if text else ""
        self.soon(lambda: self.said.draw(html))

    def update(self, news: Any) -> bool:
        """Let the speed knob follow the clock."""
        speed = self.manager.clock.speed
        if self.speed.value != speed:
            if speed not in self.speed.options.values():
                self.speed.options = {**self.speed.options, f"{speed:g}x": speed}
            self.speed.value = speed
        return False

    def _address(self, id: str | None) -> None:
        search = f"?{urlencode({'runtime': id})}" if id is not None else ""
        if self.location is not None and self.location.search != search:
            self.location.search = search

    def _moved(self, event: Any) -> None:
        """The browser went back or on."""
        id = selection(event.new)
        if id != self.selected:
            self.show(id)
        elif "token=" in event.new:  # it did its work; an address is copied, shown and kept
            self._address(id)


def selection(search: str) -> str | None:
    """The runtime that an address names.

    >>> selection("?runtime=JFK&token=x"), selection("")
    ('JFK', None)
    """
    return next(iter(parse_qs((search or "").lstrip("?")).get("runtime", [])), None)


def dashboard(
    manager: Any,
    *,
    role: Role = Role.OPERATOR,
    title: str = "",
    note: str = "",
    who: str = "",
    select: str | None = None,
    feed: Feed | None = None,
) -> Any:
    """The page for the session that is being made now. Returns it."""
    title = title or manager.name
    commands = Commands(manager, role=role, who=who or f"{role.value} (page)")
    location = pn.state.location
    feed = feed or feed_page(manager, pn.state.curdoc)
    board = Dashboard(manager, feed, commands, note=note, location=location)
    board.show(select if select is not None else selection(location.search if location else ""))
    return Page(
        title=title,
        main=[board.panel],
        theme_config=THEME,
        sx={".MuiAppBar-root": {"backgroundColor": "#0B4A70", "backgroundImage": "none", "color": "#fff"}},
        busy_indicator=None,
        meta_description=f"{count(len(manager), 'runtime')} live",
    )
