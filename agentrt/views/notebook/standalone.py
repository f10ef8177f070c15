"""One view alone: in a cell, in a layout of Panel, or in a file. `runtime.mailbox()` and `manager.flow()` return it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.resources import INLINE

from ...feed.nodes import HasNodes
from ...feed.source import HasRuntime, HasSource, Source, Subject, subject_of
from ..activity.activity import ActivityView
from ..app.address import Address
from ..app.bar import column
from ..app.routes import StillView, build_page
from ..app.timed_view import TimedView
from ..app.vantage import Vantage, VantageBoard
from ..beside.beside import beside_view, why_not
from ..feed import Feed, Schedule, feed_notebook, feed_page, run_now
from ..fleet.cluster_nodes import ClusterNodes
from ..fleet.fleet import Fleet
from ..fleet.overview import Overview
from ..flow.flow import Flow
from ..html import Content, pre
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
from .live_widget import LiveWidget, Still, show_in_marimo
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


class StandaloneBoard(VantageBoard):
    """The board of one view: what a link leads to opens below the view, and can be closed."""

    def __init__(self, source: Source, feed: Feed, schedule: Schedule) -> None:
        self.vantage = Vantage(source, feed, Commands(source))
        self.schedule = schedule
        self.below = column()
        self._ends: list[Callable[[], Any]] = []

    def go(self, address: str) -> None:
        """Open a page below."""
        self.schedule(lambda: self.open(address))

    def open(self, address: str) -> None:
        """The same, at once."""
        self.close()
        made = build_page(self, Address.read(address)._replace(moment=self.vantage.moment))
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
    if page == "nodes":
        return (
            ClusterNodes(source) if isinstance(source, HasNodes) else StillView("It is not known where they were then.")
        )
    if page == "fleet":
        return Fleet(source, **options)
    if page == "timeline":
        return Swimlanes(source, commands=board.commands, **options)
    if page == "beside":
        return beside_view(source, board.feed, board.go, board.now) or StillView(why_not(board.now))
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

    def _fill(self, holder: Any, feed: Feed, schedule: Schedule = run_now, still: bool = False) -> None:
        """Put the view into its place; `still`: nobody can go to another moment there."""
        board = StandaloneBoard(self.source, feed, schedule)

        def make() -> Any:
            board.close()
            return self._view_of(board)

        timed = TimedView(board.vantage, make, schedule, self.subject.id)
        timed.show(None)
        if not still:
            feed.follow(timed.bar)
        holder.objects = [*([] if still else [timed.bar.panel]), timed.place, board.below]

    def _view_of(self, board: StandaloneBoard) -> Any:
        id = self.subject.id
        if id is None:
            return view_of_manager(board.source, self.view, board)
        return view_of_runtime(board.source, id, self.view, board)

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
            self._fill(holder, self._one_time_feed(), still=True)
        return holder

    def _one_time_feed(self) -> Feed:
        return Feed(self.source, schedule=lambda call: None, later=lambda seconds, call: None)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        loop = kernel_loop()
        if loop is None:
            return {"text/plain": repr(self), "text/html": str(pre(repr(self)))}, {}

        fill = partial(self._fill_box, schedule=loop.call_soon_threadsafe)
        return bundle(self.source, loop, fill, repr(self), self._picture())

    def _display_(self) -> LiveWidget | Still:
        """What marimo shows."""
        return show_in_marimo(self.source, self._fill_box, self._picture())

    def _fill_box(self, holder: Any, feed: Feed, schedule: Schedule) -> None:
        holder.stylesheets = [BOX]
        self._fill(holder, feed, schedule)

    def _picture(self) -> Content:
        """What is shown in its place where it can't be live, as in a saved notebook."""
        return [pre(repr(self)), text_and_picture(self.subject)[1]]

    def save(self, path: str | Path) -> Path:
        """Write it as it is now into one HTML file, which needs nothing else and no network. Returns where it is."""
        Path(path).write_text(self.html(), encoding="utf-8", errors="replace")
        return Path(path)

    def html(self) -> str:
        """The content of such a file."""
        holder = column(padding=ROOM)
        self._fill(holder, self._one_time_feed(), still=True)
        title = f"{self.view} of {self.subject.id or self.source.name}"
        file = StringIO()
        holder.save(file, title=escape(title), resources=INLINE, embed=False)
        return inline_files(file.getvalue())
