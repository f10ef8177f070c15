"""What a server shows: the dashboard of one manager here, the page of several managers in `managers`."""

from __future__ import annotations

import os
from typing import Any, Protocol
from weakref import WeakSet

import panel as pn

from ...feed.source import Source, Subject
from ..app.dashboard import dashboard
from ..feed import Feed, feed_page
from ..role import Role
from .summary import Summary

__all__ = ["Content", "ManagerPage"]


class Content(Protocol):
    """Pages under `routes`, and a summary for programs. `listed` says whether it is one manager of this machine.

    `watches` is the id of the manager's process, if that is another one.
    """

    name: str
    title: str
    listed: bool
    watches: int | None

    def page(self, role: Role) -> Any:
        """The page of the session that is being made now, on the server's thread."""

    def summary(self, at: float | None = None) -> dict[str, Any]:
        """A few figures, for programs; with a time in seconds since 1970 as they were then."""

    def close(self) -> None:
        """End every session."""


class ManagerPage:
    """The dashboard of a manager."""

    listed = True

    def __init__(
        self,
        source: Source,
        title: str = "",
        note: str = "",
        loud: bool = False,
        watches: int | None = None,
        evaluator: bool = False,
    ) -> None:
        self.evaluator = evaluator
        self.watches = watches
        self.source = source
        self.name = source.name
        self.title = title or source.name
        self.note = note
        self.loud = loud
        self._summary = Summary(source)
        self._feeds: WeakSet[Feed] = WeakSet()

    def page(self, role: Role) -> Any:
        """A dashboard with a feed of its own."""
        feed = feed_page(self.source, pn.state.curdoc)
        self._feeds.add(feed)
        return dashboard(
            Subject(self.source),
            role=role,
            title=self.title,
            note=self.note,
            loud=self.loud,
            feed=feed,
            health="health",
            paths=True,
            evaluator=self.evaluator,
        )

    def summary(self, at: float | None = None) -> dict[str, Any]:
        """How the manager is, in figures and in words; with a time in seconds since 1970 how it was then."""
        found = self._summary.read() if at is None else self._summary.read_past(at)
        return {"name": self.title, "pid": os.getpid(), **found}

    def close(self) -> None:
        """Stop every feed."""
        for feed in tuple(self._feeds):
            feed.stop()
