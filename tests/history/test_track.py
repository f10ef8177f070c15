"""track.py: keyframes do not change what is read."""

import random

from agentrt import Activity
from agentrt.events import Baseline, Event, Outcome
from agentrt.history.replica import Replica
from agentrt.history.rewind import BEFORE
from agentrt.history.track import Track


def filled(n: int) -> Track:
    track = Track(Replica("a"))
    track.add(Baseline(0, "a", 0.0, "created", state=0, initial=0), 0)
    waiting: list[int] = []
    chance = random.Random(4)
    for number in range(1, n):
        if waiting and chance.random() < 0.5:
            id = waiting.pop(0)
            track.add(Outcome(number, id, "a", False, "done", 0.0, float(number), float(number), number), number)
        else:
            waiting.append(number)
            track.add(Activity(number, "a", payload=number, created=float(number)), number)
    return track


def plain(replica: Replica) -> tuple[object, ...]:
    return replica.state, [each.id for each in replica.standard], replica.fates


def test_any_place_is_the_same_in_any_order():
    track, places = filled(2_000), list(range(1, 2_001))
    expected, replica = [], Replica("a")
    for record in track.records:
        replica.apply(record)
        expected.append(plain(replica))
    random.Random(2).shuffle(places)
    for place in places:
        assert plain(track.replica(place)) == expected[place - 1]


def test_what_is_forgotten_is_the_base():
    track = filled(500)
    before = {place: plain(track.replica(place)) for place in range(200, 501)}
    track.forget(200)
    assert len(track.records) == 300
    for place in range(300):
        assert plain(track.replica(place)) == before[200 + place]


def test_a_late_record_is_put_in_its_place():
    track = Track(Replica("a"))
    for numbers in ([2, 4], [8, 9], [1, 7, 10]):
        track.extend([Activity(number, "a") for number in numbers], numbers)
        assert [each.id for each in track.replica(len(track.records)).standard] == sorted(track.sequences)
    assert track.sequences == [1, 2, 4, 7, 8, 9, 10]
    assert [each.id for each in track.replica(3).standard] == [1, 2, 4]


def test_a_late_record_leaves_the_keyframes_before_it():
    track = filled(3_000)
    before = {place: plain(track.replica(place)) for place in (500, 1_500, 3_000)}
    kept = len(track._frames)
    track.extend([Event(1_800, "a", 1.0, "log")], [1_800])
    assert 2 < len(track._frames) < kept
    assert {place: plain(track.replica(place + (place > 1_800))) for place in before} == before


def test_how_it_stood_before_is_found_from_how_it_stands(monkeypatch):
    whole, track = filled(2_000), Track()
    track.extend(whole.records, whole.sequences)
    end = whole.replica(2_000)
    track.stand(end)
    expected = plain(end)
    monkeypatch.setattr("agentrt.history.track.rewind", None)  # it is not asked for
    assert plain(track.replica(2_000)) == expected
    track.extend([Activity(2_000, "a"), Outcome(2_001, 2_000, "a", False, "done", 0.0, 1.0, 1.0, 7)], [2_000, 2_001])
    assert (track.replica(2_002).state, plain(track.replica(2_000))) == (7, expected)
    track.forget(1_500)
    assert plain(track.replica(500)) == expected
    monkeypatch.undo()
    for place in (1, 100, 300, 499):
        found, known = plain(track.replica(place)), plain(whole.replica(1_500 + place))
        assert found[1:] == known[1:]
        assert found[0] in (known[0], BEFORE)
    assert track.base.state is BEFORE


def test_however_long_it_runs_it_keeps_what_it_has():
    track, number = Track(Replica("a")), 0
    for _ in range(60):
        for _ in range(200):
            number += 2
            track.add(Activity(number, "a"), number)
            outcome = Outcome(number + 1, number, "a", False, "done", 0.0, 1.0, 1.0, number)
            track.add(outcome, number + 1)
        assert track.replica(len(track.records)).state == number
        track.forget(number - 1_000)
    frames = track._frames
    assert len(frames) > 1
    assert all(len(frame.standard._log) < 2_000 for frame in frames)


def test_outcomes_are_found_near_and_far():
    track = filled(1_000)
    for number in range(1_001, 1_400):
        track.add(Activity(number, "a"), number)
    track.add(Outcome(1_400, 1_001, "a", False, "done", 0.0, 1.0, 1.0, 5), 1_400)
    ends = [record.sequence for record in track.records if isinstance(record, Outcome)]
    for sequence in (0, 10, 500, 999, 1_005, 1_399, 1_400):
        after, before = track.next_outcome(sequence), track.last_outcome(sequence)
        assert (after and after.sequence) == next((each for each in ends if each > sequence), None)
        assert (before and before.sequence) == next((each for each in reversed(ends) if each <= sequence), None)
