"""Supervision groups: who begins again with whom, and what becomes of mailboxes and receipts."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentrt
from agentrt import ConfigurationError, Fate, ProcessingError, RuntimeFailedError, Status
from agentrt.supervision import Policy, Response, Rule, Strategy, respond
from agentrt.testing.virtual import run

CHILDREN = ("a", "b", "c")


async def worker(activity, state, ctx):
    """Adds numbers; "fail" fails, a tuple (n,) sleeps n seconds."""
    payload = activity.payload
    if payload == "fail":
        raise ValueError("as asked")
    if isinstance(payload, tuple):
        await ctx.sleep(payload[0])
        return state + 1
    return state + payload


def virtual(main, seed=None):
    """Run `main(manager)` in virtual time."""

    async def go():
        async with agentrt.RuntimeManager(loop="current", seed=1) as manager:
            return await main(manager)

    return run(go(), seed=seed, timeout=10_000)


async def settled(receipt):
    """The outcome, whatever it is."""
    await receipt.wait()
    return receipt.outcome


def three(manager, group):
    return [group.create(name, 0, worker) for name in CHILDREN]


# --- the decision


@pytest.mark.parametrize(
    ("strategy", "concerned"), [("one_for_one", ("b",)), ("one_for_all", ("a", "b", "c")), ("rest_for_one", ("b", "c"))]
)
def test_the_strategy_says_who_restarts_in_start_order(strategy, concerned):
    assert respond(Rule(strategy), CHILDREN, "b", [0.0], 0.0) == Response(restart=concerned)
    assert respond(Rule(strategy, policy="stop"), CHILDREN, "b", [0.0], 0.0) == Response(stop=concerned)


def test_one_restart_more_than_the_intensity_escalates():
    rule = Rule(intensity=2, period=10)
    assert not respond(rule, CHILDREN, "a", [0, 1], 1).escalate
    assert respond(rule, CHILDREN, "a", [0, 1, 2], 2) == Response(escalate=True)
    assert not respond(rule, CHILDREN, "a", [0, 1, 12], 12).escalate


def test_continue_does_nothing_and_escalate_passes_on():
    assert respond(Rule(policy="continue"), CHILDREN, "a", [0] * 9, 0) == Response()
    assert respond(Rule(policy="escalate"), CHILDREN, "a", [0], 0) == Response(escalate=True)


@given(
    st.sampled_from(Strategy),
    st.sampled_from(Policy),
    st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True).flatmap(
        lambda names: st.tuples(st.just(names), st.sampled_from(names))
    ),
    st.lists(st.floats(0, 100), max_size=8),
)
def test_a_response_keeps_the_order_and_does_one_thing(strategy, policy, names, failures):
    children, failed = names
    answer = respond(Rule(strategy, policy), children, failed, failures, 100)
    for named in (answer.restart, answer.stop):
        assert [name for name in children if name in named] == list(named)
        assert not named or failed in named
    assert sum(map(bool, (answer.restart, answer.stop, answer.escalate))) == (policy is not Policy.CONTINUE)


@pytest.mark.parametrize(
    "wrong", [{"strategy": "all"}, {"policy": "retry"}, {"intensity": -1}, {"intensity": 1.5}, {"period": 0}]
)
def test_a_rule_that_cannot_work_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Rule(**wrong)


# --- restart


@pytest.mark.parametrize(
    ("strategy", "states"), [("one_for_one", [5, 0, 5]), ("one_for_all", [0, 0, 0]), ("rest_for_one", [5, 0, 0])]
)
def test_a_failure_restarts_those_concerned_from_the_initial_state(strategy, states):
    async def main(manager):
        runtimes = three(manager, manager.group("g", strategy))
        for runtime in runtimes:
            await runtime.ask(5)
        with pytest.raises(ProcessingError):
            await runtimes[1].ask("fail")
        assert [runtime.state for runtime in runtimes] == states
        records, _, _ = manager.ring.since(0)
        restarted = [r.runtime for r in records if r.kind == "restarted"]
        assert restarted == [name for name, state in zip(CHILDREN, states, strict=True) if state == 0]
        assert await runtimes[1].ask(2) == 2

    virtual(main)


@pytest.mark.parametrize("seed", range(5))
def test_a_restart_keeps_mailbox_and_receipts_and_cancels_what_a_sibling_runs(seed):
    async def main(manager):
        one, _, other = three(manager, manager.group("g", "one_for_all"))
        busy = other.send_nowait((100,))
        waiting = [other.send_nowait(n) for n in (1, 2)]
        manager.speed = 1
        while other.status is not Status.PROCESSING:
            await asyncio.sleep(0)
        before = manager.clock.now()
        failed = await settled(one.send_nowait("fail"))
        interrupted = await settled(busy)
        assert (failed.fate, interrupted.fate) == (Fate.FAILED, Fate.FAILED)
        assert manager.clock.now() - before < 1
        with pytest.raises(ProcessingError, match="restarted by its group 'g'") as caught:
            await busy
        assert caught.value.__cause__.runtime == "a"
        assert caught.value.activity == busy.id
        assert [(await receipt).state for receipt in waiting] == [1, 3]
        assert other.fates().adds_up
        assert other.fates().failed == 1

    virtual(main, seed)


def test_an_interrupted_sibling_that_does_not_listen_is_stuck_and_its_late_result_is_fenced():
    async def deaf(activity, state, ctx):
        try:
            await ctx.sleep(5)
        except asyncio.CancelledError:
            await ctx.sleep(50)
        return state + 1000

    async def main(manager):
        group = manager.group("g", "one_for_all")
        one = group.create("one", 0, worker)
        slow = group.create("slow", 0, deaf)
        busy = slow.send_nowait(None)
        while slow.status is not Status.PROCESSING:
            await asyncio.sleep(0)
        await settled(one.send_nowait("fail"))
        following = slow.send_nowait(None)
        await asyncio.sleep(10)
        assert slow.status is Status.STUCK
        assert busy.outcome.fate is Fate.FAILED
        assert (await following).state == 1000
        assert slow.fates().failed == 1
        assert slow.fates().adds_up

    virtual(main)


def test_an_interruption_is_no_failure_of_the_sibling():
    async def main(manager):
        group = manager.group("g", "one_for_all", intensity=1)
        one, other = group.create("one", 0, worker), group.create("other", 0, worker)
        busy = other.send_nowait((100,))
        while other.status is not Status.PROCESSING:
            await asyncio.sleep(0)
        await settled(one.send_nowait("fail"))
        await settled(busy)
        assert one.status is not Status.FAILED
        assert await other.ask(1) == 1

    virtual(main)


def test_a_restart_ends_failed_and_keeps_a_pause():
    async def main(manager):
        group = manager.group("g", "one_for_all")
        one = group.create("one", 0, worker)
        broken = group.create("broken", 0, worker, supervision=agentrt.Supervision("stop", intensity=1))
        paused = group.create("paused", 0, worker)
        await settled(broken.send_nowait("fail"))
        assert broken.status is Status.FAILED
        paused.pause()
        await settled(one.send_nowait("fail"))
        assert broken.status is Status.IDLE
        assert paused.status is Status.PAUSED

    virtual(main)


# --- stop


def test_stop_keeps_the_mailbox_until_recover():
    async def main(manager):
        group = manager.group("g", "one_for_all", policy="stop")
        one, two, _ = three(manager, group)
        await two.ask(7)
        busy = two.send_nowait((100,))
        waiting = two.send_nowait(1)
        while two.status is not Status.PROCESSING:
            await asyncio.sleep(0)
        await settled(one.send_nowait("fail"))
        assert (await settled(busy)).fate is Fate.FAILED
        await asyncio.sleep(1)
        assert [runtime.status for runtime in manager.runtimes()] == [Status.FAILED] * 3
        assert [runtime.state for runtime in manager.runtimes()] == [0, 7, 0]
        assert waiting.outcome is None
        with pytest.raises(RuntimeFailedError, match="stopped by its group"):
            two.send_nowait(1)
        two.recover()
        assert (await waiting).state == 8
        assert one.status is Status.FAILED
        group.recover()
        assert await one.ask(1) == 1

    virtual(main)


def test_a_runtime_without_a_group_that_escalates_is_stopped():
    async def main(manager):
        alone = manager.create("alone", 0, worker, supervision=agentrt.Supervision("escalate", intensity=1))
        await settled(alone.send_nowait("fail"))
        assert alone.status is Status.FAILED

    virtual(main)


# --- intensity and parents


def test_a_group_that_restarts_too_often_stops_all_its_children():
    async def main(manager):
        runtimes = three(manager, manager.group("g", intensity=2, period=60))
        for _ in range(2):
            await settled(runtimes[0].send_nowait("fail"))
            assert runtimes[0].status is not Status.FAILED
        await settled(runtimes[0].send_nowait("fail"))
        assert [runtime.status for runtime in runtimes] == [Status.FAILED] * 3

    virtual(main)


def test_old_failures_do_not_count():
    async def main(manager):
        runtimes = three(manager, manager.group("g", intensity=1, period=60))
        for _ in range(5):
            await settled(runtimes[0].send_nowait("fail"))
            await asyncio.sleep(61)
        assert runtimes[0].status is not Status.FAILED

    virtual(main)


def test_a_group_that_gives_up_escalates_to_its_parent_which_restarts_it_as_one_child():
    async def main(manager):
        top = manager.group("top", "rest_for_one")
        before = top.create("before", 0, worker)
        inner = manager.group("inner", intensity=1, parent=top)
        runtimes = three(manager, inner)
        after = top.create("after", 0, worker)
        for runtime in manager.runtimes():
            await runtime.ask(3)
        await settled(runtimes[0].send_nowait("fail"))
        assert [r.state for r in manager.runtimes()] == [3, 0, 3, 3, 3]
        await settled(runtimes[0].send_nowait("fail"))
        assert [r.state for r in manager.runtimes()] == [3, 0, 0, 0, 0]
        assert {before.status, after.status, runtimes[2].status} == {Status.IDLE}
        records, _, _ = manager.ring.since(0)
        said = [(r.detail["group"], r.detail["escalate"]) for r in records if r.kind == "escalated"]
        assert said == [("inner", False), ("inner", True), ("top", False)]
        # The restart forgot the inner group's failures: it may restart once more by itself.
        await settled(runtimes[0].send_nowait("fail"))
        assert [r.detail["group"] for r in manager.ring.since(0)[0] if r.kind == "escalated"][-1] == "inner"

    virtual(main)


def test_without_a_supervision_of_its_own_every_failure_is_the_groups():
    async def main(manager):
        group = manager.group("g")
        own = manager.create("own", 0, worker, group="g", supervision=agentrt.Supervision("escalate", intensity=2))
        await own.ask(1)
        await settled(own.send_nowait("fail"))
        assert own.state == 1
        await settled(own.send_nowait("fail"))
        assert own.state == 0
        assert group.children == ("own",)

    virtual(main)


# --- joining and leaving


def test_a_terminated_runtime_leaves_its_group():
    async def main(manager):
        group = manager.group("g", "one_for_all")
        one, two, _ = three(manager, group)
        await two.terminate()
        assert group.children == ("a", "c")
        await settled(one.send_nowait("fail"))
        group.create("b", 0, worker)
        assert group.children == ("a", "c", "b")

    virtual(main)


def test_a_runtime_that_ends_as_soon_as_it_can_be_found_leaves_its_group_as_well():
    async def main(manager):
        group = manager.group("g", "one_for_all")
        made = manager.create_entry

        def made_and_ended(*args):
            entry = made(*args)
            manager.terminate(entry.id)  # as another thread may, from the moment on that it is in the map
            return entry

        manager.create_entry = made_and_ended
        group.create("ghost", 0, worker)
        manager.create_entry = made
        assert (group.children, list(manager)) == ((), [])
        runtime = group.create("ghost", 0, worker)
        with pytest.raises(ProcessingError):
            await runtime.ask("fail")
        assert await runtime.ask(2) == 2

    virtual(main)


def test_asking_for_a_group_again_changes_its_rule():
    with agentrt.RuntimeManager() as manager:
        group = manager.group("g", intensity=1)
        assert manager.group("g", "one_for_all", intensity=3) is group
        assert group.rule == Rule("one_for_all", intensity=3)
        with pytest.raises(ConfigurationError, match="another parent"):
            manager.group("g", parent=manager.group("other"))


def test_what_cannot_be_joined_is_refused_and_nothing_is_made():
    with agentrt.RuntimeManager() as manager, agentrt.RuntimeManager() as foreign:
        group = manager.group("g")
        manager.group("inner", parent=group)
        for wrong in ("none", foreign.group("g")):
            with pytest.raises(ConfigurationError, match="no group of this manager"):
                manager.create("x", 0, worker, group=wrong)
        with pytest.raises(ConfigurationError, match="has a child 'inner' already"):
            group.create("inner", 0, worker)
        with pytest.raises(ConfigurationError, match="must be a string"):
            manager.group("")
        assert list(manager) == []


def test_fates_add_up_through_many_restarts():
    async def main(manager):
        group = manager.group("g", "one_for_all", intensity=1000)
        runtimes = three(manager, group)
        receipts = []
        for runtime, payload in itertools.islice(
            zip(itertools.cycle(runtimes), itertools.cycle([1, (3,), "fail", 2, (1,)]), strict=False), 200
        ):
            receipts.append(await runtime.send(payload))
            await asyncio.sleep(0.5)
        outcomes = [await settled(receipt) for receipt in receipts]
        assert manager.fates().adds_up
        assert manager.fates().pending == 0
        assert len(outcomes) == manager.fates().accepted == 200

    virtual(main, seed=3)
