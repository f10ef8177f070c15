"""The dashboard: one `Dashboard` per session, which shows one page at a time. `routes` says what is on a page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import panel as pn

from ...feed.source import HasSource, Source, Subject, subject_of
from ...snapshot import Status
from ..feed import Feed, Schedule, feed_page, run_now
from ..role import Commands, Role
from ..text import plain, quantity
from .address import OF_RUNTIME, Address, address_of, folder_of, root_of, spotlight_of
from .bar import TopBar, banner, column
from .notice import Notice
from .page_template import page_template
from .routes import Deferred, build_page
from .spotlight import Spotlight
from .time_bar import TimeBar
from .vantage import Vantage, VantageBoard
from .window import Window

__all__ = ["Dashboard", "dashboard"]

log = logging.getLogger(__name__)


class Dashboard(VantageBoard):
    """Shows the page of an address: `go("runtime/JFK")`. Only what is shown is kept up to date.

    `root` and `paths` say how the browser shows its addresses, see `Window`; a notebook has no window and no root.
    """

    def __init__(
        self,
        source: Source,
        feed: Feed,
        commands: Commands,
        *,
        note: str = "",
        loud: bool = False,
        root: str | None = None,
        paths: bool = False,
        health: str = "",
        title: str = "",
        schedule: Schedule = run_now,
    ) -> None:
        self.vantage = Vantage(source, feed, commands)
        self._live_feed = feed
        self.schedule = schedule
        self.title = title or source.name
        self.at = Address()
        self.loading = False  # whether the page has still to be drawn for the first time
        self._deferred: tuple[Deferred, ...] = ()
        self._ends: list[Callable[[], Any]] = []
        self._unfollow: Callable[[], Any] = lambda: None
        light = None if root is None else self._toggle_spotlight  # a notebook shows one runtime as a card
        self.bar = TopBar(source, commands, self.go, root=root, paths=paths, light=light)
        self.time_bar = TimeBar(source, self.look, commands, schedule, keys=root is not None)
        self.window = None if root is None else Window(self.visit, self.key, root=root, paths=paths, health=health)
        self.holder = column()
        notes = [banner(note, loud=loud)] if note else []
        notes += [] if commands.may_steer else [banner(_look_only_words(source), loud=True)]
        window = [self.window] if self.window is not None else []
        self.notice = Notice(source, lambda: self.draw(str(self.at)))
        self.spotlight = Spotlight(self, self.light)
        lines = (self.notice.panel, *notes, self.bar.panel, self.time_bar.panel, self.holder, self.spotlight.panel)
        self.panel = column(*window, *lines, padding="12px")
        feed.follow(self.notice)
        feed.follow(self.time_bar)
        commands.tell = lambda text, wrong: self.schedule(lambda: self.bar.say(text, wrong))

    def go(self, address: str = "") -> None:
        """Show the page of an address, at the moment that is shown. From any thread: it is drawn through `schedule`."""
        stays = self.at.moment is not None and Address.read(address).moment is None
        self.visit(f"{address}{Address(moment=self.at.moment)}" if stays else address)

    def visit(self, address: str) -> None:
        """Show the page of an address, now if it names no moment. From any thread."""
        self.schedule(lambda: self.draw(address))

    def look(self, moment: int | None) -> None:
        """Show the same page as it was after a record, or as it is now. From any thread."""
        self.visit(str(self.at._replace(moment=moment)))

    def draw(self, address: str = "") -> None:
        """The same, now: call it where the models may be changed."""
        for end in (*self._ends, self._unfollow):
            end()
        self.at = Address.read(address)
        problem = self.vantage.use(self.at.moment)
        self.at = self.at._replace(moment=self.vantage.moment)
        self.bar.lock(self.at.moment is not None)
        if problem:
            self.bar.say(problem, True)
        page = build_page(self, self.at)
        self.mark(self.at)
        self._ends = [*page.ends, self._live_feed.follow(self.bar), *(self.feed.follow(view) for view in page.views)]
        self._follow_spotlight()
        self._deferred = page.deferred
        if not self.loading:
            self.load()
        self.holder.objects = page.objects

    def light(self, id: str | None) -> None:
        """Enlarge one runtime over the page; with None, no more. From any thread."""
        self.schedule(lambda: self._draw_spotlight(id))

    def _draw_spotlight(self, id: str | None) -> None:
        self._unfollow()
        self.spotlight.show(id)
        self._follow_spotlight()
        if self.window is not None:
            self.window.spotlight = id or ""

    def _follow_spotlight(self) -> None:
        if self.spotlight.id is not None:
            self._unfollow = self.feed.follow(self.spotlight)

    def _toggle_spotlight(self) -> None:
        if self.spotlight.id is not None:
            self.light(None)
        elif (id := self.at.of if self.at.page in OF_RUNTIME else self.spotlight.choose()) is not None:
            self.light(id)
        else:
            self.bar.say("There is no runtime yet.", True)

    def load(self) -> None:
        """Show what was deferred until the page has loaded."""
        self.loading = False
        deferred, self._deferred = self._deferred, ()
        with self.feed.batch():
            self._ends += [each.show(self.feed.follow) for each in deferred]

    def mark(self, at: Address) -> None:
        """Show this address in the bar and in the window, at the moment that is shown."""
        self.at = at = at._replace(moment=self.at.moment)
        self.bar.show(at.page)
        self.time_bar.show(at.moment, at.of if at.page in OF_RUNTIME else None)
        if self.window is not None:
            self.window.param.update(address=str(at), name_of_page=self._page_title())

    def _page_title(self) -> str:
        what = plain(self.at.of or self.at.page, 60)
        return f"{what} · {self.title}" if what else self.title

    def key(self, key: str) -> None:
        """Do what a key stands for. The window handles `?`, and `/` where the page has a search field."""
        if key == "/":
            self.go()
            if self.window is not None:
                self.schedule(self.window.search)
        elif key == "o":
            self.go()
        elif key == "s":
            self._toggle_spotlight()
        elif key == "Escape":
            self.light(None)
        elif key == "[":
            self.time_bar.back()
        elif key == "]":
            self.time_bar.forth()
        elif self.at.moment is not None:
            self.bar.say("This is the past: it can only be looked at. Go back to live first.", True)
        elif key == " ":
            self._pause()
        elif key == "." and self.runtime is not None:
            self.commands.step(self.runtime)

    @property
    def runtime(self) -> str | None:
        """The id of the runtime in the spotlight, or whose page is shown; None if it has ended, and without one."""
        id = self.spotlight.id or (self.at.of if self.at.page in OF_RUNTIME else None)
        return id if id in self.source.runtimes else None

    def _pause(self) -> None:
        if self.runtime is not None:
            self.commands.toggle(self.runtime)
        elif self.at.page not in OF_RUNTIME:
            (self.commands.resume_all if self._are_all_paused() else self.commands.pause_all)()

    def _are_all_paused(self) -> bool:
        shots = {shot.id for shot in self.source.active() if shot.status is not Status.FAILED}
        if len(shots) < len(self.source.runtimes):  # of these nothing is paused
            return False
        return all(each is None or each.paused for each in map(self.source.settings, shots))


def _look_only_words(source: Source) -> str:
    recorded = source.standing().recorded
    if not recorded:
        return "This link is for looking only: buttons are off."
    return f"This is {recorded}. Nobody runs it: nothing changes here, and buttons are off."


def dashboard(
    manager: HasSource | Subject,
    *,
    role: Role = Role.OPERATOR,
    title: str = "",
    note: str = "",
    loud: bool = False,
    who: str = "",
    at: str | None = None,
    feed: Feed | None = None,
    health: str = "",
    paths: bool = False,
    evaluator: bool = False,
) -> Any:
    """The page for the session that is being made now. Returns it. With `paths` each address has a path of its own."""
    source = subject_of(manager).source
    title = title or source.name
    commands = Commands(source, role=role, who=who or f"{role.value} (page)", evaluator=evaluator)
    place = pn.state.location
    path, search = (place.pathname or "/", place.search or "") if place else ("/", "")
    feed = feed or feed_page(source, pn.state.curdoc)
    board = Dashboard(
        source,
        feed,
        commands,
        note=note,
        loud=loud,
        root=root_of(path),
        paths=paths,
        health=f"{root_of(path)}{health}" if health else "",
        title=title,
    )
    board.loading = pn.state.curdoc is not None and pn.state.curdoc.session_context is not None
    board.draw(at if at is not None else str(address_of(path if paths else "", search)))
    if (lit := spotlight_of(search)) is not None:
        board.light(lit)
    pn.state.onload(board.load)
    state = "recorded" if source.standing().recorded else "live"
    return page_template(
        title=title,
        main=[board.panel],
        folder=folder_of(path) if paths else "",
        meta_description=f"{quantity(len(source.runtimes), 'runtime')} {state}",
    )
