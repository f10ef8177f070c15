"""Faults besides the order: a crash between any two commits, a second delivery, a timer that is lost."""

import gc

import pytest

import agentrt
from agentrt.testing import explore, replay
from agentrt.testing.explorer.world import ExploredManager

PAID = []


def add(activity, state):
    return state + activity.payload


async def pay_once(manager):
    """With a key, and the amount as the state."""
    account = manager.create("account", 0, add)
    await (await account.send(1, key="payment"))
    assert account.state == 1


async def pay_again(manager):
    """Without a key: who sends again after a crash pays twice."""
    account = manager.create("account", 0, add)
    await (await account.send(1))
    assert account.state == 1


def test_a_durable_activity_with_a_key_is_done_once_whenever_it_crashes():
    found = explore(pay_once, faults="crash")
    assert found.complete
    assert found.failures == []
    assert found.schedules > 10


def test_a_crash_after_the_sending_is_found():
    found = explore(pay_again, faults="crash")
    (failure,) = found.failures
    assert failure.kind == "assertion"
    assert "crash" in failure.schedule.names
    assert "the journal" in failure.schedule.names
    with pytest.raises(AssertionError):
        failure.replay()
    with pytest.raises(AssertionError):
        replay(pay_again, failure.schedule.names, faults="crash")
    assert explore(pay_again).failures == []


def test_nothing_is_left_of_the_managers():
    (failure,) = explore(pay_again, faults="crash").failures
    with pytest.raises(AssertionError):
        failure.replay()
    del failure
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, ExploredManager)]


def payment(with_record):
    async def scenario(manager):
        async def pay(activity, state, ctx):
            if with_record:
                await ctx.effect("pay", PAID.append, 1)
            else:
                PAID.append(1)
            return state + 1

        account = manager.create("account", 0, pay)
        if not account.resumed:
            PAID.clear()
        await (await account.send(1, key="payment"))
        assert account.state == 1
        return len(PAID)

    return scenario


@pytest.mark.parametrize("with_record", [True, False])
def test_a_side_effect_may_be_done_twice_but_the_state_changes_once(with_record):
    found = explore(payment(with_record), faults="crash")
    assert found.complete
    assert found.failures == []
    assert set(found.results) == {1, 2}


def test_what_is_only_in_memory_is_gone():
    async def scenario(manager):
        account = manager.create("account", 0, add, durable=False)
        return await account.ask(1)

    assert explore(scenario, faults="crash").results == [1]


def test_a_second_delivery_is_found():
    async def scenario(manager):
        account = manager.create("account", 0, add)
        await account.ask(1)
        await account.ask(2)
        assert account.state == 3

    assert explore(scenario).failures == []
    (failure,) = explore(scenario, faults="duplicate").failures
    assert "account again" in failure.schedule.names


def test_an_agent_that_knows_what_it_has_seen_takes_a_second_delivery():
    async def scenario(manager):
        def add_once(activity, state):
            return state if activity.payload in state else (*state, activity.payload)

        account = manager.create("account", (), add_once)
        await account.ask("a")
        await account.ask("b")
        assert account.state == ("a", "b")

    found = explore(scenario, faults="duplicate")
    assert found.complete
    assert found.failures == []


def test_a_timer_that_is_lost_is_found():
    async def scenario(manager):
        await (await manager.create("account", 0, add).send(1, delay=60))

    assert explore(scenario).failures == []
    (failure,) = explore(scenario, faults=["lost_timer"]).failures
    assert failure.kind == "lost reply"


def test_a_fault_that_is_none():
    with pytest.raises(agentrt.ConfigurationError):
        explore(pay_once, faults="fire")


async def hand_on(activity, state, ctx):
    await ctx.send("b", activity.payload)
    return state + activity.payload


async def one_hands_on(manager):
    """One durable agent sends to another as it commits: after a crash both have it, or neither."""
    last, first = manager.create("b", 0, add), manager.create("a", 0, hand_on)
    await (await first.send(1, key="k"))
    return first.state, last.state


async def each_its_own(manager):
    """Two durable agents that have nothing to do with each other, and a sender that sends again after a crash."""
    one, other = manager.create("a", 0, add), manager.create("b", 0, add)
    await (await one.send(1, key="k"))
    await (await other.send(1))
    assert (one.state, other.state) != (1, 2)
    return one.state, other.state


async def one_forgets(manager):
    """A durable agent sends to one that lives in memory: after a crash that one may never hear of it."""
    last, first = manager.create("b", 0, add, durable=False), manager.create("a", 0, hand_on)
    await (await first.send(1, key="k"))
    return first.state, last.state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "results", "failures"),
    [
        (one_hands_on, {(1, 0), (1, 1)}, []),
        (each_its_own, {(1, 1)}, ["assertion"]),
        (one_forgets, {(1, 0), (1, 1)}, []),
    ],
)
def test_two_agents_and_a_crash_come_to_the_same_as_by_brute_force(scenario, results, failures):
    every, found = explore(scenario, 10_000, "all", faults="crash"), explore(scenario, faults="crash")
    assert every.complete
    assert found.complete
    assert set(found.results) == set(every.results) == results
    assert [each.kind for each in found.failures] == [each.kind for each in every.failures] == failures
    assert [each.schedule.names for each in found.failures] == [each.schedule.names for each in every.failures]
    assert 10 < found.schedules < every.schedules / 2
