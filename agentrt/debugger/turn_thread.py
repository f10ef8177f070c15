"""A thread that runs a workflow while the loop's thread waits for it: there it can be stopped at any line.

`with ctx.step(...)` is no `await`: on the loop's own thread it could only be stopped together with the whole loop. So a
workflow that has breakpoints inside takes its turns on a thread of its own. During a turn the loop's thread waits, and
everything is as if that thread ran it: one of the two runs at a time. Where the workflow is to stop, its thread waits,
and the loop goes on with the other runtimes.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from functools import partial
from typing import Any

from ..asyncio_compat import set_loop_thread
from ..engine.protocols import Host
from ..interruptible import InterruptibleEvent
from .stop import StopGate

__all__ = ["TurnThread"]

Turn = Callable[[], Any]
END_GRACE = 1.0  # real seconds


class TurnThread:
    """The thread of one run. Made and used on the loop's thread, but for `park`."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self._begin, self._back = InterruptibleEvent(), InterruptibleEvent()
        self._given: Any = None  # to the thread: a turn, or the action at which it goes on
        self._returned: Any = None  # by the thread: a gate, or the result of a turn
        # The numbers of what was given last, of what the thread has taken last, and of what it has given back. They
        # decide, and the events only wake: an exception from outside may come between any two lines of both threads.
        self._number = self._begun = self._ended = 0
        self._pressed: BaseException | None = None  # came to the thread between two turns
        self._waiting = host.thread  # the loop's own thread
        self._variables = copy_context()
        self._hooks = sys.get_asyncgen_hooks()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int:
        """The identifier of the thread."""
        return self._thread.ident or 0

    @property
    def is_running(self) -> bool:
        """Whether the loop's thread waits for this one."""
        return self._host.thread == self.ident

    def end(self) -> None:
        """End the thread."""
        self._given = None
        self._number += 1
        self._begin.set()
        self._thread.join(END_GRACE)

    # ---- the loop's thread

    @types.coroutine
    def call(self, function: Callable[..., Any], *args: Any) -> Generator[Any, Any, Any]:
        """Call a function there; returns what it returns."""
        value, error = yield from self._take_turn(partial(function, *args))
        if error is not None:
            raise error
        return value

    @types.coroutine
    def drive(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Await a coroutine, each of whose turns is taken there."""
        turn: Turn = partial(coroutine.send, None)
        while True:
            asked, error = yield from self._take_turn(turn)
            if isinstance(error, StopIteration):
                return error.value
            if error is not None:
                raise error
            try:
                turn = partial(coroutine.send, (yield asked))
            except BaseException as thrown:
                turn = partial(coroutine.throw, thrown)

    def _take_turn(self, turn: Turn) -> Generator[Any, Any, Any]:
        """Take one turn, waiting wherever it is stopped; returns its value and what it has raised."""
        returned = self._give(turn)
        while isinstance(returned, StopGate):
            try:
                action = yield from returned.wait().__await__()
            except BaseException as error:  # its time is over, its runtime is terminated, or it is thrown away
                action = error
            returned = self._give(action)
        return returned

    def _give(self, given: Any) -> Any:
        """Let the thread run until it is stopped or its turn is over; returns what it returns."""
        self._given, self._waiting, number = given, self._host.thread, self._number + 1
        while True:
            try:
                self._number = number
                while self._ended != number:
                    if self._begun != number:
                        self._begin.set()
                    self._back.wait()
                    self._back.clear()
                return self._returned
            except BaseException as error:  # the stop button: it is meant for what runs
                if self._number != number:
                    raise
                kind = ctypes.py_object(type(error))
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), kind)

    # ---- the thread itself

    def park(self, gate: StopGate) -> Any:
        """Stop here until the gate is open; returns its action."""
        return self._wait_for(gate)

    def _run(self) -> None:
        asyncio._set_running_loop(self._host.loop)
        sys.set_asyncgen_hooks(*self._hooks)
        while True:
            try:
                turn = self._take()
                if turn is None:
                    return
                self._give_back(self._variables.run(_step_workflow, turn, self._pressed))
            except BaseException as error:  # the stop button, outside of the workflow
                self._pressed = error
                if self._ended != self._begun:
                    self._give_back((None, error))
                self._back.set()

    def _wait_for(self, returned: Any) -> Any:
        """Give the loop's thread its turn back, and wait for the next one."""
        self._give_back(returned)
        return self._take()

    def _give_back(self, returned: Any) -> None:
        self._pressed = None
        self._returned = returned
        self._stand_in(self._waiting)
        self._ended = self._begun
        self._back.set()

    def _take(self) -> Any:
        while self._begun == self._number:
            self._begin.wait()
            self._begin.clear()
        self._begun = self._number
        if self._given is not None:  # else it is to end
            self._stand_in(threading.get_ident())
        return self._given

    def _stand_in(self, thread: int) -> None:
        """Say which thread is the loop's."""
        loop: Any = self._host.loop
        self._host.thread = thread
        if loop.get_debug():  # then asyncio compares
            set_loop_thread(loop, thread)


def _step_workflow(turn: Turn, pressed: BaseException | None) -> tuple[Any, BaseException | None]:
    if pressed is not None:
        return None, pressed
    try:
        return turn(), None
    except BaseException as error:
        return None, error
