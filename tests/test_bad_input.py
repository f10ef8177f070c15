"""Bad input gets a clear error that says what would do, and loses nothing."""

import asyncio
import math
import traceback
import warnings

import pytest

from agentrt import (
    Activity,
    ActivityValidationError,
    ConfigurationError,
    DeadlockError,
    MailboxFullError,
    ManagerClosedError,
    ProcessingError,
    RuntimeExistsError,
    RuntimeManager,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from agentrt.engine import loop_host
from agentrt.engine.core import PURE
from tests.support import add, virtual

TIMEOUT = 60
HOSTILE = "<script>alert(1)</script>"


async def works(manager):
    """Whatever went before, the manager and a runtime of it are as good as new."""
    runtime = manager.get("fine") or manager.create("fine", 0, add)
    before = runtime.state
    assert await runtime.ask(1) == before + 1
    assert manager.fates().adds_up


@virtual
async def test_an_unknown_id(manager):
    with pytest.raises(RuntimeNotFoundError, match="no runtime has the id 'x'; there are: none yet"):
        manager["x"]
    manager.create("JFK", 0, add)
    for call in (manager.send, manager.ask):
        with pytest.raises(RuntimeNotFoundError, match="there are: JFK") as caught:
            await call("LGA", 1)
        assert caught.value.runtime == "LGA"
    await works(manager)


@pytest.mark.parametrize("id", [None, 3, ("a",), b"a", ["a"], {}])
@virtual
async def test_an_id_that_is_no_string_is_not_found_either(manager, id):
    with pytest.raises(RuntimeNotFoundError):
        manager[id]
    with pytest.raises(RuntimeNotFoundError):
        manager.send_nowait(id, 1)
    assert id not in manager
    assert manager.get(id) is None


@virtual
async def test_a_taken_id(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    with pytest.raises(RuntimeExistsError, match=r"'a' exists; take it with manager\['a'\]") as caught:
        manager.create("a", 100, add)
    assert caught.value.runtime == "a"
    assert (manager["a"] is runtime, runtime.state) == (True, 1)
    await works(manager)


@pytest.mark.parametrize("id", ["", None, 3, b"a", ["a"], ("a", "b")])
@virtual
async def test_an_empty_or_non_string_id(manager, id):
    with pytest.raises(ConfigurationError, match="it must be a string that is not empty"):
        manager.create(id, 0, add)
    assert len(manager) == 0
    await works(manager)


@virtual
async def test_a_wrong_payload_type(manager):
    def typed(activity: Activity[int], state: int) -> int:
        return state + activity.payload

    runtime = manager.create("a", 0, typed)
    for wrong in ("1", 1.5, None, [1], Activity(payload="1")):
        with pytest.raises(ActivityValidationError, match="does not take this payload: expected int, got") as caught:
            runtime.send_nowait(wrong)
        assert caught.value.problems.keys() == {""}
        with pytest.raises(ActivityValidationError):
            await runtime.ask(wrong)
    assert runtime.fates().accepted == 0
    assert await runtime.ask(1) == 1


@pytest.mark.parametrize("workflow", [None, 3, "add", object(), {}])
@virtual
async def test_a_workflow_that_is_not_callable(manager, workflow):
    with pytest.raises(ConfigurationError, match="can't be called; give a function"):
        manager.create("a", 0, workflow)
    assert "a" not in manager
    await works(manager)


@pytest.mark.parametrize("workflow", [lambda: 0, lambda a: 0, lambda a, b, c, d: 0], ids=["none", "one", "four"])
@virtual
async def test_a_workflow_with_the_wrong_number_of_parameters(manager, workflow):
    with pytest.raises(ConfigurationError, match=r"\(activity, state\), or three, \(activity, state, ctx\)"):
        manager.create("a", 0, workflow)
    assert "a" not in manager


@virtual
async def test_a_state_of_the_wrong_type_returned(manager):
    def typed(activity, state: int) -> int:
        return activity.payload

    runtime = manager.create("a", 1, typed)
    with pytest.raises(ProcessingError, match="returned a wrong state: expected int, got str 'x'") as caught:
        await runtime.ask("x")
    assert isinstance(caught.value.__cause__, TypeError)
    assert runtime.state == 1
    assert await runtime.ask(2) == 2


@pytest.mark.parametrize(
    "limits",
    [
        {"standard_capacity": -1},
        {"priority_capacity": 0},
        {"standard_capacity": 2.5},
        {"timeout": -1},
        {"timeout": 0},
        {"timeout": math.nan},
        {"timeout": "soon"},
        {"retries": -1},
        {"fairness": 0},
        {"overflow": "explode"},
        {"backoff": -1},
        {"supervision": "explode"},
        {"capacity": 5},
    ],
    ids=str,
)
@virtual
async def test_negative_capacities_or_timeouts_and_their_like(manager, limits):
    with pytest.raises(ConfigurationError) as caught:
        manager.create("a", 0, add, **limits)
    (name,) = limits
    assert name in str(caught.value) or name == "supervision"
    assert "a" not in manager
    await works(manager)


@pytest.mark.parametrize("options", [{"timeout": -1}, {"delay": -1}, {"delay": "1"}, {"key": 5}], ids=str)
@virtual
async def test_options_of_a_send_that_can_not_be(manager, options):
    runtime = manager.create("a", 0, add)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        await runtime.send(1, **options)
    with pytest.raises(ConfigurationError):
        runtime.send_nowait(1, **options)
    assert runtime.fates().accepted == 0


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("wait", ["x", -1, math.nan, True, [1]], ids=str)
@virtual
async def test_a_wait_that_can_not_be(manager, wait, full):
    runtime = manager.create("a", 0, add, standard_capacity=1)
    runtime.pause()
    for _ in range(full):
        runtime.send_nowait(1)
    with pytest.raises(ConfigurationError, match=r"wait is .* it must be seconds, 0 or more"):
        await runtime.send(1, wait=wait)
    with pytest.raises(ConfigurationError, match="wait is"):
        await runtime.ask(1, wait=wait)
    assert runtime.fates().accepted == full
    runtime.resume()


@pytest.mark.parametrize("timeout", [-1, 0, "soon", math.nan])
@virtual
async def test_a_timeout_inside_of_an_activity_of_ones_own(manager, timeout):
    runtime = manager.create("a", 0, add)
    with pytest.raises(ConfigurationError, match="timeout"):
        runtime.send_nowait(Activity(payload=1, timeout=timeout))
    assert runtime.fates().accepted == 0


@virtual
async def test_an_unknown_option_of_a_send_is_not_swallowed(manager):
    runtime = manager.create("a", 0, add, standard_capacity=1)
    with pytest.raises(TypeError):
        runtime.send_nowait(1, urgent=True)
    with pytest.raises(TypeError):
        await runtime.send(1, urgent=True)
    runtime.pause()
    runtime.send_nowait(1)
    with pytest.raises(TypeError):
        await runtime.send(1, urgent=True, wait=1)


@virtual
async def test_a_full_lane(manager):
    runtime = manager.create("a", 0, add, standard_capacity=2)
    runtime.pause()
    receipts = [runtime.send_nowait(1) for _ in range(2)]
    with pytest.raises(MailboxFullError, match=r"the standard lane of 'a' is full \(2\); wait with `await") as caught:
        runtime.send_nowait(1)
    assert caught.value.runtime == "a"
    runtime.resume()
    assert [(await receipt).state for receipt in receipts] == [1, 2]
    assert runtime.fates().accepted == 2


@virtual
async def test_sends_after_terminate(manager):
    runtime = manager.create("a", 0, add)
    await runtime.terminate()
    for call in (runtime.send_nowait, lambda n: manager.send_nowait("a", n)):
        with pytest.raises(RuntimeTerminatedError, match="'a' was terminated"):
            call(1)
    for call in (runtime.send, runtime.ask):
        with pytest.raises(RuntimeTerminatedError):
            await call(1)
    await works(manager)


def test_sends_after_close():
    manager = RuntimeManager(loop="thread")
    runtime = manager.create("a", 0, add)
    manager.close()
    with pytest.raises(ManagerClosedError, match="make a new one"):
        runtime.send_nowait(1)
    with pytest.raises(ManagerClosedError):
        asyncio.run(runtime.ask(1))
    with pytest.raises(ManagerClosedError):
        manager.create("b", 0, add)
    assert manager.fates().accepted == 0


def test_a_result_waited_for_on_the_loops_own_thread():
    async def main():
        async with RuntimeManager(loop="current") as manager:
            receipt = manager.create("a", 0, add).send_nowait(1)
            with pytest.raises(DeadlockError, match="write `await receipt` instead"):
                receipt.result()
            with pytest.raises(DeadlockError, match="write `await"):
                manager.run(asyncio.sleep(0))
            assert (await receipt).state == 1

    asyncio.run(main())


@virtual
async def test_a_state_or_name_that_holds_a_script_is_only_a_string(manager):
    runtime = manager.create(HOSTILE, HOSTILE, lambda activity, state: state + activity.payload)
    assert await runtime.ask(HOSTILE) == HOSTILE * 2
    assert manager[HOSTILE] is runtime
    assert runtime.snapshot().id == HOSTILE
    await runtime.terminate()


@pytest.mark.parametrize("options", [{"loop": "nowhere"}, {"journal": 3}], ids=str)
def test_a_manager_that_can_not_be(options):
    with pytest.raises(ConfigurationError):
        RuntimeManager(**options)


@virtual
async def test_a_state_that_can_not_be_compared_copied_or_shown_breaks_nothing(manager):
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("compare")

        def __repr__(self):
            raise RuntimeError("show")

        def __deepcopy__(self, memo):
            raise RuntimeError("copy")

        __hash__ = None

    runtime = manager.create("a", 0, lambda activity, state: Odd())
    outcome = await runtime.send_nowait(1)
    assert isinstance(outcome.state, Odd)
    assert (await runtime.send_nowait(2)).ok
    runtime.pause()
    receipt = runtime.send_nowait(Odd())
    for thing in (runtime, receipt, runtime.mailbox_items(), runtime.snapshot(), manager):
        assert "'a'" in repr(thing) or thing is manager
    assert "<Odd, whose repr raises RuntimeError>" in repr(runtime)
    with pytest.raises(RuntimeNotFoundError, match="Odd"):
        manager.send_nowait(Odd(), 1)
    runtime.resume()
    assert (await receipt).ok
    await works(manager)


# ---- objects whose methods look for the lock


class Looks:
    """An object of which every question is answered by code, which notes whether it runs with the lock held."""

    def __init__(self, held):
        self.held = held

    def __eq__(self, other):
        self.held("eq")
        return self is other

    def __hash__(self):
        self.held("hash")
        return 1

    def __repr__(self):
        self.held("repr")
        raise ValueError("no repr")

    def __deepcopy__(self, memo):
        self.held("deepcopy")
        return Looks(self.held)

    def __bool__(self):
        self.held("bool")
        raise ValueError("no bool")

    def __sizeof__(self):
        self.held("sizeof")
        raise ValueError("no size")

    def __getattribute__(self, name):
        if name == "__class__":
            object.__getattribute__(self, "held")("class")
        return object.__getattribute__(self, name)


class LooksAwaited(Looks):
    def __await__(self):
        self.held("await")
        yield from ()
        return Looks(self.held)


class LooksText(str):
    """A key or a name of a class of its own."""

    held = staticmethod(lambda what: None)

    def __hash__(self):
        self.held("text hash")
        return str.__hash__(self)

    def __eq__(self, other):
        self.held("text eq")
        return str.__eq__(self, other)


class LooksError(Exception):
    def __str__(self):
        self.args[0]("error")
        raise ValueError("no text")

    __repr__ = __str__


def test_no_lock_is_held_while_code_of_users_runs(monkeypatch):
    seen, held_by = set(), []
    monkeypatch.setattr(loop_host, "make_lock", PURE["make_lock"])  # with an owner to ask for
    with RuntimeManager(loop="thread") as manager:

        def held(what):
            seen.add(what)
            if manager.lock.__exit__.__self__._is_owned():  # by this thread; another one may have it for a moment
                held_by.append((what, traceback.format_stack(limit=6)))

        monkeypatch.setattr(LooksText, "held", staticmethod(held))

        def answer(activity, state):
            if activity.payload == "fail":
                raise LooksError(held)
            return activity.payload if type(activity.payload) is LooksAwaited else Looks(held)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            supervised = {"supervision": "restart", "max_state": 10_000, "max_payload": 10_000}
            first = manager.create("first", Looks(held), answer, **supervised)
            second = manager.create(LooksText("second"), Looks(held), answer, overflow="drop_oldest")
            manager.group(LooksText("group"))
            first.param.watch(lambda event: None, ["state"])
            for payload in (Looks(held), LooksAwaited(held), Looks(held)):
                first.send_nowait(payload).result(TIMEOUT)
            for _ in range(2):
                with pytest.raises(ProcessingError):
                    first.send_nowait("fail").result(TIMEOUT)
            first.send_nowait(Looks(held), delay=0.001).result(TIMEOUT)
            second.standard_capacity = 3
            second.pause()
            for _ in range(30):
                second.send_nowait(Looks(held))
            for _ in range(2):
                second.send_nowait(Looks(held), key=LooksText("key"))
            ids = [activity.id for activity in second.mailbox_items()]
            second.edit(ids[0], Looks(held))
            second.promote(ids[0])
            second.drop(ids[0])
            second.swap(answer)
            texts = [repr(each) for each in (first, second, second.snapshot(), second.mailbox_items(), manager)]
            assert all(isinstance(text, str) for text in texts)
            assert first.state is not None
            assert second.initial is not None
            manager.run(second.terminate())
            for letter in list(manager.dead_letters):
                manager.dead_letters.discard(letter.activity.id)
        assert first.send_nowait(1).result(TIMEOUT).ok
    assert not held_by, "\n".join([held_by[0][0], *held_by[0][1]])
    assert seen >= {"repr", "deepcopy", "class", "await", "error"}
