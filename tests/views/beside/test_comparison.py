"""Where two runs first differ, from their records alone."""

from typing import Any

import pytest

from agentrt import Activity, Event, Lane
from agentrt.errors import ProcessingError
from agentrt.events import Baseline, Outcome
from agentrt.views.beside import comparison as module
from agentrt.views.beside.comparison import LEFT, RIGHT, Comparison, contrast


def sent(number: int, runtime: str, payload: Any, source: str | None = None, lane: Lane = Lane.STANDARD) -> Any:
    return Activity(number, runtime, payload, lane, float(number), source=source)


def done(number: int, id: int, runtime: str, state: Any, kind: str = "done", **rest: Any) -> Any:
    return Outcome(number, id, runtime, False, kind, 0.0, 1.0, float(number), state, **rest)


def compared(left: list[Any], right: list[Any], since: tuple[int, int] = (0, 0)) -> Comparison:
    found = Comparison(since)
    found.add(LEFT, left)
    found.add(RIGHT, right)
    return found


RUN = [sent(1, "a", 5), done(2, 1, "a", 5), sent(3, "b", 6, "a"), done(4, 3, "b", 6)]


def test_the_same_steps_differ_in_nothing_and_times_and_numbers_do_not_count():
    later = [sent(11, "a", 5), sent(12, "b", 6, "a"), done(13, 12, "b", 6), done(14, 11, "a", 5)]
    found = compared(RUN, later)
    assert (found.differing, found.ahead(), found.counts) == ({}, {}, [2, 2])
    assert found.first(found.extra((True, True)).values()) is None


@pytest.mark.parametrize(
    ("other", "what", "values"),
    [
        (sent(2, "a", 6), "what it was sent", (5, 6)),
        (sent(2, "a", 5, lane=Lane.PRIORITY), "the lane", ("standard", "priority")),
    ],
)
def test_what_a_runtime_was_sent(other: Any, what: str, values: Any):
    first = compared(RUN[:1], [other]).first()
    assert first is not None
    assert (first.runtime, contrast(first)) == ("a", (what, *values))


ERROR = ProcessingError("it failed")
ERROR.__cause__ = ValueError("no tea")


@pytest.mark.parametrize(
    ("other", "what", "values"),
    [
        (done(2, 1, "a", {"tea": [1, 3]}), "tea[1] of the state", (2, 3)),
        (done(2, 1, "a", {"tea": [1, 2]}, reply=4), "the reply", (3, 4)),
        (done(2, 1, "a", {"tea": [1, 2]}, "failed"), "the end", ("done", "failed")),
        (done(2, 1, "a", 7), "the state", ({"tea": [1, 2]}, 7)),
    ],
)
def test_what_came_of_an_activity(other: Any, what: str, values: Any):
    is_reply = what == "the reply"
    mine = done(2, 1, "a", {"tea": [1, 2]}, **({"reply": 3} if is_reply else {}))
    first = compared([sent(1, "a", 5), mine], [sent(1, "a", 5), other]).first()
    assert first is not None
    assert (contrast(first), first.payloads, first.same) == ((what, *values), (5, 5), 0)


def test_two_failures_differ_in_their_errors():
    other = ProcessingError("it failed")
    first = compared([done(2, 1, "a", 1, "failed", error=ERROR)], [done(2, 1, "a", 1, "failed", error=other)]).first()
    assert first is not None
    assert contrast(first) == ("the error", "ValueError: no tea", "ProcessingError: it failed")


def test_two_orders_in_which_a_runtime_processed_what_it_was_sent_by_two():
    both = [sent(1, "a", 1, "x"), sent(2, "a", 2, "y")]
    first = compared([*both, done(3, 1, "a", 1), done(4, 2, "a", 3)], [*both[::-1], done(3, 2, "a", 2)]).first()
    assert first is not None
    assert contrast(first) == ("what it processed", 1, 2)


def test_the_first_is_that_which_came_first_on_either_side():
    left = [done(2, 1, "a", 1), done(3, 1, "b", 1), done(9, 1, "c", 1)]
    right = [done(7, 1, "b", 2), done(8, 1, "a", 2), done(9, 1, "c", 2)]
    found = compared(left, right)
    first = found.first()
    assert first is not None
    assert (first.runtime, sorted(found.differing)) == ("a", ["a", "b", "c"])


def test_a_side_that_is_ahead_is_no_difference_until_the_other_has_nothing_left_to_do():
    found = compared(RUN, RUN[:2])
    assert (found.ahead(), found.extra((False, False)), found.extra((True, False))) == ({"b": LEFT}, {}, {})
    extra = found.extra((False, True))
    assert (extra["b"].left, extra["b"].right, extra["b"].payloads) == (RUN[2], None, (6, None))
    found.add(RIGHT, RUN[2:])
    assert (found.ahead(), found.extra((True, True))) == ({}, {})


def test_what_both_did_otherwise_counts_before_what_one_did_alone():
    found = compared([sent(1, "b", 1), done(5, 1, "a", 1)], [done(5, 1, "a", 2)])
    first = found.first(found.extra((True, True)).values())
    assert first is not None
    assert first.runtime == "a"


def test_what_was_changed_by_hand_on_one_side_is_seen_at_once_and_a_pause_is_not():
    found = compared([], [Event(3, "a", 1.0, "paused"), Event(4, "a", 1.0, "state_edited", None, {"to": 3})])
    assert [(each.runtime, each.right.sequence) for each in found.extra((False, False)).values()] == [("a", 4)]
    same = [Event(9, "a", 1.0, "state_edited", None, {"to": 4})]
    found.add(LEFT, same)
    first = found.first()
    assert first is not None
    assert contrast(first) == ("what was changed by hand: state edited", {"to": 4}, {"to": 3})


def test_only_what_came_since_the_moment_counts_and_what_waited_then_is_known():
    waiting = Baseline(2, "a", 0.0, "forked", waiting=((sent(1, "a", 5),), (), ()))
    found = Comparison((4, 2))
    found.note_waiting([waiting])
    found.add(LEFT, [sent(1, "a", 5), done(4, 3, "a", 0), done(5, 1, "a", 5)])
    found.add(RIGHT, [waiting, done(5, 1, "a", 6)])
    first = found.first()
    assert first is not None
    assert (first.payloads, found.counts) == ((5, 5), [1, 1])


def test_what_was_terminated_before_it_began_is_no_step():
    assert compared([done(2, 1, "a", 1, "terminated")], []).ahead() == {}


@pytest.mark.parametrize(("missed", "number", "lost"), [(0, 9, False), (3, 1, False), (3, 9, True), (3, None, True)])
def test_records_that_were_let_go_before_they_were_compared_are_noticed(missed, number, lost):
    found = Comparison((0, 0))
    found.add(LEFT, [] if number is None else [sent(number, "a", 1)], missed)
    assert found.lost == [lost, False]


def test_what_one_side_is_ahead_by_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_AHEAD", 3)
    ahead = [sent(n, "a", n) for n in range(1, 6)]
    found = compared(ahead, [])
    assert (found.is_cut, found.ahead()) == (True, {"a": LEFT})
    found.add(RIGHT, [*ahead[:3], sent(4, "a", "other")])
    assert (found.differing, found.ahead()) == ({}, {}), "what was not kept is compared no further"
