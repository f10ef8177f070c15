"""The same agents on several machines, on Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..optional import explain_missing
from .placement import Placement

if TYPE_CHECKING:
    from .cluster import ClusterManager

__all__ = ["ClusterManager", "Placement", "connect"]


def connect(
    address: str | None = None,
    *,
    nodes: int | None = None,
    journal: Any = None,
    name: str = "cluster",
    **options: Any,
) -> ClusterManager:
    """Start or join a cluster, and return the manager of its agents.

    Args:
        address: That of a running Ray cluster, or "auto" for the one of this machine. None starts one here.
        nodes: How many nodes; one on each of Ray's if left out.
        journal: The address of a PostgreSQL ("postgresql://..."), in which each node has a journal of its name. Or the
            path of a file, of which each node gets one of its own beside it: on one machine. Or a function of the name
            of a node that opens its journal. Without it agents live in memory.
        name: What it is called on its page, and by `agentrt watch` in another terminal.
        **options: Those of `RuntimeManager`, for each node: `ring`, `seed`.

    Raises:
        MissingPackageError: Ray is not installed.
    """
    with explain_missing("agents on several machines need", extra="distributed"):
        from .cluster import ClusterManager
        from .ray_engine import RayEngine
    manager = ClusterManager(RayEngine(address, nodes, journal, options), name=name)
    manager.locate_runtimes()
    return manager


def __getattr__(name: str) -> Any:
    # What watches a cluster from another process is in this package too, and needs nothing of the extra.
    if name == "ClusterManager":
        with explain_missing("agents on several machines need", extra="distributed"):
            from .cluster import ClusterManager
        return ClusterManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
