"""isolation="process": a workflow that can be stopped whatever it does, with bounded memory and processor time."""

import asyncio
import dataclasses
import importlib.util
import os
import signal
import threading
import time
from pathlib import Path

import msgspec
import psutil
import pytest

import agentrt
from agentrt import (
    ActivityTimeoutError,
    ConfigurationError,
    Fate,
    ManagerClosedError,
    ProcessingError,
    RuntimeTerminatedError,
    Status,
)
from agentrt.engine.process_pool import ProcessEndedError, Processes
from agentrt.testing.virtual import run

for name in ("pebble", "cloudpickle"):
    pytest.importorskip(name)

WAIT = 60  # seconds for what takes a fraction of one, unless the machine is busy


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def worker(activity, state):
    payload = activity.payload
    match payload:
        case "pid":
            return os.getpid()
        case "spin":
            while True:
                pass
        case Path():
            payload.write_text(str(os.getpid()))
            while True:
                pass
        case "fill":
            return len(bytearray(400_000_000))
        case "exit":
            os._exit(3)
        case "raise":
            raise ValueError("as asked")
        case "odd":
            raise OddError(1, 2)
        case "lock":
            return threading.Lock()
    return state + payload


async def patient(activity, state):
    await asyncio.sleep(0.001)
    return state + activity.payload


@pytest.fixture(scope="module")
def manager():
    with agentrt.RuntimeManager() as manager:
        yield manager
        for id in list(manager):
            manager.run(_ended(manager.terminate(id)))


@pytest.fixture
def pipe(tmp_path):
    """Sent as a payload, the workflow writes its process id there and then spins."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


async def _ended(latch):
    await latch


@pytest.fixture
def make(manager, request):
    made = []

    def make(workflow=worker, state=0, **limits):
        runtime = manager.create(f"{request.node.name}-{len(made)}", state, workflow, isolation="process", **limits)
        made.append(runtime)
        return runtime

    return make


def test_a_workflow_runs_in_another_process(make):
    pid = make().send_nowait("pid").result(WAIT).state
    assert pid != os.getpid()
    assert psutil.Process(pid).parent().pid == os.getpid()


def test_async_workflows_closures_and_types_of_ones_own_travel(make):
    assert make(patient).send_nowait(2).result(WAIT).state == 2
    step = 5

    @dataclasses.dataclass(frozen=True)
    class Local:
        n: int

    def closure(activity, state):
        return Local(state.n + step)

    runtime = make(closure, Local(1))
    assert [runtime.send_nowait(None).result(WAIT).state for _ in range(2)] == [Local(6), Local(11)]
    assert type(runtime.state) is Local


@pytest.mark.filterwarnings("ignore:the state of")
def test_structs_made_in_a_cell_travel_and_come_back_as_themselves(make):
    class Base(msgspec.Struct, frozen=True):
        name: str = "?"

    class Tower(Base, frozen=True, kw_only=True, rename="camel"):
        n: int
        landed_planes: tuple[int, ...] = ()
        notes: list[str] = msgspec.field(default_factory=list)

        def __post_init__(self):
            if self.n < 0:
                raise ValueError("below the ground")

        def landed(self, plane):
            return Tower(name=self.name, n=self.n + 1, landed_planes=(*self.landed_planes, plane))

        @property
        def last(self):
            return self.landed_planes[-1]

    def control(activity, state):
        if activity.payload == 13:
            return Tower(n=-1)
        return state.landed(activity.payload)

    runtime = make(control, Tower("JFK", n=0))
    for plane in (7, 8):
        runtime.send_nowait(plane).result(WAIT)
    assert runtime.entry.state == Tower("JFK", n=2, landed_planes=(7, 8))
    assert type(runtime.entry.state) is Tower
    assert runtime.entry.state.last == 8
    assert msgspec.json.encode(runtime.entry.state) == b'{"name":"JFK","n":2,"landedPlanes":[7,8],"notes":[]}'
    with pytest.raises(ProcessingError, match="below the ground"):
        runtime.send_nowait(13).result(WAIT)


@pytest.mark.slow
def test_an_endless_loop_is_killed_at_its_deadline_and_the_runtime_goes_on(make, pipe):
    runtime = make(timeout=WAIT)
    before = runtime.send_nowait(1).result(WAIT).state
    receipt = runtime.send_nowait(pipe, timeout=4)  # time enough to say which process it is
    process = psutil.Process(int(pipe.read_text()))
    following = runtime.send_nowait(1)
    with pytest.raises(ActivityTimeoutError, match=r"longer than 4 s"):
        receipt.result(WAIT)
    assert psutil.wait_procs([process], timeout=WAIT)[0] == [process]
    assert receipt.outcome.fate is Fate.TIMED_OUT
    assert receipt.outcome.state == before
    assert following.result(WAIT).state == before + 1
    assert runtime.status is not Status.STUCK


def test_the_loop_goes_on_while_another_process_spins(manager, make):
    spinning = make().send_nowait("spin", timeout=0.5)
    here = manager.create("here", 0, lambda activity, state: state + 1)
    answered = 0
    while spinning.outcome is None:
        manager.run(here.ask(None), WAIT)
        answered += 1
    assert answered > 10


def test_terminate_kills_the_process(manager, make, pipe):
    runtime = make()
    receipt = runtime.send_nowait(pipe)
    process = psutil.Process(int(pipe.read_text()))
    manager.run(_ended(runtime.terminate()), WAIT)
    assert psutil.wait_procs([process], timeout=WAIT)[0] == [process]
    with pytest.raises(RuntimeTerminatedError):
        receipt.result(WAIT)


@pytest.mark.slow
def test_too_much_memory_fails_the_activity_and_not_the_process(make):
    runtime = make(memory=100_000_000)
    with pytest.raises(ProcessingError) as caught:
        runtime.send_nowait("fill").result(WAIT)
    assert isinstance(caught.value.__cause__, MemoryError)
    assert runtime.state == 0
    assert runtime.send_nowait(1).result(WAIT).state == 1
    assert make().send_nowait("fill").result(WAIT).state == 400_000_000


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGXCPU"), reason="this system has no such limit")
def test_too_much_processor_time_ends_the_process(make):
    runtime = make(cpu=0.5)
    with pytest.raises(ProcessingError, match=r"more than 0\.5 s of processor time") as caught:
        runtime.send_nowait("spin", timeout=WAIT).result(WAIT)
    assert isinstance(caught.value.__cause__, ProcessEndedError)
    assert runtime.send_nowait(1).result(WAIT).state == 1


@pytest.mark.slow
def test_a_process_that_exits_is_a_failure_and_the_next_activity_gets_another(make):
    runtime = make()
    with pytest.raises(ProcessingError, match="exit code 3"):
        runtime.send_nowait("exit").result(WAIT)
    assert runtime.send_nowait(1).result(WAIT).state == 1


def test_what_a_workflow_raises_arrives_with_its_lines(make):
    with pytest.raises(ProcessingError, match="ValueError: as asked") as caught:
        make().send_nowait("raise").result(WAIT)
    cause = caught.value.__cause__
    assert type(cause) is ValueError
    assert "in worker" in cause.__notes__[0]


@pytest.mark.parametrize(("payload", "words"), [("odd", "1 and 2"), ("lock", "cannot pickle")])
def test_what_cannot_travel_back_is_told_in_words(make, payload, words):
    with pytest.raises(ProcessingError, match=words):
        make().send_nowait(payload).result(WAIT)


def test_a_payload_that_cannot_travel_fails_the_activity(make):
    with pytest.raises(ProcessingError, match="cannot pickle"):
        make().send_nowait(threading.Lock()).result(WAIT)


@pytest.mark.slow
def test_virtual_time_waits_for_the_other_process():
    async def main():
        async with agentrt.RuntimeManager(loop="current") as manager:
            runtime = manager.create("x", 0, worker, isolation="process", timeout=3600)
            return await runtime.ask(7)

    assert run(main()) == 7


def test_after_the_end_no_process_is_started():
    processes = Processes()
    processes.close()
    with pytest.raises(ManagerClosedError):
        processes.pool()


@pytest.mark.slow
def test_close_leaves_no_process():
    before = set(psutil.Process().children())
    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("x", 0, worker, isolation="process")
        pid = runtime.send_nowait("pid").result(WAIT).state
        mine = [child for child in psutil.Process().children() if child not in before and _is_worker(child)]
        assert pid in {child.pid for child in mine}
        runtime.send_nowait("spin")
    _, alive = psutil.wait_procs(mine, timeout=WAIT)
    assert alive == []


def _is_worker(process):
    return "resource_tracker" not in " ".join(process.cmdline())


# --- configuration


def test_a_context_does_not_travel(make):
    async def wants_more(activity, state, ctx):
        return state

    with pytest.raises(ConfigurationError, match="takes a ctx"):
        make(wants_more)


def test_a_function_that_cannot_travel_is_refused_at_once(make):
    lock = threading.Lock()

    def holds(activity, state):
        with lock:
            return state

    with pytest.raises(ConfigurationError, match="can't be sent to another process"):
        make(holds)


def test_without_the_extra_the_error_says_what_to_install(make, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pebble" else find(name))
    with pytest.raises(ConfigurationError, match=r'needs pebble: pip install "agentrt\[process\]"'):
        make()


@pytest.mark.parametrize("limit", [{"memory": 1_000_000}, {"cpu": 1}])
def test_memory_and_cpu_need_a_process(manager, limit):
    with pytest.raises(ConfigurationError, match="give isolation='process'"):
        manager.create("x", 0, worker, **limit)


def test_a_swapped_workflow_runs_in_a_process_too(make):
    runtime = make()
    runtime.swap(lambda activity, state: os.getpid())
    assert runtime.send_nowait(None).result(WAIT).state not in (0, os.getpid())


def test_the_hot_path_loads_no_pool():
    import subprocess
    import sys

    code = "import agentrt, sys; assert not {'pebble', 'cloudpickle', 'multiprocessing'} & set(sys.modules)"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT)
    assert time.monotonic() - started < WAIT
