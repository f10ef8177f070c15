"""The dashboard of a manager in another process: `agentrt watch`."""

from __future__ import annotations

from collections.abc import Iterable

from ...discovery import ManagerRecord
from ...feed.remote import RemoteSource
from .content import ManagerPage
from .server import Server, start

__all__ = ["Watch"]


class Watch:
    """A server of the dashboard of a manager that runs elsewhere on this machine.

    Args:
        manager: The manager.
        port: As all others, those of `agentrt.views.server.server.serve`.

    Raises:
        ConfigurationError: The manager can't be watched, or the page can't be served.
    """

    def __init__(
        self,
        manager: ManagerRecord,
        port: int = 0,
        address: str = "127.0.0.1",
        title: str = "",
        note: str = "",
        hosts: Iterable[str] = (),
        loud: bool = False,
        proxies: Iterable[str] = (),
    ) -> None:
        self.source = RemoteSource(manager)
        try:
            page = ManagerPage(self.source, title, note, loud, watches=manager.pid)
            self.server: Server = start(page, port, address, hosts, proxies)
        except BaseException:
            self.source.close()
            raise

    @property
    def needed(self) -> bool:
        """Whether a page is open, or the manager runs."""
        return self.source.hub.running or not self.source.standing().words

    def stop(self) -> None:
        """End it. Idempotent."""
        self.server.stop()
        self.source.close()
