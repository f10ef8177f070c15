"""An event loop on virtual time: waiting takes no real time, and one seed always gives the same run."""

import asyncio
import heapq
import math
import random
import selectors
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

from ..errors import ConfigurationError, DeadlockError
from ..frames import suspended_stack
from ..schema.numbers import optional_seconds
from ..schema.numbers import seconds as check_seconds
from ..schema.numbers import seed as check_seed

__all__ = ["StalledError", "VirtualLoop", "run"]

T = TypeVar("T")
MAX_SLEEP = 86_400.0  # real seconds: the system refuses to sleep much longer
Ts = TypeVarTuple("Ts")


class StalledError(DeadlockError):
    """Nothing is left to do, but tasks still wait. `waiting` maps the name of each task to the line where it waits.

    >>> async def main():
    ...     await asyncio.Event().wait()
    >>> try:
    ...     run(main())
    ... except StalledError as error:
    ...     len(error.waiting)
    1
    """

    tag = "stalled"

    def __init__(self, message: str, waiting: dict[str, str]) -> None:
        super().__init__(message, chain=tuple(waiting))
        self.waiting = waiting


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a virtual clock, which starts at 0 and jumps to the next timer when nothing is ready.

    The loop waits in real time for work in threads (`asyncio.to_thread`, `run_in_executor`, anything inside `hold()`).
    Meanwhile the clock stands still for `patience` real seconds; then it runs at the speed of a real clock, so that a
    timeout also ends the wait for a thread that hangs. Sockets are polled, but the clock does not wait for them: use
    `hold()`.

    When nothing is left to do and `run_until_complete` still waits, it raises `StalledError`, which says where each
    task waits. If other threads are alive, which could still schedule a callback, it first waits `patience` seconds.

    Args:
        seed: The callbacks that are ready run in a shuffled order, the same one for the same seed. None runs them first
            in, first out, as on any loop.
        patience: Real seconds.

    >>> loop = VirtualLoop()
    >>> loop.run_until_complete(asyncio.sleep(3600, "an hour later"))
    'an hour later'
    >>> loop.time()
    3600.0
    >>> loop.close()
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _selector: selectors.BaseSelector
    _timer_cancelled_count: int
    _stopping: bool
    _closed = True  # until it is made: one whose arguments are refused has nothing to close

    def __init__(self, seed: int | None = None, *, patience: float = 1.0) -> None:
        seed = check_seed("seed", seed)
        patience = check_seconds("patience", patience)
        super().__init__()
        self.patience = patience
        self._now = 0.0
        self._limit = math.inf
        chance = random.Random(seed)
        self._shuffle = None if seed is None else chance.shuffle
        # Whether a workflow may run inside the turn of its sender. With a seed this is random, to try both orders.
        self.coin: Callable[[], bool] | None = None if seed is None else lambda: chance.random() < 0.5
        self._own_sockets = len(self._selector.get_map())
        self._holds = 0
        self._held_since = 0.0
        self._on_idle: Callable[[], None] = self._wait_for_callbacks

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._now

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call it `delay` seconds from now; a delay too small for a float moves the clock by the smallest step."""
        when = self._now + delay
        if delay > 0 and when == self._now:
            when = math.nextafter(when, math.inf)
        return self.call_at(when, callback, *args, context=context)

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until `future` is done.

        Raises:
            StalledError: Nothing is left to do that could complete it.
        """
        task: asyncio.Future[T] = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        try:
            with self._when_idle(self._raise_stall):
                return super().run_until_complete(task)
        except StalledError:
            if task is not future:
                task.cancel()
            raise

    def run_until_idle(self, timeout: float = math.inf) -> None:
        """Run, timers included, until nothing is left to do.

        Args:
            timeout: Virtual seconds. Set it where a task repeats without end.

        Raises:
            TimeoutError: Something is left to do after that time.

        >>> loop = VirtualLoop()
        >>> _ = loop.call_later(60, print, "a minute later")
        >>> loop.run_until_idle()
        a minute later
        >>> loop.close()
        """
        self._limit = self._now + check_seconds("timeout", timeout)
        try:
            with self._when_idle(self.stop):
                self.run_forever()
        finally:
            self._limit = math.inf

    def advance(self, seconds: float) -> None:
        """Run everything that is due in the next `seconds` of virtual time, and stop the clock there.

        >>> loop = VirtualLoop()
        >>> _ = loop.call_later(60, print, "a minute later")
        >>> loop.advance(59)
        >>> loop.advance(1)
        a minute later
        >>> loop.close()
        """
        end = self.call_later(check_seconds("seconds", seconds, endless=False), self._stop_after_due)
        try:
            self.run_forever()
        finally:
            end.cancel()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait in real time while threads or sockets work that the loop does not know of.

        >>> async def main():
        ...     loop = asyncio.get_running_loop()
        ...     called = asyncio.Event()
        ...     thread = threading.Timer(0.001, loop.call_soon_threadsafe, [called.set])
        ...     with loop.hold():
        ...         thread.start()
        ...         await asyncio.wait_for(called.wait(), timeout=1)
        ...     return loop.time()
        >>> run(main())
        0.0
        """
        self._start_hold()
        try:
            yield
        finally:
            self._end_hold()

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run `func` in a thread. Until it is done the clock does not jump."""
        future = super().run_in_executor(executor, func, *args)
        self._start_hold()
        future.add_done_callback(self._end_hold)
        return future

    async def shutdown_default_executor(self, *timeout: float | None) -> None:
        """Wait in real time for the threads of the default executor."""
        with self.hold():
            await super().shutdown_default_executor(*timeout)

    def _start_hold(self) -> None:
        if not self._holds:
            self._held_since = time.monotonic()
        self._holds += 1

    def _end_hold(self, _done: object = None) -> None:
        self._holds -= 1

    @contextmanager
    def _when_idle(self, action: Callable[[], None]) -> Iterator[None]:
        previous, self._on_idle = self._on_idle, action
        try:
            yield
        finally:
            self._on_idle = previous

    def _run_once(self) -> None:
        """One turn of the loop: move the time, choose the order, then do what asyncio does."""
        self._find_work()
        self._take_due_timers()
        if self._shuffle is not None and len(self._ready) > 1:
            self._ready.extend(self._shuffle_ready())
        super()._run_once()  # type: ignore[misc]

    def _find_work(self) -> None:
        while not (self._ready or self._stopping):
            self._poll(0)
            when = self._next_timer()
            if self._ready or when <= self._now:
                return
            if self._holds:
                self._wait_for_threads(when)
            elif when < math.inf:
                self._jump(when)
            elif len(self._selector.get_map()) > self._own_sockets:
                self._poll(None)
            else:
                self._on_idle()

    def _jump(self, when: float) -> None:
        if when > self._limit:
            raise TimeoutError(f"at {self._limit:g} s something is left to do: a timer at {when:g} s")
        self._now = when

    def _poll(self, timeout: float | None) -> None:
        self._process_events(self._selector.select(timeout))  # type: ignore[attr-defined]

    def _next_timer(self) -> float:
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1
        return self._scheduled[0].when() if self._scheduled else math.inf

    def _take_due_timers(self) -> None:
        while self._next_timer() <= self._now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)

    def _stop_after_due(self) -> None:
        """Stop once everything has run that is ready now, or becomes ready without time passing."""
        if self._ready or self._next_timer() <= self._now:
            self.call_soon(self._stop_after_due)
        else:
            self.stop()

    def _shuffle_ready(self) -> list[asyncio.Handle]:
        """Take all ready callbacks in a shuffled order, except those of transports: asyncio relies on their order."""
        ready = [self._ready.popleft() for _ in range(len(self._ready))]  # other threads may append meanwhile
        in_order = iter([handle for handle in ready if _of_a_transport(handle)])
        self._shuffle(ready)  # type: ignore[misc]
        return [next(in_order) if _of_a_transport(handle) else handle for handle in ready]

    def _wait_for_threads(self, when: float) -> None:
        left = self._held_since + self.patience - time.monotonic()
        if left > 0:
            self._poll(left)
        else:
            self._pass_in_real_time(when)

    def _pass_in_real_time(self, when: float) -> None:
        start = time.monotonic()
        self._poll(None if when == math.inf else min(when - self._now, MAX_SLEEP))
        self._now = min(when, self._now + time.monotonic() - start)

    def _wait_for_callbacks(self) -> None:
        """What `run_forever` does when it is idle: sleep until another thread schedules a callback."""
        self._poll(None)

    def _raise_stall(self) -> None:
        if _other_threads_live():
            self._poll(self.patience)
        if not self._ready:
            waiting = {task.get_name(): _waiting_line(task) for task in asyncio.all_tasks(self)}
            lines = "".join(f"\n  {name} waits at {line}" for name, line in sorted(waiting.items()))
            raise StalledError(f"at {self._now:g} s nothing is left to do, but tasks still wait{lines}", waiting)


def run(coro: Coroutine[Any, Any, T], seed: int | None = None, *, timeout: float | None = None) -> T:
    """Run a coroutine on a new `VirtualLoop`, and close the loop, as `asyncio.run` does on a real one.

    Args:
        coro: The coroutine.
        seed: Of the loop; see `VirtualLoop`.
        timeout: Virtual seconds. Set it where a task repeats without end: such a loop always has something to do.

    Raises:
        StalledError: Nothing is left to do, but the coroutine has not returned.
        TimeoutError: It has not returned after `timeout`.

    >>> async def main():
    ...     await asyncio.sleep(86_400)
    ...     return "tomorrow"
    >>> run(main(), seed=1)
    'tomorrow'
    """
    try:
        seed, timeout = check_seed("seed", seed), optional_seconds("timeout", timeout)
    except ConfigurationError:
        coro.close()
        raise
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        return runner.run(_with_timeout(coro, timeout))


async def _with_timeout(coro: Coroutine[Any, Any, T], timeout: float | None) -> T:
    async with asyncio.timeout(timeout):
        return await coro


def _waiting_line(task: asyncio.Task[Any]) -> str:
    """The innermost line in which a task waits."""
    frames = suspended_stack(task)
    return f"{frames[-1].file}:{frames[-1].line}" if frames else "its end"


def _of_a_transport(handle: asyncio.Handle) -> bool:
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return isinstance(owner, asyncio.BaseTransport | asyncio.BaseProtocol | asyncio.AbstractEventLoop)


def _other_threads_live() -> bool:
    """Whether threads are alive, besides this one and those of asyncio's executors, that could schedule a callback."""
    me = threading.current_thread()
    return any(thread is not me and not thread.name.startswith("asyncio_") for thread in threading.enumerate())
