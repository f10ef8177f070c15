"""logs.py: a log handler is anybody's code, and what it raises must not matter to an agent, a thread or a watcher."""

import asyncio
import logging
import threading

import pytest

from agentrt import RuntimeManager
from agentrt.logs import log_safely
from tests.harness.wait import wait_until
from tests.support import add, fail

TIMEOUT = 60


class HandlerError(Exception):
    """What the handler raises."""


class Raising(logging.Handler):
    """A handler whose `emit` raises, without the protection that the handlers of the standard library give."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())
        raise self.error


@pytest.fixture(params=[HandlerError, SystemExit, asyncio.CancelledError], ids=lambda error: error.__name__)
def handler(request):
    handler, root = Raising(request.param), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def manager(handler):
    with RuntimeManager(loop="thread") as manager:
        yield manager
        assert manager.create("last", 0, add).send_nowait(1).result(TIMEOUT).state == 1  # the agents go on


def test_what_a_handler_raises_goes_to_stderr(handler, capfd):
    log_safely(logging.getLogger("agentrt.test"), "%s failed", "it")
    assert handler.messages == ["it failed"]
    assert "a log handler failed" in capfd.readouterr().err


def test_a_task_that_ends_the_program_does_not_end_the_loop(manager, handler):
    async def end():
        raise SystemExit

    async def main():
        return await asyncio.gather(asyncio.create_task(end()), return_exceptions=True)

    assert isinstance(manager.run(main(), TIMEOUT)[0], SystemExit)
    assert "tried to end the program" in handler.messages[-1]


def test_a_callback_of_the_loop_that_fails_does_not_end_the_loop(manager, handler):
    manager.loop.call_soon_threadsafe(lambda: 1 / 0)  # asyncio logs it, and is not careful about the handler
    wait_until(lambda: handler.messages, TIMEOUT)


def test_a_timer_that_fails_does_not_hold_the_others_up(manager, handler):
    fired = threading.Event()
    manager.do(lambda: (manager.call_at(0, lambda: 1 / 0), manager.call_at(0, fired.set)))
    assert fired.wait(TIMEOUT)
    assert "a timer failed" in handler.messages


def test_a_view_that_fails_does_not_end_the_hub(manager, handler):
    drawn = threading.Event()
    manager.hub.attach(lambda frame: 1 / 0)
    manager.hub.attach(lambda frame: 1 / 0, schedule=lambda draw: 1 / 0)
    manager.hub.attach(lambda frame: drawn.set())
    assert drawn.wait(TIMEOUT)
    wait_until(lambda: len(manager.hub.clients) == 1, TIMEOUT)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, asyncio.CancelledError])
def test_a_watcher_that_fails_does_not_silence_the_others(manager, handler, error):
    def raises(event):
        raise error

    heard = threading.Event()
    runtime = manager.create("watched", 0, add)
    runtime.param.watch(raises, "state", precedence=0)
    runtime.param.watch(lambda event: heard.set(), "state", precedence=1)
    runtime.send_nowait(1)
    assert heard.wait(TIMEOUT)
    heard.clear()
    runtime.send_nowait(1)
    assert heard.wait(TIMEOUT)


def test_an_agent_that_fails_and_its_task_that_nobody_awaits_are_decided(manager, handler):
    async def leaves_a_task(activity, state):
        asyncio.create_task(fail(activity, state))  # noqa: RUF006 - nobody awaits it, and that is the point
        await asyncio.sleep(0)
        return state + 1

    assert manager.create("leaves", 0, leaves_a_task).send_nowait(1).result(TIMEOUT).state == 1
    wait_until(lambda: handler.messages, TIMEOUT)
    failing = manager.create("fails", 0, fail)
    receipts = [failing.send_nowait(n) for n in range(3)]
    for receipt in receipts:
        with pytest.raises(Exception, match="no "):
            receipt.result(TIMEOUT)


def test_a_manager_that_does_not_end_in_time_is_closed(handler):
    release, started = threading.Event(), threading.Event()

    def block(activity, state):
        started.set()
        release.wait(TIMEOUT)
        return state

    manager = RuntimeManager(loop="thread")
    manager.create("blocks", 0, block).send_nowait(1)
    assert started.wait(TIMEOUT)
    manager.close(timeout=0.01)
    release.set()
    assert any("did not end" in message for message in handler.messages)
    assert manager.closed
