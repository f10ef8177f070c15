"""What somebody says to a runtime that has asked for it and is paused until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from ..context import Context
from ..errors import AgentError
from ..receipt import Receipt
from ..runtime import Runtime

__all__ = ["answer", "pause_if_it_fails"]

S = TypeVar("S")


def answer(runtime: Runtime[S, Any], payload: Any) -> Receipt[S]:
    """Send what a runtime waits for, ahead of all else that waits, and resume it.

    Call it on any thread. A page does the same: inject it into the priority lane, then "Resume" or "Step".

    Args:
        runtime: A runtime that paused itself, as a graph does that asks and a model does whose tool waits.
        payload: The answer: a `Resume` or `ToolAnswers`.

    Returns:
        Its receipt.

    Raises:
        AgentError: What `Runtime.send_nowait` raises. The runtime is then as it was.

    >>> import agentrt
    >>> async def ask_first(activity, state, ctx):
    ...     if not state:
    ...         ctx.pause()
    ...     return (*state, activity.payload)
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("asks", (), ask_first)
    ...     receipts = [runtime.send_nowait(each) for each in ("question", "next")]
    ...     _ = receipts[0].result(5), answer(runtime, "answer")
    ...     receipts[1].result(5).state
    ('question', 'answer', 'next')
    """
    receipt = runtime.send_nowait(payload, priority=True)
    if runtime.depth[0] > 1:
        with suppress(AgentError):  # it was taken: nothing paused the runtime, or somebody has resumed it meanwhile
            runtime.first(receipt.id)
    runtime.resume()
    return receipt


@contextmanager
def pause_if_it_fails(waits: bool, ctx: Context) -> Iterator[None]:
    """Keep a runtime paused that waits for an answer, when an activity fails: what it waits for has not come."""
    try:
        yield
    except BaseException:
        if waits:
            ctx.pause("still waits for an answer")
        raise
