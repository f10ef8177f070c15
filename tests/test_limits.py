"""limits.py: one record of limits, checked in one place."""

import random

import pytest

from agentrt import Backoff, ConfigurationError, Overflow, Policy, Supervision
from agentrt.limits import LimitOptions, Limits

WRONG = [
    *((name, value) for name in ("priority_capacity", "standard_capacity") for value in (0, -1, 1.5, "10", True)),
    *(("timeout", value) for value in (0, -1, float("nan"), "2", True)),
    *(("grace", value) for value in (0, -1, None)),
    *(("key_window", value) for value in (0, -1, None)),
    *(("retries", value) for value in (-1, 1.5, None, True)),
    *(("fairness", value) for value in (0, -8, "8", 1.5)),
    *(("overflow", value) for value in ("explode", None, 3)),
    *(("backoff", value) for value in (-1, "soon")),
    *(("blocking", value) for value in (1, None, "yes")),
    *(("isolation", value) for value in ("thread", 1)),
    ("supervision", "explode"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_value_that_can_not_be_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} is|policy is"):
        Limits.of({name: value})
    with pytest.raises(ConfigurationError):
        Limits().with_(name, value)


def test_an_unknown_limit_is_refused_and_the_known_are_named():
    with pytest.raises(ConfigurationError, match=r"unknown limit 'time_out'; there are .*timeout"):
        Limits.of({"time_out": 2})


def test_values_are_brought_to_their_final_form():
    limits = Limits.of({"overflow": "drop_oldest", "backoff": 2, "timeout": 3, "supervision": "stop", "fairness": None})
    assert limits.overflow is Overflow.DROP_OLDEST
    assert limits.backoff == Backoff(first=2.0)
    assert (limits.timeout, limits.fairness) == (3.0, None)
    assert limits.supervision == Supervision(Policy.STOP)


def test_with_changes_one_and_leaves_the_record():
    limits = Limits()
    assert limits.with_("timeout", 5).timeout == 5
    assert limits.timeout is None


def test_backoff_grows_up_to_its_most():
    backoff = Backoff(first=1, factor=2, most=10, jitter=0)
    chance = random.Random(1)
    assert [backoff.before(n, chance) for n in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 10, 10]


def test_backoff_jitters_within_its_share():
    backoff, chance = Backoff(first=10, jitter=0.2), random.Random(1)
    waits = [backoff.before(1, chance) for _ in range(500)]
    assert 8 <= min(waits) < 8.5
    assert 11.5 < max(waits) <= 12


@pytest.mark.parametrize(
    "wrong", [{"first": -1}, {"factor": -2}, {"most": -1}, {"jitter": 2}, {"jitter": -0.1}, {"first": "x"}], ids=str
)
def test_a_backoff_that_can_not_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Backoff(**wrong)


def test_the_keyword_options_are_the_fields():
    assert set(LimitOptions.__annotations__) == set(Limits.__struct_fields__)
