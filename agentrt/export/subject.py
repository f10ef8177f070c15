"""What an export needs of a runtime or of a manager."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from ..clock import Clock
from ..events import Record, Ring
from ..metrics import Metrics
from ..snapshot import Snapshot

__all__ = ["Manager", "Runtime", "Subject", "manager_of", "records_of", "runtimes_of"]


class Manager(Protocol):
    """A manager: the exports of it are about all its runtimes."""

    name: str
    clock: Clock
    ring: Ring

    def runtimes(self) -> Sequence[Runtime]:
        """All runtimes, in the order of their creation."""


class Runtime(Protocol):
    """A runtime: the exports of it are about this one alone."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def manager(self) -> Manager:
        """The manager that runs it."""

    @property
    def metrics(self) -> Metrics:
        """Its figures."""

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """Its state, its status and what it processes, at one time."""


Subject = Runtime | Manager


def manager_of(subject: Subject) -> Manager:
    """The manager itself, or the manager of the runtime."""
    return cast(Manager, getattr(subject, "manager", subject))


def runtimes_of(subject: Subject) -> Sequence[Runtime]:
    """All runtimes of the manager, or the one runtime."""
    manager = manager_of(subject)
    return manager.runtimes() if manager is subject else [cast(Runtime, subject)]


def records_of(subject: Subject) -> list[Record]:
    """The records that the ring still holds, oldest first: all of them, or those of the one runtime."""
    manager = manager_of(subject)
    records: list[Record] = manager.ring.since(0)[0]
    return records if manager is subject else [each for each in records if each.runtime == cast(Runtime, subject).id]
