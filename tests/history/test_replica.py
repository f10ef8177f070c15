"""replica.py: a runtime, rebuilt from its records."""

import random
from copy import copy
from typing import Any

import pytest

from agentrt import Activity, Lane, Status
from agentrt.events import Baseline, Event, Outcome
from agentrt.history.replica import Replica
from agentrt.history.shared_items import SharedItems
from agentrt.limits import Limits


def outcome(number: int, id: int, kind: str, state: object = None) -> Outcome:
    return Outcome(number, id, "a", False, kind, 0.0, 0.5, 1.0, state)


def event(number: int, kind: str, **detail: object) -> Event:
    return Event(number, "a", 1.0, kind, None, detail)


def made(*records: object) -> Replica:
    replica = Replica("a")
    replica.apply(Baseline(1, "a", 0.0, "created", detail="add", state=0, initial=0, limits=Limits()))
    for record in records:
        replica.apply(record)
    return replica


def test_what_is_accepted_waits_and_ends():
    replica = made(Activity(2, "a"), Activity(3, "a", lane=Lane.PRIORITY))
    assert (replica.depth, replica.fates.pending) == ((1, 1), 2)
    replica.apply(outcome(4, 3, "done", 7))
    assert (replica.depth, replica.state, replica.fates.done) == ((0, 1), 7, 1)
    replica.apply(outcome(5, 2, "failed", 7))
    assert (replica.status(None), replica.state, replica.fates.adds_up) == (Status.ERROR, 7, True)


def test_what_is_not_due_has_its_place_and_joins_at_the_end():
    replica = made(Activity(2, "a", not_before=9.0), Activity(3, "a"))
    assert (replica.depth, [each.id for each in replica.standard]) == ((0, 2), [3])
    replica.apply(event(4, "due", activity=2))
    assert ([each.id for each in replica.standard], list(replica.delayed)) == ([3, 2], [])


def test_a_restart_goes_back_to_the_first_state():
    replica = made(Activity(2, "a"), outcome(3, 2, "done", 5), event(4, "restarted"))
    assert replica.state == 0


def test_another_one_of_the_same_id_begins_with_nothing():
    replica = made(Activity(2, "a"), event(3, "terminated"), outcome(4, 2, "dead"))
    assert (replica.status(None), replica.fates.dead) == (Status.TERMINATED, 1)
    replica.apply(Baseline(5, "a", 2.0, "created", detail="more", state=1, initial=1, limits=Limits()))
    assert (replica.status(None), replica.fates.dead, replica.past.dead, replica.workflow) == (
        Status.IDLE,
        0,
        1,
        "more",
    )


def test_a_copy_stays_what_it_was():
    replica = made(Activity(2, "a"))
    copy = replica.copy()
    replica.apply(outcome(3, 2, "done", 5))
    assert (copy.depth, copy.state, copy.fates.done) == ((0, 1), 0, 0)


def test_it_says_how_it_is():
    assert made(event(2, "paused")).status(None) is Status.PAUSED
    assert made(event(2, "failed")).status(None) is Status.FAILED
    assert made(event(2, "failed"), event(3, "recovered")).status(None) is Status.IDLE
    assert made(Activity(2, "a"), event(3, "stuck", activity=2)).status(None) is Status.STUCK
    assert made(event(2, "state_edited", to=9)).state == 9
    inside = made(Activity(2, "a"), event(3, "breakpoint", activity=2, where="step"))
    assert inside.status(Activity(2, "a")) is Status.PAUSED
    inside.apply(event(4, "step_over"))
    assert inside.status(Activity(2, "a")) is Status.PROCESSING
    assert made().status(Activity(2, "a")) is Status.PROCESSING


def any_records(seed: int, count: int) -> list[Any]:
    """Records of all kinds, as they might come."""
    chance, waiting, found = random.Random(seed), [2], [Activity(2, "a")]
    for number in range(3, count):
        kind = chance.choices(("accept", "end", "log", "change"), (10, 9, 3, chance.choice([0, 0, 1])))[0]
        if kind == "accept":
            lane, delay = chance.choice(list(Lane)), chance.choice([None] * 40 + [9.0])
            found.append(Activity(number, "a", lane=lane, not_before=delay))
            waiting.append(number)
        elif kind == "end" and waiting:
            id = waiting.pop(0 if chance.random() < 0.9 else chance.randrange(len(waiting)))
            fate = chance.choice(["done"] * 8 + ["failed", "timed_out", "dropped"])
            found.append(outcome(number, chance.choice([id] * 20 + [10_000]), fate, number))
        elif kind == "log":
            found.append(event(number, "log"))
        elif kind == "change" and waiting:
            name = chance.choice(["paused", "resumed", "due", "moved", "edited", "restarted", "stuck", "unstuck"])
            moved = {"lane": "priority", "before": chance.choice(waiting), "to": 5}
            found.append(event(number, name, activity=chance.choice(waiting), **moved))
    return found


def facts(replica: Replica) -> list[Any]:
    values = [getattr(replica, name) for name in replica.__slots__]
    return [list(each) if isinstance(each, SharedItems) else copy(each) for each in values]


@pytest.mark.parametrize("seed", range(30))
def test_many_records_at_once_are_the_same_as_one_after_the_other(seed):
    records, chance, at_once = any_records(seed, 600), random.Random(seed), made()
    one, earlier, place = made(), [], 0
    while place < len(records):
        part = records[place : place + chance.choice([1, 20, 64, 300])]
        at_once.apply_all(part)
        for record in part:
            one.apply(record)
        assert facts(at_once) == facts(one)
        earlier.append((at_once.copy(), facts(one)))
        place += len(part)
    assert [facts(replica) for replica, _ in earlier] == [expected for _, expected in earlier]
