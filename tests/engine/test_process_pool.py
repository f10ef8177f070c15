"""isolation="process": a workflow that can be stopped whatever it does, with bounded memory and processor time."""

import asyncio
import contextlib
import dataclasses
import importlib.util
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import msgspec
import psutil
import pytest

import agentrt
from agentrt import (
    ActivityTimeoutError,
    AgentError,
    ConfigurationError,
    Fate,
    ManagerClosedError,
    ProcessingError,
    RuntimeTerminatedError,
    Status,
)
from agentrt.engine.process_pool import Call, ProcessEndedError, Processes, RemoteError
from agentrt.testing.virtual import run
from tests.harness.wait import wait_until

pytest.importorskip("cloudpickle")

WAIT = 60  # seconds for what takes a fraction of one, unless the machine is busy


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@dataclasses.dataclass
class Other:
    n: int


class Evil:
    """Makes a file when it is unpickled, in a process other than the one it was made in."""

    def __init__(self, path):
        self.path, self.pid = path, os.getpid()

    def __reduce__(self):
        return _touch, (self.path, self.pid)


class EvilError(Exception):
    def __reduce__(self):
        return _touch, (self.args[0], os.getpid())


def _touch(path, pid):
    if os.getpid() != pid:
        Path(path).touch()
    return ValueError("touched")


def _write_pickle(path):
    """Write frames of pickles to every file descriptor that is open here, the one for answers too."""
    data = pickle.dumps((True, Evil(path)))
    for descriptor in range(3, 100):
        with contextlib.suppress(OSError):
            os.write(descriptor, len(data).to_bytes(8, "big") + data)
    return 1


def _start_child(path, ended):
    """Start a process that lives on; it writes its number to a pipe. Come back at once, or never."""
    code = f"import os, time; open({str(path)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code])
    while not ended:
        time.sleep(0.01)
    return 1


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
        case "other":
            return Other(1)
        case "fork":
            if os.fork() == 0:  # the fork comes back from the workflow too
                return "from the fork"
            return "from the process"
        case "child", path, ended:
            return _start_child(path, ended)
        case "evil", path, "return":
            return Evil(path)
        case "evil", path, "raise":
            raise EvilError(path)
        case "evil", path, "inside":
            return {"a": [Evil(path)]}
        case "evil", path, "write":
            return _write_pickle(path)
        case "evil", path, "cause":
            raise ValueError("no") from EvilError(path)
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


def test_async_workflows_closures_and_types_of_ones_own_are_sent(make):
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
def test_structs_made_in_a_cell_come_back_as_themselves(make):
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


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no sessions")
@pytest.mark.parametrize("end", ["deadline", "terminate", "exit"])
def test_the_processes_that_a_workflow_has_started_are_killed_with_it(manager, make, pipe, end):
    runtime = make()
    receipt = runtime.send_nowait(("child", pipe, end == "exit"), timeout=4 if end == "deadline" else None)
    process = psutil.Process(int(pipe.read_text()))
    if end == "terminate":
        manager.run(_ended(runtime.terminate()), WAIT)
    if end == "exit":  # the process ends by itself, and its child would live on
        receipt.result(WAIT)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            with pytest.raises(ProcessingError, match="exit code 3"):
                runtime.send_nowait("exit").result(WAIT)
    else:
        with pytest.raises(AgentError):
            receipt.result(WAIT)
    assert psutil.wait_procs([process], timeout=WAIT)[0] == [process]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_forks_leaves_no_second_one(make):
    runtime = make(state="")
    pids = set()
    for _ in range(3):
        assert runtime.send_nowait("fork").result(WAIT).state == "from the process"
    for _ in range(20):
        pids.add(runtime.send_nowait("pid").result(WAIT).state)
    workers = [psutil.Process(pid) for pid in pids]

    def is_alone(process):
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that ends meanwhile is asked again
            return all(child.status() == psutil.STATUS_ZOMBIE for child in process.children())

    wait_until(lambda: all(map(is_alone, workers)), WAIT, "what was forked has ended")


@pytest.mark.parametrize("how", ["return", "inside", "raise", "cause", "write"])
def test_no_code_of_the_process_runs_in_this_one(make, tmp_path, how):
    path = tmp_path / "made by a pickle"
    with pytest.raises(ProcessingError):
        make().send_nowait(("evil", str(path), how)).result(WAIT)
    assert not path.exists()
    if how == "write":  # and it is taken for no answer to somebody else
        assert [make().send_nowait(n).result(WAIT).state for n in range(10)] == list(range(10))


def test_a_pickle_that_was_asked_for_is_unpickled(manager, tmp_path):
    path = tmp_path / "made by a pickle"
    runtime = manager.create("trusted", 0, worker, isolation="process-pickle")
    assert runtime.send_nowait("other").result(WAIT).state == Other(1)
    runtime.send_nowait(("evil", str(path), "return")).result(WAIT)
    assert path.exists()
    with pytest.raises(ProcessingError, match="1 and 2"):
        runtime.send_nowait("odd").result(WAIT)
    manager.run(_ended(runtime.terminate()), WAIT)


def test_a_type_that_is_not_known_here_is_named_with_both_ways_out(make):
    runtime = make(timeout=WAIT)
    for payload, name in (("other", r"test_process_pool\.Other"), ("lock", r"_thread\.lock")):
        with pytest.raises(ProcessingError) as caught:
            runtime.send_nowait(payload).result(WAIT)
        assert isinstance(caught.value.__cause__, TypeError)
        pattern = name + " can't come back .*annotations of the workflow.*isolation='process-pickle'"
        assert re.search(pattern, str(caught.value))


@pytest.mark.parametrize("where", ["returns", "takes", "payload"])
def test_a_type_that_is_known_here_comes_back(make, where):
    def returns(activity, state) -> Other | int:
        return Other(2)

    def takes(activity, state: Other | int):
        return Other(2)

    def payload(activity, state):
        return activity.payload

    workflow = {"returns": returns, "takes": takes, "payload": payload}[where]
    assert make(workflow).send_nowait(Other(2)).result(WAIT).state == Other(2)


def test_arrays_come_back_as_arrays(make):
    numpy = pytest.importorskip("numpy")
    with warnings.catch_warnings(action="ignore"):  # an array can be changed in place
        runtime = make(lambda activity, state: state * 2, numpy.arange(4), copy_state=False)
    assert runtime.send_nowait(None).result(WAIT).state.tolist() == [0, 2, 4, 6]


def test_a_script_needs_no_guard_around_what_starts_agents(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(agentrt.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=WAIT, check=True, env=environment
    )
    assert done.stdout.split() == ["here", "printed", "State(n=3)"]


SCRIPT = """
import dataclasses
import agentrt

print("here", flush=True)

@dataclasses.dataclass(frozen=True)
class State:
    n: int

def workflow(activity, state):
    print("printed")
    return State(state.n + activity.payload)

manager = agentrt.RuntimeManager()
print(manager.create("x", State(1), workflow, isolation="process").send_nowait(2).result(60).state)
"""


def test_a_process_ends_with_the_one_that_started_it(pipe):
    spin = "open(activity.payload, 'w').write(str(__import__('os').getpid()))\n    while True: pass"
    code = SCRIPT.replace('print("printed")', spin)
    code = code.replace("send_nowait(2)", f"send_nowait({str(pipe)!r})")
    environment = os.environ | {"PYTHONPATH": str(Path(agentrt.__file__).parent.parent)}
    script = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL)
    process = psutil.Process(int(pipe.read_text()))
    script.kill()
    script.wait()
    assert psutil.wait_procs([process], timeout=WAIT)[0] == [process]


def test_a_call_that_is_cancelled_before_it_runs_kills_the_process_it_gets():
    processes, call = Processes(), Call(b"", None)
    call.cancel()
    with pytest.raises(ProcessEndedError):
        processes.run(call)
    processes.close()


def test_what_a_workflow_raises_arrives_with_its_lines(make):
    with pytest.raises(ProcessingError, match="ValueError: as asked") as caught:
        make().send_nowait("raise").result(WAIT)
    cause = caught.value.__cause__
    assert type(cause) is ValueError
    assert "in worker" in cause.__notes__[0]


def test_an_exception_of_ones_own_comes_back_as_data(make):
    with pytest.raises(ProcessingError) as caught:
        make().send_nowait("odd").result(WAIT)
    cause = caught.value.__cause__
    assert type(cause) is RemoteError
    assert cause.kind.endswith("test_process_pool.OddError")
    assert cause.message == "1 and 2"
    assert "raise OddError(1, 2)" in cause.__notes__[0]


def test_a_payload_that_cannot_be_sent_fails_the_activity(make):
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
        processes.threads()
    with pytest.raises(ManagerClosedError):
        processes.run(Call(b"", None))


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
    return "process_worker" in " ".join(process.cmdline())


# --- configuration


def test_a_context_can_not_be_sent(make):
    async def wants_more(activity, state, ctx):
        return state

    with pytest.raises(ConfigurationError, match="takes a ctx"):
        make(wants_more)


def test_a_function_that_cannot_be_sent_is_refused_at_once(make):
    lock = threading.Lock()

    def holds(activity, state):
        with lock:
            return state

    with pytest.raises(ConfigurationError, match="can't be sent to another process"):
        make(holds)


def test_without_the_extra_the_error_says_what_to_install(make, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cloudpickle" else find(name))
    with pytest.raises(ConfigurationError, match=r'needs cloudpickle: pip install "agentrt\[process\]"'):
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
    code = "import agentrt, sys; assert not {'cloudpickle', 'multiprocessing'} & set(sys.modules)"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT)
    assert time.monotonic() - started < WAIT
