"""The names of what takes steps: tasks, runtimes, callbacks and the clock; the same ones in every run."""

from __future__ import annotations

from typing import Any

__all__ = ["CLOCK", "MAIN", "Process", "ProcessNames"]

MAIN = 1  # the number of the scenario
CLOCK = 0  # the number of the clock, which makes timers due


class Process:
    """What takes steps in one run, one after the other."""

    __slots__ = ("base", "cause", "last", "numbers", "offspring", "parent", "pid", "task")

    def __init__(self, pid: int, task: Any = None, base: int = 0, parent: int = -1) -> None:
        self.pid = pid
        self.parent = parent
        self.task = task
        self.base = base  # what each of its steps reads
        self.last = -1  # its last step
        self.cause = 0  # the steps without which its next one can't be taken, as bits
        self.offspring: dict[str, int] = {}  # how many processes of each name it has begun
        self.numbers = 0  # how many ids it has drawn


class ProcessNames:
    """Numbers processes by where they come from, so that one is found again in another run, and names them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        self.labels: list[str] = []
        self.number(("clock",), "the clock")

    def __len__(self) -> int:
        return len(self.labels)

    def number(self, path: tuple[object, ...], label: str) -> int:
        """The number of the process that comes from there. Its name is the label, made unique."""
        pid = self._numbers.get(path)
        if pid is None:
            pid = self._numbers[path] = len(self.labels)
            names, n, name = set(self.labels), 1, label
            while name in names:
                n += 1
                name = f"{label} {n}"
            self.labels.append(name)
        return pid

    def offspring(self, parent: Process, name: str) -> int:
        """The number of the next process of this name that `parent` begins."""
        n = parent.offspring[name] = parent.offspring.get(name, 0) + 1
        label = name if n == 1 else f"{name} {n}"
        if parent.pid > MAIN:
            label = f"{self.labels[parent.pid]}/{label}"
        return self.number(("begun", parent.pid, name, n), label)
