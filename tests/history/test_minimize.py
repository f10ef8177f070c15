"""minimize.py: the fewest parts that still lead there."""

import random

import pytest

from agentrt.history.minimize import minimize


@pytest.mark.parametrize("needed", [set(), {0}, {99}, {3, 57}, {1, 2, 3, 97}, set(range(0, 100, 7))])
def test_what_is_needed_is_left_in_its_order(needed):
    assert minimize(range(100), lambda part: needed <= set(part)) == sorted(needed)


def test_it_takes_few_tries():
    tries = []

    def leads_there(part: list[int]) -> bool:
        tries.append(part)
        return 700 in part

    assert minimize(range(1_000), leads_there) == [700]
    assert len(tries) < 60


def test_without_any_one_of_what_is_left_it_does_not_lead_there():
    chance = random.Random(3)
    weights = [chance.randint(1, 9) for _ in range(60)]
    left = minimize(range(60), lambda part: sum(weights[each] for each in part) >= 100)
    total = sum(weights[each] for each in left)
    assert all(total - weights[each] < 100 for each in left)
