"""Workflows that must not run on the loop: plain functions that block, in worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import Any

import msgspec

from .errors import ConfigurationError
from .limits import Limits
from .workflow import Workflow

__all__ = ["isolated"]


def isolated(workflow: Workflow, limits: Limits, threads: Callable[[], Executor]) -> Workflow:
    """The workflow as it is to be called: in a worker thread with `blocking=True`, else as it is."""
    if not limits.blocking:
        return workflow
    if workflow.is_async:
        raise ConfigurationError(
            f"{workflow.name} is an `async def` with blocking=True; write a plain `def`, it runs in a worker thread"
        )
    return msgspec.structs.replace(workflow, call=partial(_in_thread, workflow.call, threads), is_async=True)


async def _in_thread(call: Callable[..., Any], threads: Callable[[], Executor], *args: Any) -> Any:
    loop = asyncio.get_running_loop()
    work = loop.run_in_executor(threads(), partial(copy_context().run, call, *args))
    cancelled: asyncio.CancelledError | None = None
    # A thread can't be interrupted: being cancelled is remembered, and nothing goes on before the thread is done.
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()
        raise cancelled
    return work.result()
