"""fork.py: in a process that was forked each call says so at once, and the parent does not notice."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SUPPORT = """
import asyncio, multiprocessing, os, subprocess, sys, threading, time
import agentrt
from agentrt import Clock, ManagerClosedError, RuntimeManager

async def add(activity, state):
    return state + 1

async def slow(activity, state):
    await asyncio.sleep(0.2)
    return state + 1

def in_child(call, leave=True):
    '''The exit code of a child that does this: 0, or 1 for what it raised, which is printed.'''
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            call()
        except BaseException:
            import traceback
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        if leave or code:
            os._exit(code)
        sys.exit(0)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        assert time.monotonic() - began < 30, "the child hangs"
        time.sleep(0.001)

def refuses(call, *args, **options):
    began = time.monotonic()
    try:
        result = call(*args, **options)
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    except ManagerClosedError as error:
        assert "forked" in str(error), error
        assert "make a new manager" in str(error), error
    else:
        raise AssertionError(f"{call} was not refused")
    assert time.monotonic() - began < 2, call
"""


def run(script: str) -> str:
    """What a script prints; it must end by itself, well, and silently."""
    code = SUPPORT + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_each_call_is_refused_at_once() -> None:
    run("""
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, add)
        pending = manager.create("slow", 0, slow).send_nowait(1)
        grant = runtime.grant({"send", "observe", "control"})
        runtime.send_nowait(1).result(9)
        async def receive(receipt):
            await receipt
        async def iterate(subscription):
            async for _ in subscription:
                pass
        subscription = runtime.subscribe()
        def child():
            for call in (runtime.send_nowait, runtime.send, runtime.ask, grant.send_nowait, grant.send, grant.ask):
                refuses(call, 1)
                refuses(call, 1, priority=True, timeout=9)
            for call in (manager.send_nowait, manager.send, manager.ask):
                refuses(call, "a", 1)
            for name in ("pause", "resume", "step", "recover", "terminate"):
                refuses(getattr(runtime, name))
            refuses(setattr, runtime, "paused", True)
            refuses(setattr, runtime, "retries", 3)
            refuses(setattr, manager, "speed", 2)
            refuses(pending.result)
            refuses(pending.result, timeout=60)
            refuses(receive, pending)
            refuses(iterate, subscription)
            refuses(manager.subscribe)
            refuses(manager.create, "b", 0, add)
            refuses(manager.agent("b", state=0), add)
            refuses(manager.group, "g")
            refuses(manager.terminate, "a")
            refuses(manager.run, runtime.ask(1))
            refuses(manager.serve)
            refuses(manager.hub.attach, print)
            manager.close()
            assert "closed" in repr(manager)
        assert in_child(child) == 0
        assert pending.result(9).state == 1
        assert runtime.send_nowait(1).result(9).state == 2
    """)


def test_a_fork_while_a_thread_sends_never_hangs_and_the_parent_goes_on() -> None:
    run("""
    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, add)
        ends = threading.Event()
        sent = []
        def send():
            while not ends.is_set():
                try:
                    sent.append(runtime.send_nowait(1))
                except agentrt.MailboxFullError:
                    pass
        thread = threading.Thread(target=send)
        thread.start()
        def child():
            refuses(runtime.send_nowait, 1)
            refuses(manager.run, runtime.ask(1))
        for _ in range(60):
            assert in_child(child) == 0
        ends.set()
        thread.join()
        for receipt in sent:
            receipt.result(60)
        assert runtime.state == len(sent) == runtime.fates().done
    """)


def test_a_child_that_ends_as_any_program_does_is_gone_at_once() -> None:
    run("""
    manager = RuntimeManager()
    runtime = manager.create("a", 0, add)
    waiting = manager.create("slow", 0, slow).send_nowait(1)
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert time.monotonic() - began < 2.5
    assert waiting.result(9).state == 1
    assert manager.run(runtime.ask(1)) == 1
    manager.close()
    """)


def test_a_child_may_make_a_manager_of_its_own() -> None:
    run("""
    clock = Clock(speed=1000)
    with RuntimeManager(clock=clock) as manager:
        manager.create("a", 0, add)
        def child():
            with RuntimeManager(clock=clock) as own:
                assert own.run(own.create("a", 10, add).ask(1)) == 11
                assert own.create("b", 0, add).send_nowait(1, delay=10).result(9).state == 1
                assert in_child(lambda: refuses(own.create, "c", 0, add)) == 0
        assert in_child(child) == 0
        assert manager.run(manager["a"].ask(1)) == 1
    """)


@pytest.mark.parametrize("loop", ["thread", "current"])
def test_a_workflow_may_start_a_process_by_fork(loop: str) -> None:
    run(f"""
    def own(queue):
        with RuntimeManager() as manager:
            queue.put(manager.run(manager.create("own", 5, add).ask(1)))

    async def forks(activity, state):
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        process = context.Process(target=own, args=(queue,))
        process.start()
        answer = queue.get(timeout=30)
        process.join()
        subprocess.run([sys.executable, "-c", ""], preexec_fn=lambda: None, check=True)
        return state + answer

    async def main():
        async with RuntimeManager(loop={loop!r}) as manager:
            first = manager.create("a", 0, forks)
            return [await first.ask(1), await first.ask(1)]

    assert asyncio.run(main()) == [6, 12]
    """)


def test_a_workflow_that_goes_on_in_the_child_ends_with_it() -> None:
    """Nothing that waits is done twice: the loop of the child stops after this turn, and steps no other runtime."""
    out = run("""
    running = asyncio.Event()

    async def forks(activity, state):
        await running.wait()
        if activity.payload == "fork" and os.fork() == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # it logs that its state can't be committed
            return state
        print(activity.payload, flush=True)
        return state + 1

    async def turns(activity, state):
        for turn in range(20):
            await asyncio.sleep(0)
            print(activity.runtime, turn, flush=True)
            if turn == 10:
                running.set()
        return state + 1

    with RuntimeManager() as manager:
        forking = manager.create("forks", 0, forks)
        receipts = [forking.send_nowait(payload) for payload in ("fork", "next", "last")]
        receipts += [manager.create(name, 0, turns).send_nowait(1) for name in ("before", "after")]
        for receipt in receipts:
            receipt.result(9)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        assert manager.run(forking.ask("again")) == 4
    """)
    turns = [f"{name} {turn}" for name in ("before", "after") for turn in range(20)]
    assert sorted(out.splitlines()) == sorted(["fork", "next", "last", "again", *turns])


def test_a_process_of_a_workflow_outlives_the_fork() -> None:
    pytest.importorskip("cloudpickle")
    run("""
    def isolated(activity, state):
        return state + 1

    with RuntimeManager() as manager:
        runtime = manager.create("a", 0, isolated, isolation="process")
        assert manager.run(runtime.ask(1)) == 1
        assert in_child(lambda: None, leave=False) == 0
        assert in_child(manager.close) == 0
        assert manager.run(runtime.ask(1)) == 2
    """)
