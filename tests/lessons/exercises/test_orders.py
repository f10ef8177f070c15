"""What each exercise takes for done, and what it says of answers that are not."""

import pytest

from agentrt.lessons.exercises.orders import first_above, moved_desks, no_lost_update, paid_once, seats


def shop(key, effect=True):
    def make(charge):
        async def workflow(activity, total, ctx):
            if effect:
                await ctx.effect("charge", charge, key(activity), activity.payload)
            else:
                charge(key(activity), activity.payload)
            return total + activity.payload

        return workflow

    return make


def test_paid_once_with_a_key_that_stays():
    assert paid_once.check(shop(lambda activity: activity.id)).passed
    assert paid_once.check(shop(lambda activity: activity.key, effect=False)).passed


def test_paid_once_with_the_number_of_an_activity_that_nothing_has_stored():
    """What was accepted may be gone after a crash; sent again, it has another number. An effect waits for the disk."""
    assert not paid_once.check(shop(lambda activity: activity.id, effect=False)).passed


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (lambda activity: object(), "the customer has paid 30"),
        (lambda activity: "order", "the customer has paid 10"),
    ],
)
def test_paid_once_with_another_key(key, words):
    said = paid_once.check(shop(key))
    assert not said.passed
    assert words in said.words


def test_first_above():
    assert first_above.check(lambda history, limit: history.search(lambda state: state > limit)).passed
    assert not first_above.check(lambda history, limit: history.search(lambda state: state > 100)).passed
    assert not first_above.check(lambda history, limit: None).passed


def cell(activity, state):
    return activity.payload[1] if isinstance(activity.payload, tuple) else state


async def read_and_write(account, amount):
    balance = await account.ask("get")
    await account.ask(("put", balance + amount))


async def add(account, amount):
    await account.ask(amount)


def test_no_lost_update():
    assert no_lost_update.check(lambda: (lambda activity, state: state + activity.payload, add)).passed
    said = no_lost_update.check(lambda: (cell, read_and_write))
    assert not said.passed
    assert "10 and 20 were paid in, and " in said.words


def test_seats():
    assert seats.check(lambda left, right: (right, left) if left == 0 else (left, right)).passed
    assert seats.check(lambda left, right: (min(left, right), max(left, right))).passed
    assert seats.check(lambda left, right: (left, right)).words.startswith("with 2 philosophers, in one of ")
    assert not seats.check(lambda left, right: (left, left)).passed


def test_moved_desks():
    assert moved_desks.check(1500).passed
    assert moved_desks.check(4500).words == "not 4,500: 6,000 desks were placed on three nodes and then on four"
