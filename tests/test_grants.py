"""Grants do only what they were given; states that can be changed in place are copied."""

import asyncio
import contextlib
import copy
import dataclasses
import datetime
import enum
import gc
import pickle
import re
import warnings
from pathlib import Path
from types import MappingProxyType

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentrt
from agentrt import AccessDeniedError, ConfigurationError, Grant, Lane, Right, RuntimeNotFoundError
from agentrt.engine.entry import RuntimeEntry
from agentrt.engine.mailbox import Place
from agentrt.grants import rights_of
from agentrt.schema.immutability import is_frozen
from tests.support import add, collect, turns, virtual

GUIDE = Path(__file__).parents[1] / "docs" / "grants.md"
USES = {
    Right.SEND: {
        "send_nowait": (1,),
        "send": (1,),
        "ask": (1,),
        "validate": (1,),
        "accepts": None,
    },
    Right.OBSERVE: {
        "status": None,
        "state": None,
        "error": None,
        "depth": None,
        "metrics": None,
        "fates": (),
        "snapshot": (),
        "mailbox_items": (),
        "where": (),
        "whereabouts": (),
        "subscribe": (),
    },
    Right.CONTROL: {
        "pause": (),
        "resume": (),
        "step": (1,),
        "recover": (),
        "drop": (1,),
        "promote": (1,),
        "demote": (1,),
        "first": (1,),
        "put_back": (1, Place(Lane.STANDARD, None, None)),
        "edit": (1, 2),
        "swap": (lambda activity, state: state,),
        "terminate": (),
    },
}
NEEDS = [(right, name, arguments) for right, uses in USES.items() for name, arguments in uses.items()]


def adder(activity, state):
    return state + activity.payload


@pytest.fixture
def manager():
    with agentrt.RuntimeManager() as manager:
        yield manager


@pytest.fixture
def runtime(manager):
    return manager.create("adder", 0, adder)


def use(manager, grant, name, arguments):
    value = getattr(grant, name)
    if arguments is None:
        return value
    done = value(*arguments)
    return manager.run(done) if asyncio.iscoroutine(done) else done


# --- grants


@pytest.mark.parametrize(
    ("right", "name", "arguments"), NEEDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_grant_allows_what_its_right_says_and_nothing_else(manager, runtime, right, name, arguments):
    try:
        use(manager, runtime.grant({right}), name, arguments)
    except AccessDeniedError:
        pytest.fail("was denied")
    except agentrt.AgentError:
        pass  # allowed, but there is no activity 1
    with pytest.raises(AccessDeniedError, match=f"'{name}' needs the right to {right}") as caught:
        use(manager, runtime.grant(set(Right) - {right}), name, arguments)
    assert (caught.value.runtime, caught.value.missing) == ("adder", right.value)


def test_a_grant_offers_nothing_without_a_right():
    offered = {name for name in dir(Grant) if not name.startswith("_")}
    assert offered - {name for _, name, _ in NEEDS} == {"attenuate", "revoke", "revoked", "rights", "runtime"}


def test_repr_shows_rights_and_no_internals(runtime):
    grant = runtime.grant(["control", "send"])
    assert repr(grant) == "<Grant send, control on 'adder'>"
    grant.revoke()
    assert repr(grant) == "<Grant send, control on 'adder' (revoked)>"
    assert not hasattr(grant, "__dict__")


@given(st.lists(st.sets(st.sampled_from(Right), min_size=1), min_size=1, max_size=5), st.integers(0, 5))
def test_attenuation_only_narrows_and_revocation_goes_down(chain, which):
    with agentrt.RuntimeManager(loop="thread") as manager:
        grants = [manager.create("x", 0, adder).grant(chain[0])]
        for rights in chain[1:]:
            if rights <= grants[-1].rights:
                grants.append(grants[-1].attenuate(rights))
            else:
                with pytest.raises(AccessDeniedError, match="to hand on"):
                    grants[-1].attenuate(rights)
        which %= len(grants)
        grants[which].revoke()
        assert [grant.revoked for grant in grants] == [i >= which for i in range(len(grants))]
        with pytest.raises(AccessDeniedError, match="was revoked"):
            grants[-1].attenuate(grants[-1].rights)


def test_a_method_taken_before_does_not_outlive_the_revocation(runtime):
    above = runtime.grant({"send"})
    send = above.attenuate("send").send_nowait
    assert send(1).result(60).state == 1
    above.revoke()
    with pytest.raises(AccessDeniedError, match="was revoked"):
        send(1)
    assert runtime.state == 1


def test_a_subscription_ends_with_its_grant(manager, runtime):
    grant = runtime.grant({"observe"})

    async def watch():
        stream = grant.subscribe()
        runtime.send_nowait(1)
        first = await anext(stream)
        grant.revoke()
        runtime.send_nowait(2)
        with pytest.raises(AccessDeniedError):
            await anext(stream)
        return first

    assert manager.run(watch(), 5).payload == 1


def test_ctx_sends_and_asks_through_a_grant(manager, runtime):
    async def user(activity, state, ctx):
        grant = activity.payload
        await ctx.send(grant, 1)
        return await ctx.ask(grant, 10)

    asker = manager.create("asker", 0, user)
    assert asker.send_nowait(runtime.grant({"send"})).result(60).state == 11
    with pytest.raises(agentrt.ProcessingError) as caught:
        asker.send_nowait(runtime.grant({"observe"})).result(60)
    assert isinstance(caught.value.__cause__, AccessDeniedError)
    assert caught.value.__cause__.missing == "send"
    revoked = runtime.grant({"send"})
    revoked.revoke()
    with pytest.raises(agentrt.ProcessingError, match="revoked"):
        asker.send_nowait(revoked).result(60)


def test_a_circle_of_asks_through_grants_is_a_deadlock(manager):
    async def asks(activity, state, ctx):
        return await ctx.ask(activity.payload[0], activity.payload[1:])

    a, b = manager.create("a", 0, asks), manager.create("b", 0, asks)
    to_a, to_b = a.grant({"send"}), b.grant({"send"})
    with pytest.raises(agentrt.ProcessingError, match="b -> a -> b"):
        a.send_nowait((to_b, to_a, to_b)).result(60)


def test_what_is_no_runtime_is_not_found(manager):
    with pytest.raises(RuntimeNotFoundError, match="its id, its handle, or a grant"):
        manager.recipient(42)


@pytest.mark.parametrize("wrong", [(), {"root"}, "sned", None, 3])
def test_unknown_rights_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="send, observe, control"):
        rights_of(wrong)


def test_a_copy_of_a_grant_is_the_grant_and_it_cannot_leave_the_process(runtime):
    grant = runtime.grant({"send"})
    assert copy.deepcopy(grant) is copy.copy(grant) is grant
    with pytest.raises(TypeError, match="its own process"):
        pickle.dumps(grant)


def test_a_grant_needs_no_other_handle(manager, runtime):
    grant = runtime.grant({"send"})
    del runtime
    gc.collect()
    assert manager.run(grant.ask(3)) == 3


def test_the_guide_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.DOTALL | re.MULTILINE)
    exec("\n".join(blocks), {})


def test_the_guide_names_every_use_of_a_right():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", GUIDE.read_text(), flags=re.MULTILINE))
    listed = {right: set(re.findall(r"`(\w+)", row)) for right, row in rows.items()}
    assert listed == {right.value: set(uses) for right, uses in USES.items()}


# --- states


class Frozen(msgspec.Struct, frozen=True):
    items: object = ()


class Open(msgspec.Struct):
    items: object = ()


@dataclasses.dataclass(frozen=True)
class FrozenData:
    items: object = ()


@dataclasses.dataclass
class OpenData:
    items: object = ()


class FrozenModel(pydantic.BaseModel, frozen=True):
    items: object = ()


class OpenModel(pydantic.BaseModel):
    items: object = ()


class Colour(enum.Enum):
    RED = 1


class Anything:
    pass


# ---- what was taken back while it was in use


@virtual
async def test_a_send_that_waits_for_room_is_refused_once_the_grant_is_revoked(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait("first")
    grant = runtime.grant({"send"})
    waiting = asyncio.ensure_future(grant.send("second"))
    other = asyncio.ensure_future(runtime.send("third"))
    await turns()
    grant.revoke()
    runtime.resume()
    with pytest.raises(AccessDeniedError):
        await waiting
    assert (await (await other)).state == ("first", "third")


@pytest.mark.parametrize("name", ["send", "ask"])
@virtual
async def test_a_coroutine_made_before_the_revocation_is_refused(manager, name):
    runtime = manager.create("a", (), collect)
    grant = runtime.grant({"send"})
    coroutine = getattr(grant, name)(1)
    grant.revoke()
    with pytest.raises(AccessDeniedError):
        await coroutine
    assert runtime.fates().accepted == 0


@virtual
async def test_a_workflow_that_waits_for_room_through_a_grant_is_refused_too(manager):
    runtime = manager.create("a", (), collect, standard_capacity=1)
    runtime.pause()
    runtime.send_nowait("first")
    grant = runtime.grant({"send"})

    async def passes_on(activity, state, ctx):
        await ctx.send(grant, activity.payload)
        return state + 1

    receipt = manager.create("b", 0, passes_on).send_nowait("second")
    await turns()
    grant.revoke()
    runtime.resume()
    with pytest.raises(agentrt.ProcessingError, match="was revoked"):
        await receipt
    assert runtime.fates().accepted == 1


@virtual
async def test_a_subscription_ends_at_once_when_its_grant_is_revoked(manager):
    runtime = manager.create("a", 0, add)
    above = runtime.grant({"observe"})
    reading = asyncio.ensure_future(anext(above.attenuate({"observe"}).subscribe()))
    await turns()
    assert not reading.done()
    above.revoke()
    with pytest.raises(AccessDeniedError):
        await reading


def test_a_chain_of_a_thousand_grants_is_as_good_as_one(manager):
    grant = first = manager.create("a", 0, adder).grant({"send", "observe"})
    for _ in range(5_000):
        grant = grant.attenuate({"send"})
    assert grant.send_nowait(1).result(60).state == 1
    first.revoke()
    assert grant.revoked
    with pytest.raises(AccessDeniedError):
        grant.send_nowait(1)


MORE_THAN_A_GRANT = (agentrt.Runtime, agentrt.RuntimeManager, RuntimeEntry)


def reachable(start, most=20_000):
    """Everything that public attributes, items and calls without arguments lead to."""
    todo, seen = [start], {}
    while todo and len(seen) < most:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type | str | bytes | int | float):
            continue
        seen[id(thing)] = thing
        yield thing
        if isinstance(thing, dict):
            todo += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset):
            todo += thing
        for name in dir(thing):
            if not name.startswith("_"):
                with contextlib.suppress(Exception):
                    todo.append(getattr(thing, name))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "rights", [("send",), ("observe",), ("control",), ("send", "observe", "control")], ids="+".join
)
def test_nothing_reachable_from_a_grant_gives_more_than_the_grant(manager, rights):
    async def fails(activity, state):
        raise ValueError(activity.payload)

    runtime = manager.create("a", 0, fails)
    grant = runtime.grant(rights)
    start = [grant]
    runtime.pause()
    waiting = [runtime.send_nowait(n, priority=bool(n % 2)) for n in range(4)]
    if "send" in rights:
        start += [grant.send_nowait(9), *waiting]
    if "observe" in rights:
        start += [grant.snapshot(), grant.mailbox_items(), grant.subscribe(), grant.whereabouts(), grant.fates()]
    waiting[0].add_callback(lambda: None)
    runtime.step()
    with contextlib.suppress(agentrt.AgentError):
        waiting[1].result(60)
    if "observe" in rights:
        start += [grant.error, grant.snapshot(), grant.metrics]
    if "control" in rights:
        start += [grant.drop(waiting[0].id), grant.promote(waiting[2].id)]
    found = [
        thing
        for thing in reachable(start)
        if isinstance(thing, MORE_THAN_A_GRANT) or isinstance(getattr(thing, "__self__", None), MORE_THAN_A_GRANT)
    ]
    assert found == []


@virtual
async def test_no_public_method_of_a_receipt_decides_an_activity(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    runtime.send_nowait(1)
    (activity,) = runtime.grant("observe").mailbox_items()
    receipt = activity.receipt  # it is cut off once the activity has a fate
    waits = asyncio.ensure_future(receipt.wait())
    await turns()
    offered = {name for name in dir(receipt) if not name.startswith("_")}
    assert offered == {
        "id",
        "value",
        "outcome",
        "runtime",
        "result",
        "stored",
        "block",
        "wait",
        "add_callback",
        "add_stored_callback",
        "decided",
        "settled",
        "when_decided",
    }
    with contextlib.suppress(agentrt.DeadlockError, TimeoutError):
        receipt.block(0, "")
    assert receipt.value is None
    runtime.resume()
    await waits
    assert receipt.outcome.state == 1


FROZEN = [0, "a", None, (1, ("b",)), frozenset({1}), Colour.RED, datetime.date.min, Path("x"), adder, int]
FROZEN += [Frozen(), FrozenData(), FrozenModel(), Frozen((FrozenData((1,)),))]
MUTABLE = [[], {}, set(), bytearray(), (1, []), Open(), OpenData(), OpenModel(), Anything(), MappingProxyType({})]
MUTABLE += [Frozen([]), FrozenData({}), FrozenModel(items=[]), (Frozen((Open(),)),)]


@pytest.mark.parametrize("state", FROZEN, ids=lambda state: type(state).__name__)
def test_a_frozen_state_is_read_as_it_is_without_a_warning(manager, state):
    assert is_frozen(state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runtime = manager.create("x", state, lambda activity, state: state)
    assert runtime.state is state


@pytest.mark.parametrize("state", MUTABLE, ids=lambda state: type(state).__name__)
def test_a_state_that_can_change_is_warned_about_once(manager, state):
    assert not is_frozen(state)
    with pytest.warns(UserWarning, match="the state of 'x' is a .*, which can be changed in place") as caught:
        runtime = manager.create("x", state, lambda activity, state: state)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the state of")
        runtime.send_nowait(1).result(60)


@pytest.mark.filterwarnings("ignore:the state of")
def test_a_state_that_can_change_is_copied_on_read(manager):
    copied = manager.create("copied", [[0]], lambda activity, state: [*state, activity.payload])
    copied.send_nowait(1).result(60)
    copied.state[0].append("from outside")
    assert copied.state == [[0], 1]
    itself = manager.create("itself", [0], lambda activity, state: state, copy_state=False)
    itself.state.append(1)
    assert itself.state == [0, 1]


def test_a_state_that_becomes_changeable_is_copied_from_then_on(manager):
    runtime = manager.create("x", None, lambda activity, state: activity.payload)
    for payload, copies in ((1, False), ([], True), ("a", False), ((), False)):
        runtime.send_nowait(payload).result(60)
        assert (runtime.state is not runtime.entry.state) is copies


@pytest.mark.filterwarnings("ignore:the state of")
def test_a_state_that_cannot_be_copied_is_read_as_it_is_and_said(manager):
    class Sealed:
        def __deepcopy__(self, memo):
            raise RuntimeError("no")

    state = Sealed()
    runtime = manager.create("x", state, lambda activity, state: state)
    with pytest.warns(UserWarning, match="can't be copied"):
        assert runtime.state is state


def test_a_large_state_is_looked_at_in_part():
    assert is_frozen(tuple(range(1_000_000)))
