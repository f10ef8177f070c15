"""Ray's actors, as the processes of a cluster call each other."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from ..frames import hide_from_debuggers
from .link import UnreachableError

__all__ = ["NAMESPACE", "Directory", "RayPeer", "WaitingThreads"]

NAMESPACE = "agentrt"
LOOK_WAIT = 4.0  # seconds for an answer to whoever looks at a node
PATIENCE = 5.0  # seconds that a thread waits for an answer
THREADS = 4

Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class WaitingThreads:
    """Threads that make calls which block, and give what they return to a loop; a few, made with the first call.

    A thread that waits in `ray.get` has an answer 0.1 ms sooner than a loop that Ray calls back: a sixth of a call
    between two processes of a machine.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._free: deque[None] | None = None  # an entry for each thread that has nothing to do

    def start(self, call: Callable[[], Any]) -> asyncio.Future[Any] | None:
        """Have a thread make a call; None if all of them wait for one. The thread of the loop that runs."""
        if self._free is None:
            self._free = self._make_threads()
        try:
            self._free.pop()
        except IndexError:
            return None
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.put((call, answer))
        return answer

    def _make_threads(self) -> deque[None]:
        for number in range(THREADS):
            thread = threading.Thread(target=self._run, name=f"agentrt-call-{number}", daemon=True)
            hide_from_debuggers(thread)
            thread.start()
        return deque([None] * THREADS)

    def _run(self) -> None:
        while True:
            self._make_call(*self._jobs.get())

    def _make_call(self, call: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        try:
            give = partial(answer.set_result, call())
        except BaseException as error:
            give = partial(answer.set_exception, error)
        assert self._free is not None
        self._free.append(None)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            answer.get_loop().call_soon_threadsafe(_give, answer, give)


def _give(answer: asyncio.Future[Any], give: Callable[[], None]) -> None:
    if not answer.done():
        give()


class Directory:
    """Which process each node is in, and how it is called.

    Args:
        cluster: What the names of its actors begin with.
        nodes: The names of the nodes.
    """

    def __init__(self, cluster: str, nodes: tuple[str, ...]) -> None:
        self.cluster = cluster
        self.places = {node: node for node in nodes}
        self._actors: dict[str, Any] = {}
        self._threads = WaitingThreads()

    def peer(self, node: str) -> RayPeer:
        """A node, as others reach it."""
        return RayPeer(self, node)

    async def call(self, host: str, method: str, *arguments: Any) -> Any:
        """What a method of the actor of a process returns.

        Raises:
            UnreachableError: The actor is not there, or has died meanwhile.
        """
        with self._reach(host):
            actor = self._actors.get(host) or await asyncio.to_thread(self._find, host)
            return await asyncio.wrap_future(getattr(actor, method).remote(*arguments).future())

    async def call_quickly(self, host: str, method: str, *arguments: Any) -> Any:
        """The same within `PATIENCE`, and sooner while there are threads for it."""
        answer = self._threads.start(partial(self.call_now, host, method, *arguments, timeout=PATIENCE))
        return await (self.call(host, method, *arguments) if answer is None else answer)

    def call_now(self, host: str, method: str, *arguments: Any, timeout: float = LOOK_WAIT) -> Any:
        """The same, while the thread waits: for a short while, and not on a loop's."""
        with self._reach(host):
            return ray.get(getattr(self._find(host), method).remote(*arguments), timeout=timeout)

    def _find(self, host: str) -> Any:
        found = self._actors.get(host)
        if found is None:
            found = self._actors[host] = ray.get_actor(f"{self.cluster}/{host}", NAMESPACE)
        return found

    @contextmanager
    def _reach(self, host: str) -> Iterator[None]:
        """Errors of Ray are those of a process that is not reached; its own come as they are."""
        try:
            yield
        except RayTaskError as error:
            if isinstance(error.cause, UnreachableError):
                raise error.cause from None
            raise
        except (RayError, ValueError) as error:
            self._actors.pop(host, None)
            raise UnreachableError(f"{host} does not answer: {type(error).__name__}") from error


class RayPeer:
    """A node, as another one or a driver reaches it over Ray."""

    def __init__(self, directory: Directory, node: str) -> None:
        self._directory = directory
        self._node = node

    async def send_batch(self, data: bytes) -> bytes:
        """Have the node take a batch."""
        answer: bytes = await self._directory.call_quickly(self._directory.places[self._node], "send_batch", data)
        return answer
