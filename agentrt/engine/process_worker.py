"""What runs in a worker process: read a job, run its workflow, write the answer, until nobody sends any more.

The answer is data, so that the process that reads it need not trust this one; a pickle only if the job asks for it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import math
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import msgspec

from . import codec

__all__ = [
    "CAN_LIMIT", "TOKEN", "Answer", "Failure", "Job", "limit_resources", "read_frame", "serve_jobs", "write_frame",
]  # fmt: skip

CAN_LIMIT = importlib.util.find_spec("resource") is not None  # not on Windows
LENGTH = struct.Struct("!Q")
TOKEN = 16  # bytes before a job, and before its answer: what a process has written on its own is not taken for one
LONGEST_FRAME = 2**30  # bytes
LONGEST_MESSAGE, LONGEST_TRACEBACK = 10_000, 50_000  # characters of an exception


class Job(msgspec.Struct):
    """A call of a workflow. The function, its arguments and the record types of its answer are pickles.

    Args:
        code: The function.
        arguments: The activity and the state.
        types: The types that the answer may have, see `codec.encode`.
        memory: Bytes that it may take; None for any.
        cpu: Processor seconds that it may take; None for any.
        trusted: Whether the answer is a pickle.
    """

    code: bytes
    arguments: bytes
    types: bytes
    memory: int | None
    cpu: float | None
    trusted: bool


class Failure(msgspec.Struct):
    """An exception as data: its class (with the module, unless it is built in), its message and its traceback."""

    kind: str
    message: str
    traceback: str


class Answer(msgspec.Struct):
    """The new state, encoded, or what the workflow raised."""

    value: bytes = b""
    error: Failure | None = None


# ---- frames, in both processes


def write_frame(file: IO[bytes], data: bytes) -> None:
    """Write data with its length."""
    if len(data) > LONGEST_FRAME:
        raise ValueError(f"{len(data):,} bytes are too many for another process; {LONGEST_FRAME:,} are allowed")
    for part in (LENGTH.pack(len(data)), data):
        left = memoryview(part)
        while left:
            left = left[file.write(left) :]
    file.flush()


def read_frame(file: IO[bytes]) -> bytes:
    """Read what `write_frame` wrote.

    Raises:
        EOFError: It ends before.
        ValueError: It is longer than a frame may be.
    """
    (length,) = LENGTH.unpack(_read(file, LENGTH.size))
    if length > LONGEST_FRAME:
        raise ValueError(f"another process sends {length:,} bytes; {LONGEST_FRAME:,} are allowed")
    return _read(file, length)


def _read(file: IO[bytes], n: int) -> bytes:
    parts = []
    while n:
        part = file.read(n)
        if not part:
            raise EOFError
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


# ---- the process


def serve_jobs(stdout: int | None) -> None:
    """Run jobs until the process that sends them is gone.

    Args:
        stdout: The file descriptor of what is printed; None prints to stderr.
    """
    jobs, answers = _take_pipes(stdout)
    own, waiting = os.getpid(), queue.SimpleQueue[bytes]()
    if hasattr(os, "register_at_fork"):
        # A fork of this process must not answer, nor keep the pipe open when this one has ended.
        os.register_at_fork(after_in_child=lambda: _close(answers, jobs))
    threading.Thread(target=_read_jobs, args=(jobs, waiting), daemon=True).start()
    while True:
        frame = waiting.get()
        answer = frame[:TOKEN] + run_job(pickle.loads(memoryview(frame)[TOKEN:]))
        if os.getpid() != own:  # a workflow has forked, and this is the fork that came back from it
            os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # closed, or replaced by the workflow
                stream.flush()
        write_frame(answers, answer)


def _take_pipes(stdout: int | None) -> tuple[IO[bytes], IO[bytes]]:
    """Take the two pipes for jobs and answers, and leave nothing to read and `stdout` to print to in their place."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2 if stdout is None else stdout, 1)
    if stdout is not None:
        os.close(stdout)
    return jobs, answers


def _close(*files: IO[bytes]) -> None:
    for file in files:
        with suppress(OSError):
            os.close(file.fileno())


def _read_jobs(jobs: IO[bytes], waiting: queue.SimpleQueue[bytes]) -> None:
    """Read jobs, also while a workflow runs: once the sender is gone, this process ends with all that it started."""
    try:
        while True:
            waiting.put(read_frame(jobs))
    except BaseException:
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def run_job(job: Job) -> bytes:
    """Run a workflow: its new state, or what it has raised."""
    try:
        call, (activity, state) = pickle.loads(job.code), pickle.loads(job.arguments)
        types = pickle.loads(job.types)
        with limit_resources(job.memory, job.cpu):
            new = call(activity, state)
            if inspect.isawaitable(new):
                new = asyncio.run(_wait_for(new))
        if job.trusted:
            return _pickle((True, new))
        return msgspec.msgpack.encode(Answer(codec.encode(new, types)))
    except BaseException as error:
        return _pickled_error(error) if job.trusted else msgspec.msgpack.encode(Answer(error=_failure(error)))


async def _wait_for(awaitable: Any) -> Any:
    return await awaitable


def _failure(error: BaseException) -> Failure:
    cls = type(error)
    kind = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return Failure(_text(kind), _text(_message(error))[:LONGEST_MESSAGE], _text(_trace(error))[-LONGEST_TRACEBACK:])


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as another:  # a user's class
        return f"(its message can't be read: {type(another).__name__})"


def _trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as another:  # a user's class
        return f"(its traceback can't be read: {type(another).__name__})"


def _text(text: str) -> str:
    """Text that can be written as UTF-8."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _pickle(value: Any) -> bytes:
    from . import pickling

    return pickling.dumps(value)


def _pickled_error(error: BaseException) -> bytes:
    text = _trace(error)
    error.__traceback__ = None
    error.add_note(f"in another process:\n{text}")
    try:
        packed = _pickle((False, error))
        pickle.loads(packed)
        return packed
    except Exception:  # a user's class: one that can't be pickled comes back as its text
        return pickle.dumps((False, RuntimeError(text)))


@contextmanager
def limit_resources(memory: int | None, cpu: float | None) -> Iterator[None]:
    """Limit what this process takes meanwhile: `memory` bytes and `cpu` whole seconds more than now."""
    if not CAN_LIMIT or (memory is None and cpu is None):
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
