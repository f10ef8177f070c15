"""`isolation="process"`: a workflow in another process, where it can be stopped and its memory and time are bounded.

The function, the activity and the state travel there and the new state travels back; nothing else does. A workflow of
this kind takes (activity, state) and no ctx. Past its deadline, or when the runtime is terminated, its process is
killed, whatever it does there, and another takes its place. The processes are shared by the runtimes of a manager, as
many as there are processors: waiting for a free one counts as working time.

They are fresh interpreters ("spawn"). In a script, what starts agents belongs under `if __name__ == "__main__":`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import math
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError, ManagerClosedError
from ..limits import Limits
from .workflow import Workflow

__all__ = ["ProcessEndedError", "Processes", "move_to_process", "run_in_process"]

NEEDS = ("pebble", "cloudpickle")
BOUNDED = importlib.util.find_spec("resource") is not None  # not on Windows


class ProcessEndedError(RuntimeError):
    """The process of a workflow came to its end before the workflow did: a crash, an exit, or too much processor time.

    It is the `__cause__` of the activity's `ProcessingError`.
    """


class Processes:
    """The worker processes of one manager, started when the first workflow needs one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: Any = None
        self._closed = False

    def pool(self) -> Any:
        """The running pool; a broken one is replaced. Takes a while the first time."""
        import multiprocessing

        from pebble import ProcessPool

        with self._lock:
            if self._closed:
                raise ManagerClosedError("the manager is closed: no process is started any more")
            if self._pool is None or not self._pool.active:
                self._pool = ProcessPool(os.cpu_count() or 2, context=multiprocessing.get_context("spawn"))
                assert self._pool.active  # being asked starts it
            return self._pool

    def close(self) -> None:
        """Kill them all; whoever waits is told by a cancelled future."""
        with self._lock:
            self._closed = True
            if self._pool is not None:
                self._pool.stop()
                # Joining takes some tenths of a second and this may be the loop. The interpreter waits for the thread.
                threading.Thread(target=self._pool.join, name="agentrt-processes-end").start()
                self._pool = None


def move_to_process(workflow: Workflow, limits: Limits, processes: Processes) -> Workflow:
    """The workflow as one that runs in another process."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"isolation='process' needs {' and '.join(missing)}: pip install \"agentrt[process]\"",
        )
    if workflow.takes_context:
        raise ConfigurationError(
            f"{workflow.name} takes a ctx, which does not reach another process; with isolation='process' a workflow "
            "takes (activity, state)"
        )
    if not BOUNDED and (limits.memory or limits.cpu):
        raise ConfigurationError("memory and cpu can't be limited on this system; leave them out")
    code = _packed(workflow)
    call = partial(run_in_process, code, processes, limits.memory, limits.cpu)
    return msgspec.structs.replace(workflow, call=call, is_async=True)


def _packed(workflow: Workflow) -> bytes:
    from . import pickling

    try:
        return pickling.dumps(workflow.call)
    except Exception as error:
        raise ConfigurationError(f"{workflow.name} can't be sent to another process: {error}") from error


async def run_in_process(
    code: bytes, processes: Processes, memory: int | None, cpu: float | None, activity: Activity[Any], state: Any
) -> Any:
    """Run a packed workflow in another process; its new state, or what it raised."""
    from pebble import ProcessExpired

    from . import pickling

    loop = asyncio.get_running_loop()
    job = pickling.dumps((msgspec.structs.replace(activity, receipt=None), state))
    # A virtual clock must not jump to the deadline meanwhile.
    with getattr(loop, "hold", nullcontext)():
        pool = await asyncio.to_thread(processes.pool)
        try:
            # Being cancelled cancels it there too, and that kills the process.
            done, result = await asyncio.wrap_future(pool.schedule(work, args=(code, job, memory, cpu)))
        except ProcessExpired as error:
            raise ProcessEndedError(_why_ended(error.exitcode, cpu)) from None
    answer = pickle.loads(result)
    if not done:
        raise answer
    return answer


def _why_ended(code: int, cpu: float | None) -> str:
    if BOUNDED and cpu is not None and code == -signal.SIGXCPU:
        return f"it used more than {cpu:g} s of processor time"
    return f"its process ended with exit code {code}"


# ---- in the other process


def work(code: bytes, job: bytes, memory: int | None, cpu: float | None) -> tuple[bool, bytes]:
    """Run a workflow: (True, its new state) or (False, what it raised)."""
    from . import pickling

    try:
        call, (activity, state) = pickle.loads(code), pickle.loads(job)
        with bounded(memory, cpu):
            new = call(activity, state)
            if inspect.isawaitable(new):
                new = asyncio.run(_waited(new))
        return True, pickling.dumps(new)
    except BaseException as error:
        return False, _raised(error)


async def _waited(awaitable: Any) -> Any:
    return await awaitable


def _raised(error: BaseException) -> bytes:
    from . import pickling

    text = "".join(traceback.format_exception(error))
    error.__traceback__ = None
    error.add_note(f"in another process:\n{text}")
    try:
        packed = pickling.dumps(error)
        pickle.loads(packed)
        return packed
    except Exception:  # anybody's exception: what can't travel is told in words
        return pickle.dumps(RuntimeError(text))


@contextmanager
def bounded(memory: int | None, cpu: float | None) -> Iterator[None]:
    """Limit what this process takes meanwhile: `memory` bytes and `cpu` whole seconds more than now."""
    if not BOUNDED or (memory is None and cpu is None):
        yield
        return
    import resource

    limits = {}
    if memory is not None:
        limits[resource.RLIMIT_AS] = _address_space() + memory
    if cpu is not None:
        limits[resource.RLIMIT_CPU] = math.ceil(time.process_time() + cpu)
    before = {which: resource.getrlimit(which) for which in limits}
    for which, limit in limits.items():
        resource.setrlimit(which, (limit, before[which][1]))
    try:
        yield
    finally:
        for which, old in before.items():
            resource.setrlimit(which, old)


def _address_space() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: the limit is then of all that the process has
        return 0
