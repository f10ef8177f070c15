"""An exception from outside at each bytecode of the send, take and commit paths: the lock is free, the books add up."""

import asyncio
import ctypes
import gc
import logging
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from agentrt import Activity, Backoff, MailboxFullError, RuntimeManager, RuntimeTerminatedError, Status
from agentrt.testing.virtual import VirtualLoop
from tests.harness.interrupt import LIBRARY, PLACES, Interrupted, Interruption, everywhere, is_free
from tests.support import add

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("own_garbage"),
    # A coroutine that was made and not yet awaited when the interruption came.
    pytest.mark.filterwarnings(
        "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]
TIMEOUT = 60

SENDS: dict[str, dict[str, Any]] = {
    "fast": {},
    "priority": {"priority": True},
    "timeout": {"timeout": 60},
    "key": {"key": "k"},
    "delay": {"delay": 0.0001},
}


@pytest.mark.parametrize("options", SENDS.values(), ids=SENDS)
def test_a_send_can_be_interrupted_anywhere(options: dict[str, Any]) -> None:
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, key_window=1e-9)
        for interruption in everywhere():
            manager.run(runtime.ask(1, priority=True))  # the fast path of both lanes is open
            manager.run(runtime.ask(1))
            with interruption.here():
                runtime.send_nowait(1, **options)
            assert is_free(manager.lock), interruption.where
            assert manager.run(runtime.ask(1), TIMEOUT), interruption.where
            settled(manager, interruption)
        assert manager.fates().done == runtime.state


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest", "drop_newest"])
def test_a_send_to_a_full_lane_can_be_interrupted_anywhere(overflow: str) -> None:
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, standard_capacity=1, overflow=overflow)
        for interruption in everywhere():
            runtime.pause()
            runtime.send_nowait(1)
            with interruption.here():
                try:
                    runtime.send_nowait(1)
                except Exception:
                    assert overflow == "wait"
            assert is_free(manager.lock), interruption.where
            runtime.resume()
            manager.run(runtime.ask(1, priority=True), TIMEOUT)
            settled(manager, interruption)


@pytest.mark.parametrize("overflow", ["wait", "drop_oldest", "drop_newest"])
def test_a_send_to_a_full_lane_of_this_loop_can_be_interrupted_anywhere(overflow: str) -> None:
    for interruption in everywhere():
        loop = VirtualLoop(seed=1)
        try:
            loop.run_until_complete(interrupted_overflow(interruption, overflow))
        finally:
            loop.close()


async def interrupted_overflow(interruption: Interruption, overflow: str) -> None:
    async with RuntimeManager(loop="current", seed=1) as manager:
        runtime = manager.create("a", 0, add, standard_capacity=1, overflow=overflow)
        runtime.pause()
        runtime.send_nowait(1)
        with interruption.here(), suppress(MailboxFullError):
            runtime.send_nowait(1)
        accepted = [record.id for record in manager.ring.since(0)[0] if isinstance(record, Activity)]
        assert runtime.fates().accepted == len(accepted), interruption.where
        assert runtime.fates().pending == len(runtime.mailbox_items()), interruption.where


def settled(manager: RuntimeManager, interruption: Interruption) -> None:
    """Everything that was accepted gets a fate, and nothing else has one."""

    async def rest() -> None:
        for _ in range(100):
            if manager.fates().pending == 0:
                return
            await asyncio.sleep(0.001)

    manager.run(rest())
    fates = manager.fates()
    assert (fates.adds_up, fates.pending) == (True, 0), f"{fates} after {interruption.where}"


async def suspends(activity: Any, state: int) -> int:
    await asyncio.sleep(0)
    return state + activity.payload


FAILED: set[int] = set()


async def fails_once(activity: Any, state: int, ctx: Any) -> int:
    if activity.id not in FAILED:
        FAILED.add(activity.id)
        raise ValueError("once")
    return state + activity.payload


def plain(activity: Any, state: int) -> int:
    return state + activity.payload


PROCESSING: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (plain, {}),
    "coroutine": (add, {}),
    "suspends": (suspends, {"timeout": 60}),
    "retries": (fails_once, {"retries": 3, "backoff": Backoff(0.001)}),
}


@pytest.mark.parametrize(("workflow", "limits"), PROCESSING.values(), ids=PROCESSING)
@pytest.mark.parametrize("way", ["woken", "inline"])
def test_the_processing_can_be_interrupted_anywhere(way: str, workflow: Any, limits: dict[str, Any]) -> None:
    for interruption in everywhere():
        loop = VirtualLoop(seed=1)
        try:
            loop.run_until_complete(interrupted_processing(interruption, way, workflow, limits))
        finally:
            loop.close()


async def interrupted_processing(interruption: Interruption, way: str, workflow: Any, limits: dict[str, Any]) -> None:
    FAILED.clear()
    async with RuntimeManager(loop="current", seed=1) as manager:
        runtime = manager.create("a", 0, workflow, **limits)
        other = manager.create("b", 0, add)
        await runtime.ask(0)
        await asyncio.sleep(1)
        receipts = [runtime.send_nowait(1), runtime.send_nowait(1, priority=True)]
        with interruption.here():
            if way == "inline":
                await asyncio.gather(*receipts, return_exceptions=True)
            else:
                await asyncio.sleep(10)
        await asyncio.sleep(10)
        assert await other.ask(1) == 1, interruption.where
        async with asyncio.timeout(60):
            before = runtime.state
            assert await runtime.ask(1) == before + 1, interruption.where
        fates = runtime.fates()
        assert fates.adds_up, (fates, interruption.where)
        assert fates.pending == 0, (fates, interruption.where)
        assert runtime.state == fates.done - 1, (fates, runtime.state, interruption.where)
        records = manager.ring.since(0)[0]
        outcomes = [record.id for record in records if record.kind in ("done", "failed", "timed_out")]
        assert len(outcomes) == len(set(outcomes)), interruption.where
        lanes = (runtime.metrics.priority, runtime.metrics.standard)
        times = (sum(lane.wait.count for lane in lanes), sum(lane.service.count for lane in lanes))
        ran = len(outcomes) - 1  # one is of the other runtime
        assert times == (ran, ran), interruption.where
        assert is_free(manager.lock), interruption.where


Command = Callable[[Any], Any]
COMMANDS: dict[str, Command] = {
    "pause": lambda runtime: runtime.pause(),
    "resume": lambda runtime: runtime.resume(),
    "step": lambda runtime: runtime.step(),
    "clear": lambda runtime: [runtime.drop(item.id) for item in runtime.mailbox_items()],
    "promote": lambda runtime: [runtime.promote(item.id) for item in runtime.mailbox_items()],
    "swap": lambda runtime: runtime.swap(add),
    "terminate": lambda runtime: runtime.terminate(),
    "terminate_drain": lambda runtime: runtime.terminate(drain=True),
}
BEFORE: dict[str, Command] = {
    "idle": lambda runtime: None,
    "paused": lambda runtime: (runtime.pause(), runtime.send_nowait(1), runtime.send_nowait(1)),
    "delayed": lambda runtime: runtime.send_nowait(1, delay=1),
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_can_be_interrupted_anywhere_and_given_again(command: Command, before: Command) -> None:
    for interruption in everywhere():
        loop = VirtualLoop(seed=1)
        try:
            loop.run_until_complete(interrupted_command(interruption, command, before))
        finally:
            loop.close()


async def interrupted_command(interruption: Interruption, command: Command, before: Command) -> None:
    async with RuntimeManager(loop="current", seed=1) as manager:
        runtime = manager.create("a", 0, add)
        await runtime.ask(0)
        before(runtime)
        await asyncio.sleep(0.5)
        with interruption.here():
            command(runtime)
        assert is_free(manager.lock), interruption.where
        with suppress(RuntimeTerminatedError):  # ended by the first try
            command(runtime)
        async with asyncio.timeout(60):
            if runtime.status is Status.PAUSED:
                runtime.resume()
            await asyncio.sleep(10)
            ended = runtime.entry.ended
            if ended is None:
                await runtime.ask(1)
            else:
                await ended.wait()
                assert "a" not in manager, interruption.where
        assert is_free(manager.lock), interruption.where
        fates = manager.fates()
        assert (fates.adds_up, fates.pending) == (True, 0), (fates, interruption.where)


@pytest.mark.parametrize("drain", [False, True])
def test_the_end_of_a_runtime_can_be_interrupted_anywhere(drain: bool) -> None:
    """In a callback of the loop, which goes on: then it ends all the same."""
    for interruption in everywhere():
        loop = VirtualLoop(seed=1)
        try:
            loop.run_until_complete(interrupted_end(interruption, drain))
        finally:
            loop.close()


async def interrupted_end(interruption: Interruption, drain: bool) -> None:
    async with RuntimeManager(loop="current", seed=1) as manager:
        runtime = manager.create("a", 0, add)
        other = manager.create("b", 0, add)
        await runtime.ask(0)
        runtime.pause()
        receipts = [runtime.send_nowait(1), runtime.send_nowait(1, delay=1), runtime.send_nowait(1, priority=True)]
        with interruption.here():
            runtime.terminate(drain=drain)
            await asyncio.sleep(10)
        await asyncio.sleep(10)
        async with asyncio.timeout(60):
            await runtime.terminate()
            await asyncio.gather(*receipts, return_exceptions=True)
            assert await other.ask(1) == 1, interruption.where
        assert "a" not in manager, interruption.where
        assert is_free(manager.lock), interruption.where
        fates = manager.fates()
        assert (fates.adds_up, fates.pending) == (True, 0), (fates, interruption.where)
        assert len(manager.dead_letters) == fates.dead, (fates, interruption.where)


WAITS: dict[str, Callable[[RuntimeManager, Any], object]] = {
    "run": lambda manager, runtime: manager.run(runtime.ask(1), 0.001),
    "result": lambda manager, runtime: runtime.send_nowait(1).result(0.001),
    "command": lambda manager, runtime: manager.do(int, 0.001),
    "submit": lambda manager, runtime: manager.submit(runtime.ask(1)).add_done_callback(str),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_who_waits_for_the_agents_can_be_interrupted_anywhere(wait: Callable[[RuntimeManager, Any], object]) -> None:
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        for interruption in everywhere(places=(*PLACES, *LIBRARY)):
            manager.run(runtime.ask(1), TIMEOUT)  # so that each takes the same way
            busy = threading.Lock()  # what is waited for comes after the wait
            busy.acquire()
            manager.loop.call_soon_threadsafe(busy.acquire)
            with interruption.here(), suppress(TimeoutError):
                wait(manager, runtime)
            busy.release()
            answered = threading.Event()
            manager.loop.call_soon_threadsafe(answered.set)
            assert answered.wait(TIMEOUT), interruption.where


def test_a_thread_that_sends_can_be_interrupted_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real asynchronous exceptions, which come at places that a trace can't reach."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # pytest's own would be interrupted as well
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add, standard_capacity=100_000)
        stop, interrupted = threading.Event(), [0]

        def sends() -> None:
            while not stop.is_set():
                try:
                    for _ in range(1_000):
                        runtime.send_nowait(1)
                except Interrupted:
                    interrupted[0] += 1
                except MailboxFullError:
                    manager.run(runtime.ask(0))

        thread = threading.Thread(target=unharmed, args=(sends, stop))
        thread.start()
        while interrupted[0] < 50:
            raise_in(thread)
            assert is_free(manager.lock)
        stop.set()
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        manager.run(runtime.ask(0), 60)
        fates = manager.fates()
        assert (fates.adds_up, fates.pending, runtime.state) == (True, 0, runtime.state)


def unharmed(call: Any, stop: threading.Event) -> None:
    """Call it again after an exception that came between two tries."""
    while not stop.is_set():
        with suppress(Interrupted):
            call()


def raise_in(thread: threading.Thread) -> None:
    """Raise `Interrupted` in another thread, at its next bytecode that looks for it."""
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupted))


class Sender:
    """Sends when it is collected, in the middle of whatever runs then."""

    def __init__(self, runtime: Any) -> None:
        self.runtime, self.itself = runtime, self

    def __del__(self) -> None:
        self.runtime.send_nowait(1)


class Referent:
    """Something that a weak reference can be on."""


def by_finalizer(runtime: Any) -> None:
    Sender(runtime)
    gc.collect(0)


def by_weak_reference(runtime: Any) -> None:
    referent = Referent()
    reference = weakref.ref(referent, lambda _: runtime.send_nowait(1))
    del referent
    assert reference() is None


def by_call_soon(runtime: Any) -> None:
    asyncio.get_running_loop().call_soon(runtime.send_nowait, 1)


def by_log_handler(runtime: Any) -> None:
    class Sends(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            runtime.send_nowait(1)

    logger, handler = logging.getLogger("agentrt.tests"), Sends()
    logger.addHandler(handler)
    logger.error("now")
    logger.removeHandler(handler)


@pytest.mark.parametrize("send", [by_finalizer, by_weak_reference, by_call_soon, by_log_handler])
def test_a_send_from_anywhere_on_the_loops_own_thread_is_processed(send: Any) -> None:
    async def work(activity: Any, state: int) -> int:
        send(other)
        await asyncio.sleep(0)
        send(other)
        return state + 1

    with RuntimeManager(loop="thread") as manager:
        other = manager.create("b", 0, add)
        runtime = manager.create("a", 0, work)
        for _ in range(50):
            manager.run(runtime.ask(1), TIMEOUT)
        settled(manager, Interruption(0))
        assert other.state == 100


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
def test_a_send_from_a_signal_handler_is_processed() -> None:
    async def main() -> tuple[int, int]:
        async with RuntimeManager(loop="current") as manager:
            runtime = manager.create("a", 0, add, standard_capacity=100_000)
            sent = [0]

            def send(*_: Any) -> None:
                sent[0] += 1
                runtime.send_nowait(1)

            before = signal.signal(signal.SIGALRM, send)
            signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
            try:
                for _ in range(5_000):
                    await runtime.ask(0)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            async with asyncio.timeout(TIMEOUT):
                while runtime.fates().pending:
                    await asyncio.sleep(0.001)
            return sent[0], runtime.state

    sent, state = asyncio.run(main())
    assert sent > 50
    assert state == sent
