"""What many tests of the core share: virtual time, and the smallest workflows."""

import asyncio
import functools
import inspect
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from agentrt import AgentError, RuntimeManager
from agentrt.testing.virtual import run
from tests.harness.wait import PATIENCE

MAX_TIME = 1e6  # virtual seconds: the end of a test that repeats something without end


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a virtual loop, with a manager as its first argument. At the end the fates must add up."""

    async def main(*args: Any, **options: Any) -> None:
        async with RuntimeManager(loop="current", seed=1) as manager:
            await test(manager, *args, **options)
        fates = manager.fates()
        assert fates.adds_up, fates
        assert fates.pending == 0, fates

    @functools.wraps(test)
    def wrapped(*args: Any, **options: Any) -> None:
        run(main(*args, **options), timeout=MAX_TIME)

    signature = inspect.signature(test)
    wrapped.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return wrapped


async def add(activity: Any, state: int) -> int:
    return state + activity.payload


async def collect(activity: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*state, activity.payload)


async def fail(activity: Any, state: Any) -> Any:
    raise ValueError(f"no {activity.payload}")


async def forever(activity: Any, state: Any) -> Any:
    await asyncio.Event().wait()


async def turns(n: int = 20) -> None:
    """Let the loop run what is ready, for `n` turns."""
    for _ in range(n):
        await asyncio.sleep(0)


class Gate:
    """A workflow that waits: it sets `entered` when it starts, and goes on when the test sets `open`."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.seen: list[Any] = []

    async def __call__(self, activity: Any, state: Any) -> Any:
        self.seen.append(activity.payload)
        self.entered.set()
        await self.open.wait()
        return (*state, activity.payload) if isinstance(state, tuple) else activity.payload


def together(n: int, call: Callable[[int], Any]) -> list[Any]:
    """Call on n threads at once; what each returned or raised."""
    barrier = threading.Barrier(n)
    results: list[Any] = [None] * n

    def take_part(i: int) -> None:
        barrier.wait(PATIENCE)
        try:
            results[i] = call(i)
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=take_part, args=[i]) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return results


def refusal_in_a_fork(call: Callable[[], object]) -> str:
    """The message of the `AgentError` that a call raises in a copy of this process; empty if it raises none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        message = "something else went wrong"
        try:
            call()
            message = ""
        except AgentError as error:
            message = str(error)
        finally:
            os.write(writing, message.encode())
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as answer:
        message = answer.read()
    os.waitpid(pid, 0)
    return message


def still_picture(runtime: Any) -> str:
    """What a page shows of a runtime that is not live, as HTML."""
    bundle = runtime._repr_mimebundle_()
    return str((bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"])
