"""Resources: which machine of a cluster has room for a runtime that needs a GPU, or whatever else is counted there."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..interruptible import InterruptibleEvent
from ..schema.numbers import MOST, number, refuse
from .placement import score

__all__ = ["Machine", "Needs", "Reservations", "check_needs"]

Needs = Mapping[str, float]  # how much of which resource, by its name: {"GPU": 1}
LOOK = 0.1  # seconds between two looks whether there is room
SAY = 1.0  # seconds until somebody who waits is told why
logger = logging.getLogger(__name__)


class Machine(NamedTuple):
    """Where the process of a node runs. Several nodes may share one."""

    name: str
    resources: dict[str, float]  # what it has in all, by name


def check_needs(needs: Needs) -> Needs:
    """Return what a runtime needs.

    Raises:
        ConfigurationError: It is no dict of names and numbers over 0.
    """
    for name, count in needs.items():
        if not isinstance(name, str):
            raise refuse("placement", dict(needs), 'names of resources with numbers above 0, as {"GPU": 1}')
        number(f"placement[{name!r}]", count, "a number above 0", 0.0, MOST, above=True)
    return dict(needs)


class Reservations:
    """What runtimes have been given of the resources of their machines.

    It counts what was asked for with `placement=`, in this cluster. What other programs use there it does not know.

    Args:
        manager: The driver, a `ClusterManager`.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._held: dict[str, tuple[str, Needs]] = {}  # by id: the node that it was given, and what it needs
        self._lock = threading.Lock()
        self._pause = InterruptibleEvent()

    @contextmanager
    def reserve(self, id: str, needs: Needs, wait: float | None) -> Iterator[str]:
        """Reserve what a runtime needs, and give the name of its node. While there is no room, wait.

        It is given back if the runtime can't be made.

        Args:
            id: Which runtime.
            needs: What it needs.
            wait: Seconds to wait for room; None for as long as it takes.

        Raises:
            ConfigurationError: No machine has that much, or there was no room in time.
        """
        self._check_size(needs)
        node = self._wait_for_node(id, needs, wait)
        try:
            yield node
        except BaseException:
            self._held.pop(id, None)
            raise

    def _wait_for_node(self, id: str, needs: Needs, wait: float | None) -> str:
        began = time.monotonic()
        told = False
        while (node := self._find(id, needs)) is None:
            waited = time.monotonic() - began
            words = f"no node has {_list_needs(needs)} free for {id!r}; {self._usage(needs)}"
            if wait is not None and waited >= wait:
                raise ConfigurationError(f"{words}. Terminate one, add a node, or wait for longer than {wait:g} s")
            if waited >= SAY and not told:
                told = True
                logger.warning("%s. It is waited for", words)
            self._pause.wait(LOOK if wait is None else min(LOOK, max(wait - waited, 0.001)))
        return node

    def _find(self, id: str, needs: Needs) -> str | None:
        """Of the nodes with room the one that its id leads to, else that with the highest score."""
        with self._lock:
            fitting = self._fitting(id, needs)
            if not fitting:
                self._release_dead()
                fitting = self._fitting(id, needs)
            if not fitting:
                return None
            first = self._manager.placement.node_of(id)
            node = first if first in fitting else max(fitting, key=lambda node: score(node, id))
            self._held[id] = node, needs
            return node

    def _fitting(self, id: str, needs: Needs) -> list[str]:
        machines, placement = self._manager.engine.machines(), self._manager.placement
        free = {each.name: Counter(each.resources) for each in machines.values()}
        for other, (node, held) in self._held.items():
            machine = machines.get(placement.pins.get(other, node))
            if other != id and machine is not None:
                free[machine.name].subtract(held)
        return [node for node in self._manager.nodes if _has(free[machines[node].name], needs)]

    def _release_dead(self) -> None:
        placement = self._manager.placement
        for id in list(self._held):
            if id in placement.lost or id not in self._manager:
                del self._held[id]

    def _check_size(self, needs: Needs) -> None:
        of = self._manager.engine.machines()
        machines = {of[node].name: of[node] for node in self._manager.nodes}
        if not any(_has(each.resources, needs) for each in machines.values()):
            parts = {name: {key: each.resources.get(key, 0) for key in needs} for name, each in machines.items()}
            has = "; ".join(f"{name} has {_list_needs(part)}" for name, part in parts.items())
            raise ConfigurationError(f"no machine of this cluster has {_list_needs(needs)}: {has}")

    def _usage(self, needs: Needs) -> str:
        holders = [id for id, (_, held) in list(self._held.items()) if held.keys() & needs.keys()]
        names = ", ".join(map(repr, holders[:5])) + (f" and {len(holders) - 5} more" if len(holders) > 5 else "")
        return f"{names or 'nobody'} {'has' if len(holders) < 2 else 'have'} them"


def _has(resources: Mapping[str, float], needs: Needs) -> bool:
    return all(resources.get(name, 0) >= count for name, count in needs.items())


def _list_needs(needs: Needs) -> str:
    return " and ".join(f"{count:g} {name}" for name, count in needs.items()) or "anything"
