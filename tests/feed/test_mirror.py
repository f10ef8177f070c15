from agentrt.feed.mirror import Mirror


def test_records_have_the_places_they_have_there():
    mirror = Mirror(limit=5)
    mirror.add(["a", "b"], 0)
    mirror.add(["c"], 10)
    assert mirror.cursor == 13
    assert mirror.since(0) == (["a", "b", "c"], 13, 10)
    assert mirror.since(2) == (["c"], 13, 10)
    assert mirror.since(5) == (["c"], 13, 7)
    assert mirror.since(13) == ([], 13, 0)
    assert mirror.since(99) == ([], 99, 0)


def test_a_part_of_it():
    mirror = Mirror()
    mirror.add(["a", "b"], 0)
    mirror.add(["c"], 10)
    assert mirror.since(0, 1) == (["a"], 1, 0)
    assert mirror.since(0, 7) == (["a", "b"], 7, 5)
    assert mirror.since(9, 7) == ([], 9, 0)


def test_it_is_bounded_and_can_forget():
    mirror = Mirror(limit=3)
    mirror.add(list("abcde"), 0)
    assert mirror.since(0) == (["c", "d", "e"], 5, 2)
    mirror.forget()
    assert mirror.since(0) == ([], 5, 5)
    mirror.add(["f"], 0)
    assert mirror.since(5) == (["f"], 6, 0)
