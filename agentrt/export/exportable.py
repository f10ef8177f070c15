"""What an export needs of a runtime or of a manager."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from ..clock import Clock
from ..events import Record, Ring
from ..metrics import Metrics
from ..snapshot import Snapshot

__all__ = ["Exportable", "ExportableManager", "ExportableRuntime", "manager_of", "records_of", "runtimes_of"]


class ExportableManager(Protocol):
    """A manager: the exports of it are about all its runtimes."""

    name: str
    clock: Clock
    ring: Ring

    def runtimes(self) -> Sequence[ExportableRuntime]:
        """All runtimes, in the order of their creation."""


class ExportableRuntime(Protocol):
    """A runtime: the exports of it are about this one alone."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def manager(self) -> ExportableManager:
        """The manager that runs it."""

    @property
    def metrics(self) -> Metrics:
        """Its figures."""

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """Its state, its status and what it processes, at one time."""


Exportable = ExportableRuntime | ExportableManager


def manager_of(target: Exportable) -> ExportableManager:
    """The manager itself, or the manager of the runtime."""
    return cast(ExportableManager, getattr(target, "manager", target))


def runtimes_of(target: Exportable) -> Sequence[ExportableRuntime]:
    """All runtimes of the manager, or the one runtime."""
    manager = manager_of(target)
    return manager.runtimes() if manager is target else [cast(ExportableRuntime, target)]


def records_of(target: Exportable) -> list[Record]:
    """The records that the ring still holds, oldest first: all of them, or those of the one runtime."""
    manager = manager_of(target)
    records: list[Record] = manager.ring.since(0)[0]
    if manager is target:
        return records
    id = cast(ExportableRuntime, target).id
    return [record for record in records if record.runtime == id]
