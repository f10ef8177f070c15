"""loop.py: a loop on a thread of its own, or the one that runs."""

import asyncio
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from agentrt import ConfigurationError
from agentrt.engine.loop_thread import LoopThread, as_coroutine, choose, time_of
from agentrt.testing.virtual import VirtualLoop


def test_a_loop_thread_runs_until_it_is_stopped():
    own = LoopThread("test-loop")
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, threading.get_ident), own.loop)
    assert future.result(60)() == threading.get_ident()
    assert own.ident != threading.get_ident()
    own.stop()
    own.stop()
    assert own.loop.is_closed()
    assert "test-loop" not in [thread.name for thread in threading.enumerate()]


def test_stopping_cancels_what_is_left_and_closes_generators():
    own, ended, started = LoopThread("test-loop"), [], threading.Event()

    async def generate():
        try:
            yield 1
        finally:
            ended.append("generator")

    async def linger():
        linger.generator = generate()
        await anext(linger.generator)
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    asyncio.run_coroutine_threadsafe(linger(), own.loop)
    assert started.wait(60)
    own.stop()
    assert ended == ["task", "generator"]


def test_a_task_that_can_not_be_cancelled_does_not_hold_the_stop_up():
    own, started = LoopThread("test-loop"), threading.Event()

    async def deaf():
        asyncio.current_task()._log_destroy_pending = False  # it is left pending, and that is the point
        started.set()
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    future = asyncio.run_coroutine_threadsafe(deaf(), own.loop)
    assert started.wait(60)
    own.stop()
    assert own.loop.is_closed()
    assert not future.done()


def test_auto_takes_the_running_loop_but_not_in_ipython(monkeypatch):
    async def chosen():
        return choose("auto") is asyncio.get_running_loop()

    assert choose("auto") is None
    assert asyncio.run(chosen())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    assert not asyncio.run(chosen())


def test_an_imported_ipython_that_does_not_run_changes_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))

    async def chosen():
        return choose("auto") is asyncio.get_running_loop()

    assert asyncio.run(chosen())


def test_thread_is_never_the_running_loop():
    async def chosen():
        return choose("thread")

    assert asyncio.run(chosen()) is None


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_a_task_that_ends_the_program_does_not_end_the_loop(error, caplog):
    async def ends():
        raise error

    async def waits():
        return await asyncio.gather(asyncio.create_task(ends()), return_exceptions=True)

    thread = LoopThread("agents")
    try:
        assert asyncio.run_coroutine_threadsafe(waits(), thread.loop).result(60) == [error]
        assert "tried to end the program; the loop goes on" in caplog.text
    finally:
        thread.stop()
    assert thread.loop.is_closed()


@pytest.mark.parametrize("choice", ["own", "", None, 3])
def test_another_choice_is_refused(choice):
    with pytest.raises(ConfigurationError, match="'auto', 'thread' or 'current'"):
        choose(choice)


def test_time_is_the_loops_own_where_it_has_one():
    virtual, plain = VirtualLoop(), asyncio.new_event_loop()
    assert time_of(virtual) == virtual.time
    assert time_of(plain) is time.monotonic
    virtual.close()
    plain.close()


def test_any_awaitable_becomes_a_coroutine():
    class Awaitable:
        def __await__(self):
            return asyncio.sleep(0, "x").__await__()

    assert asyncio.run(as_coroutine(Awaitable())) == "x"
    assert asyncio.run(as_coroutine(asyncio.sleep(0, "y"))) == "y"
