"""One view alone: in a cell, in a layout of Panel, or in a file. `runtime.mailbox()` and `manager.flow()` return it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.resources import INLINE

from ...feed.source import HasRuntime, HasSource, Source, Subject, subject_of
from ..activity.activity import ActivityView
from ..app.address import Address
from ..app.bar import column
from ..app.routes import build_page
from ..feed import Feed, Schedule, feed_notebook, feed_page, run_now
from ..fleet.fleet import Fleet
from ..fleet.overview import Overview
from ..flow.flow import Flow
from ..html import pre
from ..icons import icon
from ..inject.inject import Inject
from ..mailbox.dead_letters import DeadLettersView
from ..mailbox.microscope import Microscope
from ..queueing.theory import Theory
from ..queueing.waits import Waits
from ..role import Commands
from ..runtime.log import Events
from ..runtime.where import Where
from ..theme import CSS
from ..timeline.swimlanes import Swimlanes
from .cell import bundle, kernel_loop
from .offline import inline_files
from .static_render import text_and_picture

__all__ = ["Standalone"]

ROOM = "12px"  # around a view that has nothing else around it
BOX = (
    CSS
    + f"""
:host {{ background: var(--rt-surface); border: 1px solid var(--rt-line); border-radius: 10px; padding: {ROOM}; }}
"""
)


class StandaloneBoard:
    """The board of one view: what a link leads to opens below the view, and can be closed."""

    def __init__(self, source: Source, feed: Feed, schedule: Schedule) -> None:
        self.source = source
        self.feed = feed
        self.schedule = schedule
        self.commands = Commands(source)
        self.below = column()
        self._ends: list[Callable[[], Any]] = []

    def go(self, address: str) -> None:
        """Open a page below."""
        self.schedule(lambda: self.open(address))

    def open(self, address: str) -> None:
        """The same, at once."""
        self.close()
        made = build_page(self, Address.read(address))
        close = pmui.Button(label="Close", icon=icon("back"), size="small", variant="text", margin=0)
        close.on_click(lambda event: self.schedule(self.close))
        self._ends = [*made.ends, *(self.feed.follow(view) for view in made.views)]
        self.below.objects = [close, *made.objects]

    def mark(self, at: Address) -> None:
        """There is no address to show."""

    def close(self) -> None:
        """Let go of what is open below. Idempotent."""
        for end in self._ends:
            end()
        self._ends = []
        self.below.objects = []


def view_of_manager(source: Source, name: str, board: StandaloneBoard) -> Any:
    """The view of that name, of all runtimes; "activity/12" is that of an activity."""
    page, _, number = name.partition("/")
    options: Any = {"go": board.go, "schedule": board.schedule}
    if page == "activity":
        return ActivityView(source, int(number), board.commands, **options)
    if page == "overview":
        return Overview(source, board.go)
    if page == "fleet":
        return Fleet(source, **options)
    if page == "timeline":
        return Swimlanes(source, commands=board.commands, **options)
    views: dict[str, Callable[..., Any]] = {"flow": Flow, "dead-letters": DeadLettersView}
    return views[page](source, board.commands, **options)


def view_of_runtime(source: Source, id: str, name: str, board: StandaloneBoard) -> Any:
    """The view of that name, of one runtime."""
    if name == "events":
        return Events(source, id, go=board.go)
    if name in PLOTS:
        return PLOTS[name](source, id)
    if name == "inject":
        return Inject(source, id, board.commands, schedule=None if board.schedule is run_now else board.schedule)
    return VIEWS[name](source, id, board.commands, go=board.go, schedule=board.schedule)


PLOTS: dict[str, Callable[[Source, str], Any]] = {"theory": Theory, "waits": Waits}  # nothing in them can be clicked
VIEWS: dict[str, Callable[..., Any]] = {"where": Where, "mailbox": Microscope, "timeline": Swimlanes}


class Standalone(pn.viewable.Viewer):
    """A view of a runtime or a manager with a feed of its own. The last line of a cell shows it, live."""

    def __init__(self, of: HasRuntime | HasSource | Subject, name: str) -> None:
        super().__init__()
        self.subject = subject_of(of)
        self.source = self.subject.source
        self.view = name

    def __repr__(self) -> str:
        return f"<{self.view} of {self.subject!r}>"

    def _fill(self, holder: Any, feed: Feed, schedule: Schedule = run_now) -> None:
        board, id = StandaloneBoard(self.source, feed, schedule), self.subject.id
        if id is None:
            view = view_of_manager(self.source, self.view, board)
        else:
            view = view_of_runtime(self.source, id, self.view, board)
        feed.follow(view)
        holder.objects = [view if isinstance(view, pn.viewable.Viewer) else view.panel, board.below]

    def __panel__(self) -> Any:
        """For a layout: fed for as long as its page or its output is there."""
        holder = column(padding=ROOM)
        loop, document = kernel_loop(), pn.state.curdoc
        if document is not None and document.session_context is not None:
            self._fill(holder, feed_page(self.source, document))
        elif loop is not None:
            feed = feed_notebook(self.source, holder, loop)
            self._fill(holder, feed, loop.call_soon_threadsafe)
            feed.start()
        else:
            self._fill(holder, self._one_time_feed())
        return holder

    def _one_time_feed(self) -> Feed:
        return Feed(self.source, schedule=lambda call: None, later=lambda seconds, call: None)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        loop = kernel_loop()
        if loop is None:
            return {"text/plain": repr(self), "text/html": str(pre(repr(self)))}, {}

        def fill(holder: Any, feed: Feed) -> None:
            holder.stylesheets = [BOX]
            self._fill(holder, feed, loop.call_soon_threadsafe)

        return bundle(self.source, loop, fill, repr(self), [pre(repr(self)), text_and_picture(self.subject)[1]])

    def save(self, path: str | Path) -> Path:
        """Write it as it is now into one HTML file, which needs nothing else and no network. Returns where it is."""
        Path(path).write_text(self.html(), encoding="utf-8", errors="replace")
        return Path(path)

    def html(self) -> str:
        """The content of such a file."""
        holder = column(padding=ROOM)
        self._fill(holder, self._one_time_feed())
        title = f"{self.view} of {self.subject.id or self.source.name}"
        file = StringIO()
        with pn.config.set(inline=True):
            holder.save(file, title=escape(title), resources=INLINE, embed=False)
        return inline_files(file.getvalue())
