"""The views of a runtime and of a manager, each alone in a cell. Nothing is loaded before one is asked for.

Each view is live when it is the last line of a cell, can be put into a layout of Panel, and can be saved to a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from .dead_letters import DeadLetters
from .deprecation import warn_of_new_name
from .errors import ConfigurationError
from .optional import explain_missing
from .schema.preview import preview

if TYPE_CHECKING:
    import pandas as pd

    from .feed.offer import FeedOffer
    from .views.notebook.standalone import Standalone
    from .views.server.process import ServerProcess
    from .views.server.server import Server

__all__ = ["ClusterDisplay", "DisplayedDeadLetters", "Exports", "ManagerDisplay", "RuntimeDisplay", "Serving"]

MimeBundle = tuple[dict[str, Any], dict[str, Any]]


def _standalone(of: Any, name: str) -> Standalone:
    with explain_missing("a view needs"):
        from .views.notebook.standalone import Standalone

    return Standalone(of, name)


def _file_content(of: Any, suffix: str, view: str) -> bytes:
    from .export import WRITERS

    if suffix == ".html":
        html: str = _standalone(of, _check_view(of, view)).html()
        return html.encode("utf-8", "replace")
    if view:
        raise ConfigurationError(f"view is {preview(view, 80)}, and only an .html file holds a view")
    if suffix not in WRITERS:
        kinds = ", ".join((*WRITERS, ".html"))
        raise ConfigurationError(f"{suffix!r} is no kind of file there is an export to; give {kinds}")
    return WRITERS[suffix](of)


def _check_view(of: Exports, view: Any) -> str:
    """The name of a view that there is of this; `ConfigurationError` names those there are."""
    name = view or "timeline"
    if isinstance(name, str):
        page, _, number = name.partition("/")
        if (name in of.VIEWS and not name.endswith("/")) or (
            f"{page}/" in of.VIEWS and number.isdecimal() and len(number) < 20
        ):
            return VIEW_PAGES.get(name, name)
    names = ", ".join(f"{each}<number>" if each.endswith("/") else each for each in of.VIEWS)
    raise ConfigurationError(f"view is {preview(view, 80)}; there are {names}")


VIEW_PAGES = {"dead_letters": "dead-letters"}


class Exports:
    """What happened, as files and tables. Of a manager: of all its runtimes. See `agentrt.export`."""

    VIEWS: ClassVar[tuple[str, ...]] = ()

    def export(self, path: str | Path, view: str = "") -> Path:
        """Write what is still recorded to a file of the kind its suffix says.

        In a CSV a text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`, or such a part
        follows a semicolon) gets an apostrophe before it, which makes it a text; numbers are as they are.

        Args:
            path: `.csv` and `.parquet` hold the activities, a row for each (Parquet needs pandas and pyarrow), `.json`
                a trace that ui.perfetto.dev opens, `.html` a view that needs no network.
            view: Which view an `.html` file holds, by the name of its method; `"timeline"` unless named. Of a manager
                also `"dead_letters"` and `"activity/17"`.

        Returns:
            Where the file is.

        Raises:
            ConfigurationError: There is no export to that kind of file, or no such view.
            OSError: The file can't be written; the one that was there is as it was.
        """
        file = Path(path)
        content = _file_content(self, file.suffix.lower(), view)
        # Written beside and put in its place when complete: what fails leaves the file that was there.
        draft = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            draft.write_bytes(content)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        return file

    def frame(self: Any) -> pd.DataFrame:
        """Return the activities still recorded, a row for each: lane, fate, wait and service in seconds, payload..."""
        from .export import activities_frame

        return activities_frame(self)

    def metrics_frame(self: Any) -> pd.DataFrame:
        """Return the figures of each lane, a row for each: depth, capacity, accepted, and how waits are spread."""
        from .export import metrics_frame

        return metrics_frame(self)


class RuntimeDisplay(Exports):
    """The views of one runtime."""

    VIEWS = ("timeline", "where", "mailbox", "waits", "theory", "inject", "events")

    def where_now(self) -> Standalone:
        """Show the line its workflow is at, the chain of awaits, the variables. `where()` is the same as data."""
        return _standalone(self, "where")

    def mailbox(self) -> Standalone:
        """Show what waits, item by item, to look at and to move."""
        return _standalone(self, "mailbox")

    def timeline(self) -> Standalone:
        """Show when its activities waited and when they were processed."""
        return _standalone(self, "timeline")

    def waits(self) -> Standalone:
        """Show how long activities of both lanes waited, side by side; whether priority ones overtook."""
        return _standalone(self, "waits")

    def theory(self) -> Standalone:
        """Show whether its queue is stable, and the waits that theory predicts beside those that were measured."""
        return _standalone(self, "theory")

    def inject(self) -> Standalone:
        """Show a form made from the type of its payload, to send it activities."""
        return _standalone(self, "inject")

    def events(self) -> Standalone:
        """Show what happened to it, newest first."""
        return _standalone(self, "events")


class Serving:
    """How a manager is served: its dashboard, and its feed to other processes."""

    _offer: FeedOffer | None = None
    _server: Server | ServerProcess | None = None

    def check_process(self) -> None:
        """Raise `ManagerClosedError` in a process that was forked from that of the agents."""

    @property
    def server(self) -> Server | ServerProcess | None:
        """The dashboard that `serve` started last; None before."""
        return self._server

    @overload
    def serve(self, port: int = 0, *, process: Literal[False] = False, **options: Any) -> Server: ...
    @overload
    def serve(self, port: int = 0, *, process: bool, **options: Any) -> Server | ServerProcess: ...
    def serve(self, port: int = 0, *, process: bool = False, **options: Any) -> Server | ServerProcess:
        """Serve the dashboard, on a thread of its own or in a process of its own.

        A process of its own draws the pages without taking time from the agents, and stays when this program ends: the
        page then says since when, and goes on when a manager of the same name runs again.

        Args:
            port: 0 for any that is free.
            process: Whether to serve it from a process of its own, as `agentrt watch` does.
            **options: Those of `agentrt.views.server.server.serve`.

        Returns:
            The server: `url`, `view_url`, `port`, `stop()`. One in this process stops with the manager.

        Raises:
            ConfigurationError: No port is free, an option can't work, or with `process` the manager has `offer=False`.
        """
        self.check_process()
        if process:
            with explain_missing("the dashboard needs"):
                from .views.server.process import serve_in_process

            record = None if self._offer is None else self._offer.record
            if self._offer is not None:
                self._offer.evaluator = bool(options.get("evaluator"))
                offered: Any = self._offer.manager.source
                offered.extra_pages = dict(options.get("answers") or {})  # that process asks for them
            self._server = serve_in_process(record, port=port, **options)
        else:
            with explain_missing("the dashboard needs"):
                from .views.server.server import serve

            self._server = serve(self, port=port, **options)  # type: ignore[arg-type]
        return self._server

    def _end_serving(self) -> None:
        """End what shows it, and the offer to other processes."""
        if self._server is not None:
            self._server.on_manager_end()
        if self._offer is not None:
            self._offer.close()


class ManagerDisplay(Exports):
    """The views of a manager. Its dead letters show themselves, see `DisplayedDeadLetters`."""

    VIEWS: ClassVar[tuple[str, ...]] = ("timeline", "fleet", "overview", "flow", "dead_letters", "beside", "activity/")
    dead_letters: DeadLetters

    def fleet(self) -> Standalone:
        """Show all runtimes in one table."""
        return _standalone(self, "fleet")

    def overview(self) -> Standalone:
        """Show whether anything is wrong, in a sentence, and what became of all activities."""
        return _standalone(self, "overview")

    def flow(self) -> Standalone:
        """Show who sends to whom, how much and how it goes."""
        return _standalone(self, "flow")

    def timeline(self) -> Standalone:
        """Show what happened in all runtimes, in what order."""
        return _standalone(self, "timeline")

    def activity(self, id: int) -> Standalone:
        """Show one activity: what became of it, who caused it, what it changed."""
        return _standalone(self, f"activity/{id}")

    def beside(self) -> Standalone:
        """Show a fork and its origin side by side, with what first differs marked. Both are followed live."""
        return _standalone(self, "beside")

    def letters(self) -> Standalone:
        """Deprecated: `manager.dead_letters` shows itself, and `manager.dead_letters.view()` is its view."""
        warn_of_new_name("manager.letters()", "manager.dead_letters.view()")
        return _standalone(self, "dead-letters")


class ClusterDisplay(ManagerDisplay):
    """The views of a cluster: those of a manager, and its nodes."""

    VIEWS: ClassVar[tuple[str, ...]] = (*ManagerDisplay.VIEWS, "nodes")

    def nodes_now(self) -> Standalone:
        """Show what each node has to do, and what it uses. `source.nodes()` is the same as data."""
        return _standalone(self, "nodes")


class DisplayedDeadLetters(DeadLetters):
    """The dead letters of a manager; as the last line of a cell they show themselves, live."""

    def view(self) -> Standalone:
        """Show the dead letters: to look at, to send again, to discard."""
        return _standalone(self._manager, "dead-letters")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> MimeBundle:
        bundle: MimeBundle = self.view()._repr_mimebundle_(include, exclude)
        return bundle

    def _display_(self) -> Any:  # what marimo asks for
        return self.view()._display_()
