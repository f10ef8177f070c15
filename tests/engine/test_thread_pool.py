"""thread_pool.py: daemon threads, so that no call delays the exit of the interpreter."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from agentrt.engine.thread_pool import ThreadPool

TIMEOUT = 60
LATE = 300  # seconds; the thread works for 600


@pytest.fixture
def pool():
    pool = ThreadPool("test-pool", 2)
    yield pool
    pool.shutdown()


def test_calls_run_on_daemon_threads_which_are_used_again(pool):
    first = pool.submit(threading.current_thread).result(TIMEOUT)
    assert first.daemon
    assert first.name == "test-pool_0"
    second = pool.submit(threading.current_thread).result(TIMEOUT)
    assert second.name in ("test-pool_0", "test-pool_1")


def test_no_more_threads_than_allowed_and_further_calls_wait(pool):
    barrier, release = threading.Barrier(3), threading.Event()

    def busy():
        barrier.wait(TIMEOUT)
        assert release.wait(TIMEOUT)

    calls = [pool.submit(busy) for _ in range(2)]
    barrier.wait(TIMEOUT)
    waiting = pool.submit(int)
    assert not waiting.running()
    release.set()
    assert waiting.result(TIMEOUT) == 0
    assert [call.result(TIMEOUT) for call in calls] == [None, None]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_what_a_call_raises_is_in_its_future_and_the_thread_goes_on(pool, error):
    def fail():
        raise error("as asked")

    with pytest.raises(error):
        pool.submit(fail).result(TIMEOUT)
    assert pool.submit(int).result(TIMEOUT) == 0


def test_a_shut_down_pool_runs_what_waits_or_cancels_it():
    release = threading.Event()
    pool = ThreadPool("test-pool", 1)
    started = pool.submit(release.wait, TIMEOUT)
    waiting = pool.submit(int)
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(int)
    release.set()
    assert started.result(TIMEOUT)
    assert waiting.result(TIMEOUT) == 0

    release.clear()
    pool = ThreadPool("test-pool", 1)
    begun = threading.Event()
    started = pool.submit(lambda: (begun.set(), release.wait(TIMEOUT)))
    assert begun.wait(TIMEOUT)
    waiting = pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    release.set()
    started.result(TIMEOUT)


def test_asyncio_takes_it_as_its_default(pool):
    async def main():
        asyncio.get_running_loop().set_default_executor(pool)
        return await asyncio.to_thread(threading.current_thread)

    assert asyncio.run(main()).name.startswith("test-pool")


START = """
import asyncio, threading, time
import agentrt
started = threading.Event()

def block(activity, state):
    started.set()
    time.sleep(600)

async def to_thread(activity, state):
    await asyncio.to_thread(block, activity, state)
"""
SCRIPTS = {
    "close": """
with agentrt.RuntimeManager() as manager:
    manager.create("slow", 0, block, blocking=True).send_nowait(7)
    started.wait()
""",
    "no close": """
manager = agentrt.RuntimeManager()
manager.create("slow", 0, block, blocking=True).send_nowait(7)
started.wait()
""",
    "to_thread": """
manager = agentrt.RuntimeManager()
manager.create("slow", 0, to_thread).send_nowait(7)
started.wait()
""",
    "current loop": """
async def main():
    async with agentrt.RuntimeManager(loop="current") as manager:
        manager.create("slow", 0, block, blocking=True).send_nowait(7)
        while not started.is_set():
            await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "current loop, no close": """
async def main():
    global manager
    manager = agentrt.RuntimeManager(loop="current")
    manager.create("slow", 0, block, blocking=True).send_nowait(7)
    while not started.is_set():
        await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "after its deadline": """
manager = agentrt.RuntimeManager()
receipt = manager.create("slow", 0, block, blocking=True, timeout=0.01, grace=0.01).send_nowait(7)
started.wait()
try:
    receipt.result()
except TimeoutError:
    manager.close()
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_thread_that_works_on_delays_neither_close_nor_the_exit(name):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", START + SCRIPTS[name]], capture_output=True, text=True, timeout=300, check=True
    )
    assert time.monotonic() - began < LATE
    if name != "to_thread":  # whose thread is asyncio's
        assert "'slow' still runs (activity 2)" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pending" not in done.stderr
