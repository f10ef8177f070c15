"""mailbox.py: two bounded lanes, in order, fair."""

import math
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentrt import Activity, ConfigurationError, Lane
from agentrt.engine.mailbox import PrioritizedMailbox

FAIRNESS = 8


def activity(number, lane=Lane.STANDARD):
    return Activity(number, lane=lane)


class MailboxMachine(RuleBasedStateMachine):
    """Against a model of two plain queues: bounds, order and fairness after every step."""

    @initialize(priority=st.integers(1, 6), standard=st.integers(1, 6), fairness=st.none() | st.integers(1, FAIRNESS))
    def make(self, priority, standard, fairness):
        self.mailbox = PrioritizedMailbox(priority, standard, fairness)
        self.capacity = {Lane.PRIORITY: priority, Lane.STANDARD: standard}
        self.fairness = math.inf if fairness is None else fairness
        self.model = {lane: deque() for lane in Lane}
        self.delayed = {lane: [] for lane in Lane}
        self.number = 0
        self.row = 0  # priority activities taken in a row
        self.streak = 0  # and those while standard waited

    def used(self, lane):
        return len(self.model[lane]) + len(self.delayed[lane])

    @rule(lane=st.sampled_from(Lane), times=st.integers(1, 12))
    def put(self, lane, times):
        for _ in range(times):
            self.number += 1
            fits = self.used(lane) < self.capacity[lane]
            assert self.mailbox.put(activity(self.number, lane)) is fits
            if fits:
                self.model[lane].append(self.number)

    @rule(times=st.integers(1, 12))
    def take(self, times):
        for _ in range(times):
            waiting = bool(self.model[Lane.STANDARD])
            taken = self.mailbox.take()
            if taken is None:
                assert not any(self.model.values())
                self.row = self.streak = 0
                return
            assert self.model[taken.lane].popleft() == taken.id
            urgent = taken.lane is Lane.PRIORITY
            assert urgent or self.row >= self.fairness or not self.model[Lane.PRIORITY]
            self.row = self.row + 1 if urgent else 0
            self.streak = self.streak + 1 if urgent and waiting else 0
            assert self.streak <= self.fairness

    @rule(lane=st.sampled_from(Lane))
    def delay(self, lane):
        if self.mailbox.room(lane) > 0:
            self.number += 1
            self.mailbox.delay(activity(self.number, lane))
            self.delayed[lane].append(self.number)

    @precondition(lambda self: any(self.delayed.values()))
    @rule(data=st.data())
    def release(self, data):
        lane = data.draw(st.sampled_from([lane for lane in Lane if self.delayed[lane]]))
        number = self.delayed[lane].pop(0)
        self.mailbox.add(self.mailbox.release(number))
        self.model[lane].append(number)

    @invariant()
    def bounds_hold(self):
        for lane, depth in zip(Lane, self.mailbox.depth, strict=True):
            assert depth == self.used(lane) <= self.capacity[lane]
            assert self.mailbox.room(lane) == self.capacity[lane] - depth

    @invariant()
    def what_waits_is_what_was_put(self):
        expected = [*self.model[Lane.PRIORITY], *self.model[Lane.STANDARD]]
        assert [item.id for item in self.mailbox] == expected
        assert len(self.mailbox) == len(expected)


TestMailboxMachine = MailboxMachine.TestCase
TestMailboxMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def taken(mailbox):
    return [item.lane.value[0] for item in iter(mailbox.take, None)]


def test_never_more_than_eight_priority_in_a_row_while_standard_waits():
    mailbox = PrioritizedMailbox()
    for n in range(100):
        mailbox.put(activity(n, Lane.PRIORITY))
    for n in range(5):
        mailbox.put(activity(n))
    assert "".join(taken(mailbox)) == "pppppppps" * 5 + "p" * 60


def test_a_standard_that_comes_after_many_priority_does_not_wait_for_eight_more():
    mailbox = PrioritizedMailbox()
    for n in range(20):
        mailbox.put(activity(n, Lane.PRIORITY))
    for _ in range(10):
        mailbox.take()
    mailbox.put(activity(99))
    assert mailbox.take().id == 99


def test_strict_priority_takes_standard_last():
    mailbox = PrioritizedMailbox(fairness=None)
    mailbox.put(activity(0))
    for n in range(30):
        mailbox.put(activity(n, Lane.PRIORITY))
    assert "".join(taken(mailbox)) == "p" * 30 + "s"


def test_an_empty_mailbox_gives_none():
    mailbox = PrioritizedMailbox()
    assert mailbox.take() is None
    assert (len(mailbox), list(mailbox), mailbox.depth) == (0, [], (0, 0))


def test_two_empty_mailboxes_share_nothing_that_can_be_put_into():
    one, other = PrioritizedMailbox(), PrioritizedMailbox()
    one.put(activity(1))
    one.put(activity(2, Lane.PRIORITY))
    assert (len(one), len(other)) == (2, 0)


def test_statistics_are_an_immutable_record():
    mailbox = PrioritizedMailbox(2, 3)
    mailbox.put(activity(1))
    mailbox.delay(activity(2, Lane.PRIORITY))
    statistics = mailbox.statistics()
    assert (statistics.depth, statistics.capacity, statistics.delayed, statistics.senders) == (
        (1, 1),
        (2, 3),
        (1, 0),
        0,
    )
    with pytest.raises(AttributeError):
        statistics.senders = 1


@pytest.mark.parametrize("bound", [0, -1, 1.5, "10", None, True])
def test_a_bound_that_can_not_be_is_refused(bound):
    with pytest.raises(ConfigurationError, match="standard_capacity is"):
        PrioritizedMailbox(standard_capacity=bound)
    with pytest.raises(ConfigurationError, match="priority_capacity is"):
        PrioritizedMailbox(priority_capacity=bound)


@pytest.mark.parametrize("fairness", [0, -1, 1.5, "8", True])
def test_a_fairness_that_can_not_be_is_refused(fairness):
    with pytest.raises(ConfigurationError, match="None for strict"):
        PrioritizedMailbox(fairness=fairness)


class Unread(deque):
    """A lane that may not be gone through."""

    def __iter__(self):
        raise AssertionError("it is long")


def test_an_activity_of_a_long_lane_is_found_without_going_through_it():
    mailbox = PrioritizedMailbox()
    mailbox.standard = Unread(activity(number) for number in range(0, 1000, 2))
    assert [mailbox.get(number).id for number in (0, 500, 998)] == [0, 500, 998]
    mailbox.remove(500)
    assert (mailbox.where(502), len(mailbox)) == (Lane.STANDARD, 499)
    assert mailbox.replace(activity(996)).id == 996


def test_an_activity_that_was_moved_is_found():
    mailbox = PrioritizedMailbox()
    for number in (9, 1, 2, 3, 8, 4, 5):
        mailbox.put(activity(number))
    assert [mailbox.get(number).id for number in (9, 1, 2, 3, 8, 4, 5)] == [9, 1, 2, 3, 8, 4, 5]
    assert mailbox.get(7) is None
