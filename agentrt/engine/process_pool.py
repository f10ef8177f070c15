"""`isolation="process"`: a workflow in another process, where it can be stopped and its memory and time are bounded.

The function, the activity and the state are sent there, and the new state, or what the workflow raised, comes back.
What comes back is data (`codec.py`): no code of that process runs in this one. With `isolation="process-pickle"` it is
a pickle, and may run code here. A workflow of this kind takes (activity, state) and no ctx.

Past its deadline, or when its runtime is terminated, the process is killed, whatever it does there, together with the
processes that it has started; another takes its place. The runtimes of a manager share their processes, as many as
there are processors: waiting for a free one counts as working time.

They are fresh interpreters, which don't import the main module: a script needs no `if __name__ == "__main__":`. On
POSIX each is a session of its own; on Windows, which has none, processes that a workflow starts are not killed with it.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib.util
import json
import os
import pickle
import secrets
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError, ManagerClosedError
from ..limits import Limits
from . import codec
from .process_worker import CAN_LIMIT, TOKEN, Answer, Failure, Job, read_frame, write_frame
from .thread_pool import ThreadPool
from .workflow import Workflow

__all__ = ["ProcessEndedError", "Processes", "RemoteError", "move_to_process", "run_in_process"]

POSIX = os.name == "posix"
# Of a fresh interpreter. The path of this process comes first of all: nothing else could be imported.
START = (
    "import json, sys; sys.path[:], sys.argv[:], stdout = json.loads(sys.argv[1]); "
    "from agentrt.engine.process_worker import serve_jobs; serve_jobs(stdout)"
)


class ProcessEndedError(RuntimeError):
    """The process of a workflow ended before the workflow did: a crash, an exit, or too much processor time.

    It is the `__cause__` of the activity's `ProcessingError`.
    """


class RemoteError(RuntimeError):
    """A workflow in another process has raised an exception of a class that is not built in.

    It is the `__cause__` of the activity's `ProcessingError`. The traceback there is in its notes.

    Args:
        kind: The class of the exception, with its module.
        message: What `str` made of it there.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Processes:
    """The worker processes of one manager, each started when there is work and none is free.

    Args:
        name: The threads that wait for them are called by it.
    """

    def __init__(self, name: str = "agentrt") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._threads: ThreadPool | None = None
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False

    def threads(self) -> ThreadPool:
        """Return the threads that wait for the processes: as many as there may be processes.

        Raises:
            ManagerClosedError: The manager is closed.
        """
        with self._lock:
            self._check_open()
            if self._threads is None:
                self._threads = ThreadPool(f"{self._name}-process", os.cpu_count() or 2)
            return self._threads

    def run(self, call: Call) -> bytes:
        """Run a call in one of the processes, and return its answer. Blocks; one of `threads` only.

        Raises:
            ProcessEndedError: The process ended before.
            ManagerClosedError: The manager is closed.
        """
        process = self._take()
        try:
            with call.attach(process):
                answer = process.ask(call.job)
        except (EOFError, OSError):
            raise ProcessEndedError(_describe_end(self._end(process), call.cpu)) from None
        except BaseException:
            self._end(process)
            raise
        self._put_back(process)
        return answer

    def _take(self) -> _Process:
        while (idle := self._take_idle()) is not None:
            if idle.is_ready():
                return idle
            self._end(idle)
        process = _Process()
        with self._lock:
            self._all.add(process)
            closed = self._closed
        if closed:
            self._end(process)
            self._check_open()
        return process

    def _take_idle(self) -> _Process | None:
        with self._lock:
            self._check_open()
            return self._idle.pop() if self._idle else None

    def _put_back(self, process: _Process) -> None:
        with self._lock:
            if not (self._closed or process.killed):
                self._idle.append(process)
                return
        self._end(process)

    def _end(self, process: _Process) -> int:
        with self._lock:
            self._all.discard(process)
        return process.end()

    def _check_open(self) -> None:
        if self._closed:
            raise ManagerClosedError("the manager is closed: no process is started any more")

    def close(self) -> None:
        """Kill them all; whoever waits for one gets an error. Any thread."""
        with self._lock:
            self._closed = True
            threads, everyone, idle = self._threads, tuple(self._all), self._idle
            self._idle = []
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        for process in everyone:
            process.kill()
        for process in idle:  # the others are waited for by the threads that use them
            self._end(process)


class Call:
    """One call of a workflow in another process, which can be cancelled from another thread.

    Args:
        job: What is sent.
        cpu: The limit of processor seconds, for the message about a process that reached it.
    """

    def __init__(self, job: bytes, cpu: float | None) -> None:
        self.job = job
        self.cpu = cpu
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._cancelled = False

    @contextmanager
    def attach(self, process: _Process) -> Iterator[None]:
        """While it is open, `cancel` kills this process."""
        with self._lock:
            if self._cancelled:
                process.kill()
            self._process = process
        try:
            yield
        finally:
            with self._lock:
                self._process = None

    def cancel(self) -> None:
        """Kill the process that runs it, if one does. Any thread."""
        with self._lock:
            self._cancelled = True
            if self._process is not None:
                self._process.kill()


class _Process:
    """A fresh interpreter that runs one call after the other."""

    def __init__(self) -> None:
        self.killed = False
        self._lock = threading.Lock()
        stdout = _duplicate_stdout()
        argument = json.dumps([list(map(str, sys.path)), sys.argv, stdout])
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        try:
            self._popen = subprocess.Popen(
                [sys.executable, *flags, "-P", "-c", START, argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=POSIX,
                pass_fds=() if stdout is None else (stdout,),
            )
        finally:
            if stdout is not None:
                os.close(stdout)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._jobs, self._answers = self._popen.stdin, self._popen.stdout

    def ask(self, job: bytes) -> bytes:
        """Send a job and wait for the answer; `EOFError` or `OSError` if the process ends before."""
        token = secrets.token_bytes(TOKEN)
        write_frame(self._jobs, token + job)
        answer = read_frame(self._answers)
        if not secrets.compare_digest(answer[:TOKEN], token):
            raise ValueError("what another process sent is no answer to what it was asked")
        return answer[TOKEN:]

    def is_ready(self) -> bool:
        """Whether it waits for a job; False if it has ended, or has written what nobody asked for."""
        if not POSIX:
            return True
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        return not poll.poll(0)

    def kill(self) -> None:
        """Kill it, and on POSIX the processes that it has started. Any thread."""
        with self._lock:
            self.killed = True
            if self._popen.returncode is None:
                self._kill_session()

    def _kill_session(self) -> None:
        if not POSIX:
            self._popen.kill()
            return
        # Not waited for yet: even where it has ended, its number stands for no other session.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kill what is left of it and wait for that. Returns its exit code; below 0 the signal that ended it."""
        with self._lock:
            self.killed = True
            if self._popen.returncode is None:
                self._kill_session()
                self._popen.wait()
        for pipe in (self._jobs, self._answers):
            with suppress(OSError):  # what was not sent yet is sent to nobody
                pipe.close()
        return self._popen.returncode


def _duplicate_stdout() -> int | None:
    """What a workflow prints goes where this process prints to. Where that can't be passed on, to its stderr."""
    try:
        return os.dup(1) if POSIX else None
    except OSError:  # it is closed
        return None


# ---- the workflow


def move_to_process(workflow: Workflow, limits: Limits, processes: Processes) -> Workflow:
    """Return the workflow as one that runs in another process.

    Raises:
        ConfigurationError: It can't run there.
    """
    if importlib.util.find_spec("cloudpickle") is None:
        raise ConfigurationError(f'isolation={limits.isolation!r} needs cloudpickle: pip install "agentrt[process]"')
    if workflow.takes_context:
        raise ConfigurationError(
            f"{workflow.name} takes a ctx, which does not reach another process; with isolation={limits.isolation!r} "
            "a workflow takes (activity, state)"
        )
    if not CAN_LIMIT and (limits.memory or limits.cpu):
        raise ConfigurationError("memory and cpu can't be limited on this system; leave them out")
    call = partial(run_in_process, _Remote(workflow, limits), processes)
    return msgspec.structs.replace(workflow, call=call, is_async=True)


class _Remote:
    """A workflow as it is sent: its code, its limits, and the record types that its answers may have."""

    def __init__(self, workflow: Workflow, limits: Limits) -> None:
        from . import pickling

        self.function, self.limits = workflow.call, limits
        self._records = dict.fromkeys(codec.find_record_types([workflow.state, workflow.accepts, limits.accepts]))
        self._pickled_types: tuple[tuple[type, ...], bytes] = ((), b"")
        try:
            self._code = pickling.dumps(workflow.call, self._records)
        except Exception as error:
            raise ConfigurationError(f"{workflow.name} can't be sent to another process: {error}") from error

    def job(self, activity: Activity[Any], state: Any) -> tuple[bytes, tuple[type, ...]]:
        """The frame to send, and the types that the answer may have."""
        from . import pickling

        records = dict(self._records)
        arguments = pickling.dumps((msgspec.structs.replace(activity, receipt=None), state), records)
        types = tuple(records)
        if self._pickled_types[0] != types:
            self._pickled_types = (types, pickling.dumps(types))
        trusted = self.limits.isolation == "process-pickle"
        job = Job(self._code, arguments, self._pickled_types[1], self.limits.memory, self.limits.cpu, trusted)
        return pickle.dumps(job), types


async def run_in_process(remote: _Remote, processes: Processes, activity: Activity[Any], state: Any) -> Any:
    """Run a workflow in another process: return its new state, or raise what it has raised."""
    job, types = remote.job(activity, state)
    call = Call(job, remote.limits.cpu)
    try:
        answer = await asyncio.get_running_loop().run_in_executor(processes.threads(), processes.run, call)
    except BaseException:
        call.cancel()
        raise
    if remote.limits.isolation == "process-pickle":
        done, result = pickle.loads(answer)
        if not done:
            raise result
        return result
    return _open(answer, types)


def _open(data: bytes, types: tuple[type, ...]) -> Any:
    """What an answer holds. It was written by anybody: it is decoded as data, and nothing else."""
    try:
        answer = msgspec.msgpack.decode(data, type=Answer)
    except (ValueError, RecursionError) as error:  # the errors of msgspec are ValueErrors
        raise ValueError(f"what another process sent is no answer: {error}") from None
    if answer.error is not None:
        raise _exception_of(answer.error)
    return codec.decode(answer.value, types)


def _exception_of(failure: Failure) -> Exception:
    error: Exception = RemoteError(failure.kind, failure.message)
    cls = getattr(builtins, failure.kind, None)
    if isinstance(cls, type) and issubclass(cls, Exception):
        with suppress(TypeError):  # one that is not made of a text, such as UnicodeDecodeError
            error = cls(failure.message)
    error.add_note(f"in another process:\n{failure.traceback}")
    return error


def _describe_end(code: int, cpu: float | None) -> str:
    if CAN_LIMIT and cpu is not None and code == -signal.SIGXCPU:
        return f"it used more than {cpu:g} s of processor time"
    return f"its process ended with exit code {code}"
