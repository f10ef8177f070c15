"""asyncio_compat.py: what is read of asyncio is what it is taken for, in this version of Python."""

import asyncio
import functools
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from agentrt.asyncio_compat import (
    awaited_future,
    children,
    current_tasks,
    forget_destruction,
    ready_handles,
    yield_future,
)


def on_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run an async test on a loop of its own."""

    @functools.wraps(test)
    def wrapped() -> None:
        asyncio.run(test())

    return wrapped


@on_loop
async def test_who_waits_for_what() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    async def wait() -> None:
        await future

    task = asyncio.ensure_future(wait())
    assert awaited_future(task) is None  # it has not begun
    await asyncio.sleep(0)
    assert awaited_future(task) is future
    both = asyncio.gather(task, asyncio.sleep(0))
    assert len(children(both) or ()) == 2
    assert children(future) is None
    future.set_result(None)
    await both
    assert awaited_future(task) is None


@on_loop
async def test_what_is_ready() -> None:
    loop = asyncio.get_running_loop()
    before = len(ready_handles(loop) or ())
    loop.call_soon(lambda: None)
    assert len(ready_handles(loop) or ()) == before + 1
    assert ready_handles(object()) is None  # type: ignore[arg-type]


@on_loop
async def test_another_task_is_the_current_one_for_a_while() -> None:
    loop, own = asyncio.get_running_loop(), asyncio.current_task()
    other = asyncio.ensure_future(asyncio.sleep(0))
    current_tasks[loop] = other
    try:
        assert asyncio.current_task() is other
    finally:
        current_tasks[loop] = own
    assert asyncio.current_task() is own
    await other


@on_loop
async def test_a_generator_may_yield_a_future_as_await_does() -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    class Waits:
        def __await__(self):  # type: ignore[no-untyped-def]
            yield yield_future(future)
            return future.result()

    loop.call_soon(future.set_result, 3)
    assert await Waits() == 3


@on_loop
async def test_a_task_that_is_thrown_away_says_nothing() -> None:
    loop = asyncio.get_running_loop()
    said: list[str] = []
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))

    async def wait() -> None:
        await loop.create_future()

    for forgotten in (True, False):
        task = loop.create_task(wait())
        await asyncio.sleep(0)
        if forgotten:
            forget_destruction(task)
        del task
        gc.collect()
        assert bool(said) is not forgotten
