"""shared_items.py: copies share a list, and none sees what another one does."""

import random

from agentrt import Activity
from agentrt.history.shared_items import SharedItems


def ids(items: SharedItems) -> list[int]:
    return [each.id for each in items]


def test_copies_go_their_own_ways():
    one = SharedItems([Activity(1), Activity(2)])
    two, three = one.copy(), one.copy()
    one.append(Activity(3))
    two.append(Activity(4))
    three.remove(2)
    assert (ids(one), ids(two), ids(three)) == ([1, 2, 3], [1, 2, 4], [1])


def test_the_same_may_be_added_by_both():
    one, third = SharedItems([Activity(1)]), Activity(3)
    two = one.copy()
    one.append(third)
    two.append(third)
    one.remove(1)
    assert (ids(one), ids(two)) == ([3], [1, 3])


def test_random_changes_are_those_of_a_list():
    chance, number = random.Random(7), 0
    pairs = [(SharedItems(), [])]
    for _ in range(2_000):
        items, expected = chance.choice(pairs)
        what = chance.choice("aaaaarrridc")
        if what == "a":
            number += 1
            items.append(Activity(number))
            expected.append(number)
        elif what == "c" and len(pairs) < 20:
            pairs.append((items.copy(), expected.copy()))
        elif expected:
            id = expected[0] if what == "r" else chance.choice(expected)
            if what == "i":
                number += 1
                items.insert(Activity(number), id)
                expected.insert(expected.index(id), number)
            else:
                assert items.remove(id).id == id
                expected.remove(id)
                assert items.find(id) is None
    for items, expected in pairs:
        assert (ids(items), len(items)) == (expected, len(expected))
        assert ids(items.compact()) == expected
