"""Objects that several processes reach, and one changes: noticed, and explored as well."""

import asyncio
import itertools
import random
from dataclasses import dataclass
from types import ModuleType

import pytest

from agentrt.testing import ScheduleError, explore

settings = ModuleType("settings")
COUNTS: dict[str, int] = {}


def ask_all(*runtimes):
    return asyncio.gather(*(runtime.ask(1) for runtime in runtimes))


async def lose_update_in_closure(manager):
    counts = {"n": 0}

    async def count(activity, state):
        n = counts["n"]
        await asyncio.sleep(0)
        counts["n"] = n + 1
        return state

    await ask_all(manager.create("a", 0, count), manager.create("b", 0, count))
    assert counts["n"] == 2


async def lose_update_in_global(manager):
    COUNTS.clear()

    async def count(activity, state):
        n = COUNTS.get("n", 0)
        await asyncio.sleep(0)
        COUNTS["n"] = n + 1
        return state

    await ask_all(manager.create("a", 0, count), manager.create("b", 0, count))
    assert COUNTS["n"] == 2


@dataclass
class Counter:
    n: int = 0

    async def count(self, activity, state):
        n = self.n
        await asyncio.sleep(0)
        self.n = n + 1
        return state


async def lose_update_in_self(manager):
    counter = Counter()
    await ask_all(manager.create("a", 0, counter.count), manager.create("b", 0, counter.count))
    assert counter.n == 2


@pytest.mark.parametrize("scenario", [lose_update_in_closure, lose_update_in_global, lose_update_in_self])
def test_a_lost_update_of_a_shared_object_is_found(scenario):
    found = explore(scenario)
    assert found.complete
    assert [failure.kind for failure in found.failures] == ["assertion"]
    (who,) = found.shared.values()
    assert {"a", "b"} <= who
    assert "is changed and shared by a, b" in repr(found)


def test_waiting_for_each_other_is_a_deadlock():
    async def scenario(manager):
        one, other = asyncio.Lock(), asyncio.Lock()

        async def both(first, second):
            async with first:
                await asyncio.sleep(0)
                async with second:
                    pass

        await asyncio.gather(both(one, other), both(other, one))

    (failure,) = explore(scenario).failures
    assert failure.kind == "deadlock"
    assert "both() waits at test_shared.py" in failure.text
    with pytest.raises(ScheduleError, match="deadlock"):
        failure.replay()


def test_a_payload_that_is_changed_after_it_was_sent():
    async def scenario(manager):
        def total(activity, state):
            return state + sum(activity.payload)

        account = manager.create("account", 0, total)
        items = [1]
        await account.send(items)
        await asyncio.sleep(0)
        items.append(2)
        return await account.ask([])

    found = explore(scenario)
    assert sorted(found.results) == [1, 3]
    assert list(found.shared) == ["a payload of account"]


def test_a_reply_that_is_changed():
    async def scenario(manager):
        async def give(activity, state, ctx):
            ctx.reply(state)
            state.append(1)
            return state

        log = manager.create("log", [], give)
        first = await log.ask(1)
        await log.send(1)
        return len(first)

    with pytest.warns(UserWarning, match="changed in place"):
        found = explore(scenario)
    assert "a reply of log" in found.shared or "the state of log" in found.shared


def test_an_iterator_that_two_draw_from():
    async def scenario(manager):
        numbers = itertools.count()

        def draw(activity, state):
            return next(numbers)

        return tuple(await ask_all(manager.create("a", 0, draw), manager.create("b", 0, draw)))

    assert sorted(explore(scenario).results) == [(0, 1), (1, 0)]


def test_a_random_generator_that_two_draw_from():
    async def scenario(manager):
        chance = random.Random(1)

        def draw(activity, state):
            return chance.random()

        return tuple(await ask_all(manager.create("a", 0, draw), manager.create("b", 0, draw)))

    assert len(explore(scenario).results) == 2


async def draw_from_the_module(manager):
    def draw(activity, state):
        return random.random()

    return tuple(await ask_all(manager.create("a", 0, draw), manager.create("b", 0, draw)))


def test_the_generator_of_the_module_random():
    found = explore(draw_from_the_module)
    assert len(found.results) == 2
    assert list(found.shared) == ["random"]


def test_an_attribute_of_a_module_that_is_set():
    async def scenario(manager):
        settings.level = 0

        def raise_level(activity, state):
            settings.level += activity.payload
            return settings.level

        return tuple(await ask_all(manager.create("a", 0, raise_level), manager.create("b", 0, raise_level)))

    assert sorted(explore(scenario).results) == [(1, 2), (2, 1)]


def test_what_is_only_read_adds_no_order():
    async def scenario(manager):
        prices = {"tea": 3}

        def price(activity, state):
            return prices["tea"]

        return tuple(await ask_all(manager.create("a", 0, price), manager.create("b", 0, price)))

    found = explore(scenario)
    assert (found.schedules, found.shared) == (1, {})


def test_an_object_that_holds_much_is_named():
    async def scenario(manager):
        table = [[n] for n in range(2_000)]

        def look(activity, state):
            return len(table)

        await manager.create("a", 0, look).ask(1)

    assert explore(scenario).unseen == {"table[...]"}
