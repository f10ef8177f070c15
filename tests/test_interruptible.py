"""interruptible.py: what threads wait with does what that of the standard library does."""

import ast
import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import agentrt
from agentrt.interruptible import InterruptibleCondition, InterruptibleEvent, InterruptibleFuture, run_on

TIMEOUT = 60
LOCKED_IN_PYTHON = {"Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "Queue"}
PACKAGE = Path(agentrt.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


@contextmanager
def thread(call: Callable[[], object]) -> Iterator[threading.Thread]:
    """A thread that makes a call, and has ended afterwards."""
    started = threading.Thread(target=call, daemon=True)
    started.start()
    yield started
    started.join(TIMEOUT)
    assert not started.is_alive()


def test_an_event_wakes_all_who_wait() -> None:
    event, woken = InterruptibleEvent(), threading.Semaphore(0)

    def wait() -> None:
        assert event.wait(TIMEOUT)
        woken.release()

    with thread(wait), thread(wait):
        event.set()
    assert woken.acquire(timeout=TIMEOUT)
    assert woken.acquire(timeout=TIMEOUT)


def test_an_event_that_was_cleared_is_waited_for_again() -> None:
    event = InterruptibleEvent()
    event.set()
    assert event.wait(0)
    event.clear()
    assert not event.is_set()
    assert not event.wait(0.001)
    assert not event.wait(-1)


def test_a_condition_wakes_as_many_as_it_is_told_oldest_first() -> None:
    condition, order = InterruptibleCondition(), list[int]()

    def wait(n: int) -> None:
        with condition:
            waiting.release()
            assert condition.wait(TIMEOUT)
            order.append(n)

    waiting = threading.Semaphore(0)
    with thread(lambda: wait(1)) as first:
        assert waiting.acquire(timeout=TIMEOUT)
        with thread(lambda: wait(2)):
            assert waiting.acquire(timeout=TIMEOUT)
            with condition:
                condition.notify()
            first.join(TIMEOUT)
            assert order == [1]
            with condition:
                condition.notify_all()
    assert order == [1, 2]


def test_a_future_has_its_result_or_says_that_it_took_too_long() -> None:
    future = InterruptibleFuture[int]()
    with pytest.raises(TimeoutError):
        future.result(0.001)
    with pytest.raises(TimeoutError):
        future.exception(0)
    with thread(lambda: future.set_result(5)):
        assert future.result(TIMEOUT) == 5
    assert future.exception() is None
    failed = InterruptibleFuture[int]()
    failed.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        failed.result()
    assert list(concurrent.futures.as_completed([future, failed], 1)) != []


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in another thread."""
    loop = asyncio.new_event_loop()
    with thread(loop.run_forever):
        yield loop
        loop.call_soon_threadsafe(loop.stop)
    loop.close()


def test_a_coroutine_on_a_loop_gives_its_result_its_error_or_is_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise ValueError("no")

    ended = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(TIMEOUT)
        finally:
            ended.set()

    async def cancel() -> None:
        raise asyncio.CancelledError

    assert run_on(loop, asyncio.sleep(0, "done")).result(TIMEOUT) == "done"
    with pytest.raises(ValueError, match="no"):
        run_on(loop, fail()).result(TIMEOUT)
    with pytest.raises(concurrent.futures.CancelledError):
        run_on(loop, cancel()).result(TIMEOUT)
    future = run_on(loop, wait())
    run_on(loop, asyncio.sleep(0)).result(TIMEOUT)
    assert future.cancel()
    assert ended.wait(TIMEOUT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nobody_waits_with_what_an_exception_can_leave_locked(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        call = node.func if isinstance(node, ast.Call) else None
        call = call.value if isinstance(call, ast.Subscript) else call
        name = ast.unparse(call) if call is not None else ""
        module, _, last = name.rpartition(".")
        is_future = last == "Future" and module in ("", "futures", "concurrent.futures")
        if is_future or (module in ("threading", "queue") and last in LOCKED_IN_PYTHON):
            found.append(f"line {node.lineno}: {name}")
        if last == "run_coroutine_threadsafe":
            found.append(f"line {node.lineno}: {name}, not run_on")
    assert found == []
