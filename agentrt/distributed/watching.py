"""Watching: a cluster as another process sees it, through what its driver offers."""

from __future__ import annotations

from ..discovery import ManagerRecord
from ..feed.extra_pages import ExtraPage
from ..feed.nodes import ClusterStanding
from ..feed.remote import RemoteSource
from .cluster_source import ClusterSource
from .relay import RelayReader

__all__ = ["WatchedCluster", "open_source"]


class WatchedDriver(RemoteSource):
    """The driver of a cluster in another process. See `RemoteSource`."""

    @property
    def clock(self) -> WatchedDriver:
        """Its clock, which is read there."""
        return self

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes; the last ones that are known, if it does not answer."""
        return tuple(self.read_cluster().nodes)

    def read_cluster(self) -> ClusterStanding:
        """What its nodes are reached by."""
        return self.cluster() or ClusterStanding()


class WatchedCluster(ClusterSource):
    """A cluster in another process, node by node. See `ClusterSource`.

    Args:
        driver: Its driver.
    """

    def __init__(self, driver: WatchedDriver) -> None:
        self._relay = RelayReader(driver.read_cluster)
        self._driver_source = driver
        super().__init__(driver, driver, self._relay.read_feed, driver.read_cluster().link)

    def extra_page(self, path: str, accept: str) -> ExtraPage | None:
        """What the program of the driver serves beside the dashboard."""
        return self._driver_source.extra_page(path, accept)

    def close(self) -> None:
        """Ask no more. Idempotent."""
        self._relay.close()
        super().close()
        self._driver_source.close()


def open_source(manager: ManagerRecord) -> RemoteSource | WatchedCluster:
    """The source of a manager in another process: of all nodes, if it is the driver of a cluster.

    Raises:
        ConfigurationError: It can't be watched.
    """
    found = WatchedDriver(manager)
    try:
        return found if found.cluster() is None else WatchedCluster(found)
    except BaseException:
        found.close()
        raise
