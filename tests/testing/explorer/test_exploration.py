"""What is explored: as many orders as mathematics says, each failure found, with the shortest schedule."""

import asyncio
import math

import pytest

import agentrt
from agentrt.testing import explore, replay


def append(activity, state):
    return (*state, activity.payload)


def add(activity, state):
    return state + activity.payload


def senders(number, messages):
    """So many senders of so many messages each, to one runtime."""

    async def scenario(manager):
        log = manager.create("log", (), append)

        async def sender(name):
            for n in range(messages):
                await log.send((name, n))

        await asyncio.gather(*map(sender, range(number)))

    return scenario


async def overdraw(manager):
    async def client():
        balance = await account.ask(0)
        await account.ask(100 - balance)

    account = manager.create("account", 0, add)
    await asyncio.gather(client(), client())
    assert account.state == 100


# ---- closed forms


@pytest.mark.parametrize("number", range(1, 6))
def test_n_senders_of_one_message_have_n_factorial_orders(number):
    found = explore(senders(number, 1))
    assert (found.schedules, found.given_up, found.complete) == (math.factorial(number), 0, True)


@pytest.mark.parametrize("messages", range(1, 6))
def test_two_senders_of_k_have_2k_over_k_orders(messages):
    found = explore(senders(2, messages))
    assert (found.schedules, found.complete) == (math.comb(2 * messages, messages), True)


def test_three_senders_of_two_have_90_orders():
    found = explore(senders(3, 2))
    assert (found.schedules, found.complete) == (90, True)


def test_pairs_that_share_nothing_have_one_order():
    async def scenario(manager):
        async def pair(name):
            await manager.create(name, (), append).ask(1)

        await asyncio.gather(*map(pair, "abcde"))

    found = explore(scenario)
    assert (found.schedules, found.complete) == (1, True)


def test_an_arrival_and_the_take_of_an_earlier_message_commute():
    async def scenario(manager):
        log = manager.create("log", (), append)
        await log.send("first")
        await log.send("second")

    assert explore(scenario).schedules == 1
    assert explore(scenario, strategy="all").schedules > 1


def test_deliveries_to_different_runtimes_commute():
    async def scenario(manager):
        left, right = manager.create("left", (), append), manager.create("right", (), append)

        async def sender():
            await left.send(1)
            await right.send(1)

        await asyncio.gather(sender(), right.pause() or asyncio.sleep(0))

    assert explore(scenario).schedules == 1


def test_lanes_matter_where_one_overtakes():
    async def scenario(manager):
        log = manager.create("log", (), append)
        await asyncio.gather(log.ask("standard"), log.ask("priority", priority=True))
        return log.state

    found = explore(scenario)
    assert sorted(found.results) == [("priority", "standard"), ("standard", "priority")]


def test_a_full_lane_makes_arrivals_and_takes_depend():
    async def scenario(manager):
        log = manager.create("log", (), append, standard_capacity=1)

        async def sender(name):
            try:
                log.send_nowait(name)
            except agentrt.MailboxFullError:
                return False
            return True

        return tuple(await asyncio.gather(*map(sender, "ab")))

    assert set(explore(scenario).results) == {(True, True), (True, False), (False, True)}


# ---- failures


def test_a_lost_update_is_found_with_its_shortest_schedule():
    found = explore(overdraw)
    assert found.complete
    (failure,) = found.failures
    assert (failure.kind, failure.text) == ("assertion", "AssertionError: assert 200 == 100")
    (shortest,) = explore(overdraw, strategy="all").failures
    assert len(failure.schedule) == len(shortest.schedule)
    assert failure.schedule.switches == shortest.schedule.switches
    assert failure.schedule.names[:4] == ("overdraw()", "client()", "client() 2", "account")


def test_a_failure_is_run_again():
    (failure,) = explore(overdraw).failures
    with pytest.raises(AssertionError):
        failure.replay()
    with pytest.raises(AssertionError):
        replay(overdraw, failure.schedule.names, strict=True)
    one_after_the_other = ("overdraw()", *2 * ("client()", "account"), *3 * ("client()",))
    replay(overdraw, one_after_the_other)


def test_check_raises_with_the_schedule():
    with pytest.raises(AssertionError) as caught:
        explore(overdraw).check()
    assert "client() 2: sends 0 to account" in caught.value.__notes__[0]
    explore(senders(2, 1)).check()


def test_a_circle_of_asks_is_a_deadlock():
    async def scenario(manager):
        async def forward(activity, state, ctx):
            if activity.payload is not None:
                await ctx.ask(activity.payload, None)
            return state

        left, right = manager.create("left", 0, forward), manager.create("right", 0, forward)
        await asyncio.gather(left.ask("right"), right.ask("left"))

    found = explore(scenario)
    assert {failure.kind for failure in found.failures} == {"deadlock"}


def test_an_error_that_nobody_awaits():
    async def scenario(manager):
        await manager.create("divide", 1, lambda activity, state: state / activity.payload).send(0)

    (failure,) = explore(scenario).failures
    assert (failure.kind, failure.text) == ("unhandled error", "ZeroDivisionError: division by zero")


def test_an_error_that_is_handled_is_none():
    async def scenario(manager):
        divide = manager.create("divide", 1, lambda activity, state: state / activity.payload)
        with pytest.raises(agentrt.ProcessingError):
            await divide.ask(0)

    assert explore(scenario).failures == []


def test_a_reply_that_never_comes():
    async def scenario(manager):
        log = manager.create("log", (), append)
        log.pause()
        asyncio.get_running_loop().create_task(log.ask(1))

    (failure,) = explore(scenario).failures
    assert failure.kind == "lost reply"
    assert "'log'" in failure.text


def test_a_task_that_fails_and_nobody_awaits():
    async def scenario(manager):
        async def fail():
            raise ValueError("lost")

        async def begin(activity, state):
            asyncio.get_running_loop().create_task(fail())
            return state

        await manager.create("begin", 0, begin).ask(None)

    (failure,) = explore(scenario).failures
    assert failure.text == "ValueError: lost"


# ---- time


def test_time_passes_while_nothing_is_ready():
    async def scenario(manager):
        log = manager.create("log", (), append)
        await log.send("late", delay=60)
        await log.ask("early")
        await asyncio.sleep(61)
        return log.state

    assert explore(scenario).results == [("early", "late")]


def test_two_timers_of_one_time_come_in_either_order():
    async def scenario(manager):
        log = manager.create("log", (), append)

        async def later(name):
            await asyncio.sleep(60)
            await log.ask(name)

        await asyncio.gather(later("a"), later("b"))
        return log.state

    assert sorted(explore(scenario).results) == [("a", "b"), ("b", "a")]


def test_early_timers_come_before_what_is_ready():
    async def scenario(manager):
        log = manager.create("log", (), append)
        try:
            async with asyncio.timeout(60):
                return await log.ask(1)
        except TimeoutError:
            return "late"

    assert explore(scenario).results == [(1,)]
    assert set(explore(scenario, early_timers=True).results) == {(1,), "late"}


def test_a_scenario_that_goes_on_for_ever_is_cut():
    async def scenario(manager):
        while True:
            await asyncio.sleep(1)

    found = explore(scenario, budget=1)
    assert (found.cut, found.complete, found.failures) == (1, False, [])
    assert "went on for too long, and were cut: 1" in repr(found)


def test_in_a_loop_that_runs():
    async def main():
        loop = asyncio.get_running_loop()
        found = explore(overdraw)
        await asyncio.sleep(0)
        return found.complete, asyncio.get_running_loop() is loop

    assert asyncio.run(main()) == (True, True)


# ---- arguments


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_other_strategies_find_it_too(strategy):
    found = explore(overdraw, budget=100, strategy=strategy, seed=1)
    assert (found.schedules, found.complete, len(found.failures)) == (100, False, 1)


def test_the_budget_is_a_number_of_schedules_or_seconds():
    assert explore(senders(5, 1), budget=7).schedules == 7
    found = explore(senders(7, 2), budget=0.05)
    assert not found.complete


@pytest.mark.parametrize("options", [{"budget": 0}, {"budget": "5"}, {"strategy": "fast"}, {"seed": "x"}])
def test_arguments_that_cannot_work(options):
    with pytest.raises(agentrt.ConfigurationError):
        explore(overdraw, **options)


def test_a_scenario_is_an_async_def():
    for call in (explore, replay):
        with pytest.raises(agentrt.ConfigurationError, match="scenario"):
            call(lambda manager: None, *[()] * (call is replay))


def test_it_logs_nothing(caplog):
    async def scenario(manager):
        async def fail(activity, state):
            asyncio.get_running_loop().create_task(manager.ask("nobody", 1))
            return state

        await manager.create("fail", 0, fail).ask(None)

    assert explore(scenario).failures
    assert caplog.records == []


def test_it_says_that_the_scenario_is_not_the_same_each_time():
    times = iter(range(100))

    async def scenario(manager):
        async def client():
            pass

        async def other():
            pass

        await asyncio.gather(other() if next(times) else client(), asyncio.sleep(0), asyncio.sleep(0))

    with pytest.raises(agentrt.ConfigurationError, match="does not do the same again"):
        explore(scenario, strategy="all")


def test_it_says_that_the_scenario_keeps_a_count_of_its_runs():
    times = iter(range(100))

    async def scenario(manager):
        account = manager.create("account", 0, add)
        for _ in range(next(times) % 3 + 1):
            await account.ask(1)

    with pytest.raises(agentrt.ConfigurationError, match="does not do the same again"):
        explore(scenario)


def test_system_exit_is_a_failure_of_the_scenario():
    async def scenario(manager):
        await manager.create("account", 0, add).ask(1)
        raise SystemExit(3)

    found = explore(scenario)
    assert (found.complete, found.failures[0].kind) == (True, "error")
    assert "SystemExit" in found.failures[0].text


def test_random_is_the_same_in_every_order():
    async def scenario(manager):
        async def draw(activity, state, ctx):
            ctx.reply(ctx.random.random())
            return state

        dice = manager.create("dice", 0, draw)
        return tuple(await asyncio.gather(dice.ask("a"), dice.ask("b")))

    found = explore(scenario)
    assert (found.schedules, len(found.results)) == (2, 1)


def test_it_says_what_was_found():
    assert repr(explore(senders(3, 1))).startswith("<Exploration dpor: 6 schedules, complete, no failure, ")
    assert "1 failure" in repr(explore(overdraw))
    assert "9 switches" in repr(explore(overdraw).failures[0].schedule)
