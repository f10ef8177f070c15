"""find.py: which runtimes a table shows."""

import pytest

from agentrt import RuntimeManager
from agentrt.feed.find import KEYS, LEAST, LastRates, cut, find_ids, is_active, merge_parts
from agentrt.feed.source import SORTS, Found
from tests.support import add, fail


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


def test_there_is_a_key_for_each_sort_but_the_rate():
    assert {*KEYS, "rate"} == SORTS


def test_ids_are_searched_in_any_case_and_cut():
    found = find_ids(["JFK", "LGA", "jfk-2"], ["EWR", "JFK"], "jF", 1, 5)
    assert found == Found(("jfk-2",), (), 1, 2, 4)
    assert find_ids(["a"], ["b"], "", 0, None) == Found(("a", "b"), (), 1, 2, 2)
    assert find_ids(["a"], ["b"], "x", 0, 25) == Found((), (), 0, 0, 2)


def test_sorted_parts_become_one_with_what_has_ended_last():
    one = Found(("a", "b", "z"), (5, None), 2, 3, 3)
    two = Found(("c", "y"), (7,), 1, 2, 4)
    merged = merge_parts([one, two], down=True)
    assert merged == Found(("c", "a", "b", "z", "y"), (7, 5, None), 3, 5, 7)
    assert cut(merged, 2, 2) == Found(("b", "z"), (None,), 1, 5, 7)


def test_who_is_at_rest_is_not_active(manager):
    entries = {id: manager.create(id, 0, add).entry for id in ("rest", "done", "waits", "paused")}
    manager.run(manager["done"].ask(1))
    manager["waits"].pause()
    manager["waits"].send_nowait(1)
    manager["paused"].pause()
    assert {id for id, entry in entries.items() if is_active(entry, 0.0)} == {"waits", "paused"}


def test_an_error_counts_for_as_long_as_is_asked(manager):
    manager.create("fails", 0, fail)
    with pytest.raises(Exception, match="no 1"):
        manager.run(manager["fails"].ask(1))
    entry = manager["fails"].entry
    assert is_active(entry, manager.clock.now())
    entry.in_error = False  # as after an activity that was done
    assert is_active(entry, entry.error_at)
    assert not is_active(entry, entry.error_at + 1)


def test_rates_are_counted_between_two_readings(manager, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("agentrt.feed.find.time.monotonic", lambda: now[0])
    entry = manager.create("a", 0, add).entry
    rates = LastRates()
    assert rates.read([entry]) == {"a": 0.0}
    entry.done += 10
    now[0] += LEAST / 2
    assert rates.read([entry]) == {"a": 0.0}, "too soon"
    now[0] += 2 * LEAST - LEAST / 2
    assert rates.read([entry]) == {"a": 10 / (2 * LEAST)}
