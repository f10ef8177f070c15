"""From when something is shown: now, or as it was after a record."""

from __future__ import annotations

from ...errors import AgentError, ConfigurationError
from ...feed.source import Rewindable, Source
from ..feed import Feed
from ..role import Commands

__all__ = ["Vantage", "VantageBoard"]


class Vantage:
    """What views are drawn from. `source`, `feed` and `commands` are those of now, until `use(moment)`.

    Args:
        source: What is now.
        feed: Feeds the views of now.
        commands: The commands of the page.
    """

    def __init__(self, source: Source, feed: Feed, commands: Commands) -> None:
        self.now = (source, feed, commands)
        self.source, self.feed, self.commands = self.now
        self.moment: int | None = None

    def use(self, moment: int | None) -> str:
        """Show what was after a record; what is now without one. Returns why that can't be: then it is now as well."""
        (self.source, self.feed, self.commands), self.moment = self.now, None
        if moment is None:
            return ""
        try:
            self._use_past(moment)
        except AgentError as error:
            return f"This moment can't be shown: {error}"
        return ""

    def _use_past(self, moment: int) -> None:
        source, feed, commands = self.now
        if not isinstance(source, Rewindable):
            raise ConfigurationError("here nothing can be looked at as it was")
        self.source = source.past(moment)
        self.feed = feed.beside(self.source)
        self.commands = Commands(self.source, role=commands.role, who=commands.who, tell=commands.tell, evaluator=False)
        self.moment = moment


class VantageBoard:
    """What a page is drawn on: it has the source, the feed and the commands of now, or of a moment."""

    vantage: Vantage

    @property
    def source(self) -> Source:
        """Of what is shown: now, or then."""
        return self.vantage.source

    @property
    def now(self) -> Source:
        """Of what is now."""
        return self.vantage.now[0]

    @property
    def feed(self) -> Feed:
        """Of the views that are shown."""
        return self.vantage.feed

    @property
    def commands(self) -> Commands:
        """Of the views that are shown; in the past all are refused."""
        return self.vantage.commands
