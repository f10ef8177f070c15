"""The dashboard of managers in other processes: `agentrt watch`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tornado.web import HTTPError

from ...discovery import ManagerRecord
from ...errors import ConfigurationError
from ...feed.extra_pages import ReadsExtraPages
from ...feed.nodes import HasNodes
from ...feed.remote import RemoteSource, WatchedSource
from ...feed.several import SeveralSource
from .auth import Answer
from .content import ManagerPage
from .server import Server, start

__all__ = ["Watch"]

TOGETHER = "Several managers"  # what the page is called


class Watch:
    """A server of the dashboard of one manager that runs elsewhere on this machine, or of several side by side.

    Args:
        managers: The managers, one at least.
        open_source: Gives the source of one of them.
        port: As all others, those of `agentrt.views.server.server.serve`.
        answers: The paths of pages that the program of the manager serves beside the dashboard.

    Raises:
        ConfigurationError: A manager can't be watched, or the page can't be served.
    """

    def __init__(
        self,
        managers: Sequence[ManagerRecord],
        open_source: Callable[[ManagerRecord], WatchedSource] = RemoteSource,
        port: int = 0,
        address: str = "127.0.0.1",
        title: str = "",
        note: str = "",
        hosts: Iterable[str] = (),
        loud: bool = False,
        proxies: Iterable[str] = (),
        evaluator: bool = False,
        answers: Iterable[str] = (),
    ) -> None:
        self.sources: list[WatchedSource] = []
        try:
            self.sources += map(open_source, managers)
            alone = len(managers) == 1
            cluster = next((each.name for each in self.sources if isinstance(each, HasNodes)), None)
            if cluster is not None and not alone:
                raise ConfigurationError(
                    f"{cluster!r} is a cluster, which has a page of its own: agentrt watch {cluster}"
                )
            self.source: WatchedSource | SeveralSource = (
                self.sources[0] if alone else SeveralSource(self.sources, TOGETHER)
            )
            page = ManagerPage(
                self.source, title, note, loud, watches=managers[0].pid if alone else None, evaluator=evaluator
            )
            page.listed = alone
            pages = {path: self._relay(path) for path in answers}
            self.server: Server = start(page, port, address, hosts, proxies, pages)
        except BaseException:
            self._close_sources()
            raise

    def _relay(self, path: str) -> Answer:
        """A page that the program of the manager is asked for each time."""

        def answer(accept: str) -> tuple[str, bytes]:
            source = self.source
            page = source.extra_page(path, accept) if isinstance(source, ReadsExtraPages) else None
            if page is None:
                raise HTTPError(503, reason="the program of the agents does not answer, or has no such page")
            return page.kind, page.content

        return answer

    @property
    def needed(self) -> bool:
        """Whether a page is open, or the manager runs."""
        return self.source.hub.running or not self.source.standing().words

    def stop(self) -> None:
        """End it. Idempotent."""
        self.server.stop()
        self._close_sources()

    def _close_sources(self) -> None:
        for source in self.sources:
            source.close()
