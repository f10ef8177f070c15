"""Tasks and futures that say which step has completed them, and an event loop that runs one callback at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from ..virtual import VirtualLoop
from .observer import Observer

__all__ = ["ExploredFuture", "ExploredTask", "ExploringLoop", "pause_for"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ExploringLoop(VirtualLoop):
    """A virtual loop that one run after the other is made on. `current_run` is the run of now.

    Nothing runs it but `Trial`, which takes what is ready, one callback at a time.
    """

    current_run: Observer

    def __init__(self) -> None:
        super().__init__(None)
        self.coin = _never
        self.set_task_factory(_make_task)

    def create_future(self) -> asyncio.Future[Any]:
        """A future that says which step has completed it."""
        future = ExploredFuture(loop=self)
        future.key = self.current_run.base
        return future

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call `func` at once: what a thread does is part of the step that starts it."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a virtual time."""
        self.current_run.touch_clock()
        return super().call_at(when, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.current_run.cancel_timer(handle)
        super()._timer_handle_cancelled(handle)  # type: ignore[misc]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody awaits as a failure of the run."""
        self.current_run.errors.append((context.get("message", "an error in a callback"), context.get("exception")))

    def start(self, run: Observer) -> None:
        """Begin again at time 0 with nothing to do."""
        self.current_run = run
        self._ready.clear()
        self._scheduled.clear()
        self._timer_cancelled_count = 0
        self._now = 0.0

    def next_timer(self) -> float:
        """When the next timer is due; infinite if there is none."""
        return self._next_timer()

    def take_due(self, when: float) -> list[asyncio.Handle]:
        """Move the time, and take the timers that are due by then."""
        self._now = max(self._now, when)
        before, self._ready = self._ready, type(self._ready)()
        self._take_due_timers()
        due, self._ready = list(self._ready), before
        return due


def _never() -> bool:
    """No workflow runs inside of its sender's turn: that is one of the orders which are tried anyway."""
    return False


def _make_task(loop: Any, coro: Any, **options: Any) -> ExploredTask:
    return ExploredTask(coro, loop=loop, **options)


if TYPE_CHECKING:
    _Future = asyncio.Future[Any]  # what it is mixed with
else:
    _Future = object


class _Completion(_Future):
    """What tasks and futures of a run have in common. Whoever awaits one that is done goes on in a step of its own."""

    completed: int = -1  # the step that has completed it
    key: int = 0  # read by whoever looks whether it is done, written when it is
    cancel_key: int = 0  # written by whoever cancels it, read by the steps of a task

    def look(self) -> None:
        """Somebody looks whether it is done: note it."""
        self._run().read(self.key)

    def _run(self) -> Any:
        loop: Any = self.get_loop()
        return loop.current_run

    def done(self) -> bool:
        """Whether it is done, and note that somebody looks."""
        self.look()
        return super().done()

    def cancel(self, msg: Any = None) -> bool:
        """Cancel, and note who did."""
        self._run().write(self.cancel_key | self.key)
        return super().cancel(msg)

    def __await__(self) -> Generator[Any, None, Any]:
        if not super().done():
            return (yield from super().__await__())
        yield from pause_for(self.get_loop(), self.completed)
        return super().result()

    __iter__ = __await__


class ExploredFuture(_Completion, asyncio.Future[Any]):
    """A future of a run."""

    def set_result(self, result: Any) -> None:
        """Complete it."""
        super().set_result(result)
        self._complete()

    def set_exception(self, exception: Any) -> None:
        """Complete it with an error."""
        super().set_exception(exception)
        self._complete()

    def _complete(self) -> None:
        self.completed = self._run().index
        self.look()


class ExploredTask(_Completion, asyncio.Task[Any]):
    """A task of a run: a process."""

    pid: int = -1  # of its process, once that is known

    def cancelled(self) -> bool:
        """Whether it was cancelled, and note that somebody looks."""
        self.look()
        return super().cancelled()

    def exception(self) -> BaseException | None:
        """Its exception, and note that somebody looks."""
        self.look()
        return super().exception()

    def result(self) -> Any:
        """Its result, and note that somebody looks."""
        self.look()
        return super().result()

    def remove_done_callback(self, fn: Any, /) -> int:
        """Have it call this no longer: whether it would have, depends on whether it is done."""
        self.look()
        return super().remove_done_callback(fn)


def pause_for(loop: Any, step: int) -> Generator[Any, None, None]:
    """End this step, and go on in one that comes after `step`; nothing if this one is it, or comes from it."""
    run = loop.current_run
    if not run.follows(step):
        yield
        run.follow(step)
