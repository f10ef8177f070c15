"""Circles: agents on several nodes that wait for each other, so that none of them can go on.

On one node a wait that would close a circle is refused before anything is sent. Over nodes nobody sees all who wait:
who has waited for a while for another node asks whom that one waits for, and so on (Chandy, Misra and Haas, 1983). A
circle that is found is asked for once more: one that still stands as it was can't end by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ..engine.deadlock import CURRENT, Branch, awaits
from ..errors import AgentError, DeadlockError

__all__ = ["Circles", "read_waits"]

FIRST, LAST = 0.5, 5.0  # seconds between two looks at the same wait
Waits = tuple[int, tuple[str, ...]]  # the number of the activity that a runtime is at, and whom it waits for


class RemoteWait(msgspec.Struct):
    """An activity of this node that waits for a runtime of another one.

    Attributes:
        waiter: The entry of its runtime.
        activity: Its number.
        target: The id of the other one.
        due: When to look, on the clock of the loop.
        pause: Seconds until the look after that.
        chain: The circle that was found before.
    """

    waiter: Any
    activity: int
    target: str
    due: float
    pause: float = FIRST
    chain: tuple[str, ...] = ()


class Circles:
    """Looks for circles that go through this node.

    Args:
        courier: Asks other nodes, and ends a wait with an error.
    """

    def __init__(self, courier: Any) -> None:
        self._courier = courier
        self._waits: dict[int, RemoteWait] = {}  # by the number of what is waited for
        self._is_looking = False

    def watch(self, number: int, target: str) -> None:
        """The activity that runs here begins to wait for what was sent with this number. Any thread."""
        current = CURRENT.get()
        waiter: Any = current.entry if isinstance(current, Branch) else current
        if current is None or current.current is None or waiter.current is not current.current:
            return
        loop = self._courier.host.loop
        self._waits[number] = RemoteWait(waiter, current.current.id, target, loop.time() + FIRST)
        if not self._is_looking:
            self._is_looking = True
            self._courier.host.post(lambda: self._courier.deliveries.start(self._look_again()))

    def forget(self, number: int) -> None:
        """That wait is over."""
        self._waits.pop(number, None)

    async def _look_again(self) -> None:
        try:
            while self._waits:
                await asyncio.sleep(FIRST)
                now = self._courier.host.loop.time()
                for number, wait in [each for each in self._waits.items() if each[1].due <= now]:
                    await self._look(number, wait)
        finally:
            self._is_looking = False

    async def _look(self, number: int, wait: RemoteWait) -> None:
        wait.due += wait.pause
        wait.pause = min(LAST, wait.pause * 2)
        current = wait.waiter.current
        if current is None or current.id != wait.activity:
            self.forget(number)
            return
        found: dict[str, Waits] = {}
        chain = await self._find(wait, found)
        if not chain or number not in self._waits:
            return
        # One of them is enough: the youngest, or whoever finds the same circle twice.
        is_mine = all(found[id][0] <= wait.activity for id in chain[1:-1]) or chain == wait.chain
        wait.chain = chain
        if is_mine and [await self._ask(id) for id in chain[1:-1]] == [found[id] for id in chain[1:-1]]:
            self._courier.end_wait(number, _explain(chain))

    async def _find(self, wait: RemoteWait, found: dict[str, Waits]) -> tuple[str, ...]:
        """The ids of a circle, from the waiter to itself; none if there is none."""
        goal, before, following = wait.waiter.id, {wait.target: wait.waiter.id}, [wait.target]
        for id in following:
            found[id] = await self._ask(id)
            for other in found[id][1]:
                if other == goal:
                    return _walk_back(goal, id, before)
                if other not in before:
                    before[other] = id
                    following.append(other)
        return ()

    async def _ask(self, id: str) -> Waits:
        """At what a runtime is, and whom that waits for."""
        promise = self._courier.command(self._courier.node_of(id), "waits", id)
        await promise.wait()
        return (0, ()) if isinstance(promise.value, AgentError) else promise.value[0]


def read_waits(entry: Any) -> Waits:
    """At what a runtime of this node is, and whom that waits for."""
    with entry.host.lock:
        current = entry.current
        return (0, ()) if current is None else (current.id, tuple(each.id for each in awaits(entry)))


def _walk_back(goal: str, last: str, before: dict[str, str]) -> tuple[str, ...]:
    chain = [goal]
    while last != goal:
        chain.append(last)
        last = before[last]
    return (goal, *reversed(chain))


def _explain(chain: tuple[str, ...]) -> DeadlockError:
    return DeadlockError(
        f"{' -> '.join(chain)}: {chain[0]!r} would wait for itself; don't await it here: use `ctx.send` without "
        "awaiting its receipt, or answer later with another activity",
        chain=chain,
        runtime=chain[0],
    )
