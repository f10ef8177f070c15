"""numbers.py: whatever is given for a duration or a count is a number that can be, or is refused in one sentence."""

import asyncio
import contextlib
import math
import random
from decimal import Decimal

import pytest

from agentrt import Activity, Backoff, Clock, ConfigurationError, ProcessingError, Rule, RuntimeManager, Supervision
from agentrt.demo import load_day, towers
from agentrt.schema import numbers
from agentrt.testing import Recorder, VirtualLoop, run_until_idle, virtual_manager
from agentrt.testing import run as run_virtual
from tests.support import add, fail, virtual


class Opaque:
    def __repr__(self):
        raise RuntimeError("no")


BAD = {
    "huge": 10**400,
    "too long to print": 10**5_000,
    "huge negative": -(10**400),
    "nan": math.nan,
    "negative": -1,
    "negative float": -0.5,
    "negative infinite": -math.inf,
    "text": "1",
    "long text": "soon" * 10_000,
    "bool": True,
    "decimal": Decimal("1.5"),
    "complex": 1j,
    "list": [1],
    "without a repr": Opaque(),
}
with contextlib.suppress(ImportError):
    import numpy

    BAD |= {"numpy integer": numpy.int64(1), "numpy float": numpy.float32(1.5), "numpy array": numpy.array([1.0, 2.0])}


def limit(name):
    return name, lambda manager, value: manager.create("new", 0, add, **{name: value})


def knob(name):
    return name, lambda manager, value: setattr(manager["a"], name, value)


def send(name, method="send_nowait"):
    return name, lambda manager, value: getattr(manager["a"], method)(1, **{name: value})


def group(name):
    return name, lambda manager, value: manager.group("new", **{name: value})


def record(kind, name):
    return name, lambda manager, value: kind(**{name: value})


def burst(name):
    def command(manager, value):
        options = {"count": 1, "rate": 1.0, name: value}
        manager.source.command("burst", "a", typed="1", lane="standard", **options)

    return name, command


DAY = load_day()
OPEN = []  # loops that a test has made


def loop():
    OPEN.append(VirtualLoop())
    return OPEN[-1]


def sleeps(manager, value):
    async def workflow(activity, state, ctx):
        await ctx.sleep(value)
        return state

    runtime = manager.create("new", 0, workflow)
    try:
        manager.run(runtime.ask(1), 20)
    except ProcessingError as error:
        raise error.__cause__ from None
    finally:
        manager.run(runtime.terminate(), 20)


def set_speed(manager, value):
    manager.speed = value


LIMITS = ["timeout", "grace", "key_window", "deadline", "cpu", "rate", "backoff"]
COUNTS = ["priority_capacity", "standard_capacity", "fairness", "retries", "max_payload", "max_state", "memory"]
ARGUMENTS = {
    **{f"create {name}": limit(name) for name in (*LIMITS, *COUNTS)},
    **{f"knob {name}": knob(name) for name in ("timeout", "retries", "fairness", "priority_capacity")},
    **{f"send_nowait {name}": send(name) for name in ("timeout", "delay")},
    **{f"send {name}": send(name, "send") for name in ("timeout", "delay", "wait")},
    **{f"ask {name}": send(name, "ask") for name in ("timeout", "delay", "wait")},
    "activity timeout": (
        "timeout",
        lambda manager, value: manager["a"].send_nowait(Activity(payload=1, timeout=value)),
    ),
    "activity not_before": (
        "not_before",
        lambda manager, value: manager["a"].send_nowait(Activity(payload=1, not_before=value)),
    ),
    **{f"backoff {name}": record(Backoff, name) for name in Backoff.__struct_fields__},
    **{f"supervision {name}": record(Supervision, name) for name in ("intensity", "period")},
    **{f"rule {name}": record(Rule, name) for name in ("intensity", "period")},
    **{f"group {name}": group(name) for name in ("intensity", "period")},
    "speed": ("speed", set_speed),
    "clock": ("speed", lambda manager, value: Clock(value)),
    "clock wall": ("at", lambda manager, value: manager.clock.wall(value)),
    "clock jump": ("at", lambda manager, value: manager.clock.jump(value)),
    "budget": ("budget", lambda manager, value: setattr(manager.hub, "budget", value)),
    "seed": ("seed", lambda manager, value: RuntimeManager(seed=value)),
    "ring": ("ring", lambda manager, value: RuntimeManager(ring=value)),
    "close": ("timeout", lambda manager, value: manager.close(value)),
    "run": ("timeout", lambda manager, value: manager.run(manager["a"].ask(1), value)),
    "result": ("timeout", lambda manager, value: manager["a"].send_nowait(0).result(value)),
    "step": ("n", lambda manager, value: manager["a"].step(value)),
    "ctx.sleep": ("seconds", sleeps),
    "port": ("port", lambda manager, value: manager.serve(port=value)),
    "burst count": burst("count"),
    "burst rate": burst("rate"),
    "towers": ("speed", lambda manager, value: towers(manager, DAY, speed=value)),
    "virtual seed": ("seed", lambda manager, value: VirtualLoop(value)),
    "virtual patience": ("patience", lambda manager, value: VirtualLoop(patience=value)),
    "virtual advance": ("seconds", lambda manager, value: loop().advance(value)),
    "virtual run": ("timeout", lambda manager, value: run_virtual(asyncio.sleep(0), timeout=value)),
    "virtual run seed": ("seed", lambda manager, value: run_virtual(asyncio.sleep(0), seed=value)),
    "run_until_idle": ("timeout", lambda manager, value: run_until_idle(manager, value)),
    "run_until_idle on a loop": ("timeout", lambda manager, value: loop().run_until_idle(value)),
    "recorder": ("limit", lambda manager, value: Recorder(manager, limit=value)),
    "recorder until": ("timeout", lambda manager, value: manager.run(Recorder(manager).until(lambda: 1, value))),
}
SIGNED = ("negative", "negative float", "negative infinite")
MAY_BE = {
    **dict.fromkeys(("activity not_before", "clock wall", "clock jump"), SIGNED),
    **dict.fromkeys(("seed", "virtual seed", "virtual run seed"), ("negative",)),
}
INFINITE = {
    *(f"create {name}" for name in ("timeout", "grace", "key_window", "deadline")),
    *("knob timeout", "send_nowait timeout", "send timeout", "send wait", "ask timeout", "ask wait"),
    *(
        "activity timeout",
        "backoff most",
        "supervision period",
        "rule period",
        "group period",
        "speed",
        "clock",
        "budget",
    ),
    *("clock wall", "clock jump", "close", "run", "result", "towers", "virtual patience", "virtual run"),
    *("run_until_idle", "run_until_idle on a loop", "recorder until"),
}


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, add)
        yield manager
    while OPEN:
        OPEN.pop().close()


def use(manager, call, value):
    """Give a value to an argument, and use what came of it up."""
    made = call(manager, value)
    if asyncio.iscoroutine(made):
        made = manager.run(made, 20)
    if isinstance(made, RuntimeManager | VirtualLoop):
        made.close()


@pytest.mark.parametrize("what", ARGUMENTS)
def test_what_is_no_number_is_refused_by_name(manager, what):
    name, call = ARGUMENTS[what]
    for kind, value in BAD.items():
        if kind in MAY_BE.get(what, ()):
            continue
        with pytest.raises(ConfigurationError) as caught:
            use(manager, call, value)
        message = str(caught.value)
        assert name in message, (kind, message)
        assert "it must be" in message, (kind, message)
        assert len(message) < 300, kind
    assert not manager.closed
    assert manager.run(manager["a"].ask(1), 20) == 1
    assert manager.fates().adds_up


@pytest.mark.parametrize("what", ARGUMENTS)
def test_an_infinite_number_is_taken_where_it_means_no_limit(manager, what):
    _, call = ARGUMENTS[what]
    if what in INFINITE:
        use(manager, call, math.inf)
    else:
        with pytest.raises(ConfigurationError):
            use(manager, call, math.inf)


def test_a_float_of_numpy_is_a_float():
    numpy = pytest.importorskip("numpy")
    found = numbers.seconds("x", numpy.float64(1.5))
    assert (found, type(found)) == (1.5, float)


@pytest.mark.parametrize(
    "fields", [{"factor": 1e300}, {"factor": 10, "most": 1e9}, {"first": 1e9, "factor": 1e9}], ids=str
)
def test_a_backoff_that_grows_past_a_float_is_at_its_most(fields):
    fields = {"most": math.inf, "jitter": 0.0, **fields}
    backoff = Backoff(**fields)
    waits = [backoff.before(retry, random.Random(1)) for retry in (1, 2, 3, 1_000, 10**6)]
    assert waits == sorted(waits)
    assert waits[-1] == min(fields["most"], numbers.LONGEST / 2)


def test_a_backoff_of_nothing_stays_nothing():
    assert Backoff(first=0, factor=1e300, jitter=0).before(50, random.Random(1)) == 0


@virtual
async def test_retries_come_to_an_end_whatever_the_backoff_does(manager):
    runtime = manager.create("x", 0, fail, retries=20, backoff=Backoff(first=1, factor=1e100, most=60, jitter=0))
    receipt = await runtime.send(1)
    with pytest.raises(ProcessingError):
        await receipt
    assert receipt.outcome.attempts == 21
    assert manager.clock.now() < 20 * 61


@virtual
async def test_retries_come_to_an_end_where_no_wait_can_be_made(manager, monkeypatch):
    def no_wait(self, retry, chance):
        raise OverflowError("no wait")

    monkeypatch.setattr(Backoff, "before", no_wait)
    runtime = manager.create("x", 0, fail, retries=3)
    receipt = await runtime.send(1)
    with pytest.raises(ProcessingError, match="no wait"):
        await receipt
    assert manager.fates().adds_up


def test_a_clock_shows_the_last_date_for_what_is_beyond_it():
    clock = Clock(0)
    assert clock.wall(1e300).year == clock.wall(math.inf).year == 9999
    assert clock.wall(-1e300).year == 1


def test_a_virtual_manager_names_its_seed_too():
    with pytest.raises(ConfigurationError, match="seed is 'x'"), virtual_manager(seed="x"):
        pass
