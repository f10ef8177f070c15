"""Threads wait for the answers of Ray; `test_ray_engine.py` has it with a real one."""

import asyncio
import threading
from typing import Any

import pytest

WAIT = 60


@pytest.fixture
def calls() -> Any:
    pytest.importorskip("ray")
    from agentrt.distributed import ray_calls

    return ray_calls


@pytest.mark.slow
def test_a_loop_is_given_what_a_call_returns_or_raises(calls: Any) -> None:
    async def main() -> tuple[Any, str]:
        threads = calls.WaitingThreads()
        name = await threads.start(lambda: threading.current_thread().name)
        with pytest.raises(ZeroDivisionError):
            await threads.start(lambda: 1 // 0)
        return threads, name

    assert asyncio.run(main())[1].startswith("agentrt-call-")


@pytest.mark.slow
def test_no_call_waits_for_a_thread(calls: Any) -> None:
    async def main() -> None:
        threads, goes_on = calls.WaitingThreads(), threading.Event()
        waiting = [threads.start(lambda: goes_on.wait(WAIT)) for _ in range(calls.THREADS)]
        assert None not in waiting
        assert threads.start(lambda: None) is None
        goes_on.set()
        assert await asyncio.gather(*waiting) == [True] * calls.THREADS
        assert await threads.start(lambda: "free again") == "free again"

    asyncio.run(main())


@pytest.mark.slow
def test_a_thread_outlives_a_loop_that_has_ended_meanwhile(calls: Any) -> None:
    threads, goes_on = calls.WaitingThreads(), threading.Event()

    async def leave() -> None:
        for _ in range(calls.THREADS):
            assert threads.start(lambda: goes_on.wait(WAIT)) is not None

    async def use() -> list[Any]:
        while (answer := threads.start(lambda: "here")) is None:
            await asyncio.sleep(0)
        return [await answer]

    asyncio.run(leave())
    goes_on.set()
    assert asyncio.run(use()) == ["here"]
