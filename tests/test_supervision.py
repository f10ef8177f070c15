"""supervision.py: pure decisions, in Erlang's words."""

import pytest

from agentrt import ConfigurationError, Policy, Supervision
from agentrt.supervision import decide

SHAPES = [
    ([0], 0, False),
    ([0, 1], 1, False),
    ([0, 1, 2], 2, True),
    ([0, 8, 11], 11, False),
    ([1, 8, 11], 11, True),
    ([0, 1, 2], 60, False),
    ([], 0, False),
]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize(("failures", "now", "trips"), SHAPES)
def test_the_policy_trips_at_its_intensity_within_its_period(policy, failures, now, trips):
    supervision = Supervision(policy, intensity=3, period=10)
    assert decide(supervision, failures, now) is (policy if trips else Policy.CONTINUE)


def test_the_default_never_stops_anything():
    assert decide(Supervision(), [0] * 1000, 0) is Policy.CONTINUE


def test_a_word_is_enough():
    assert Supervision.of("restart") == Supervision(Policy.RESTART, 5, 60)
    assert Supervision.of(None) == Supervision()
    assert Supervision.of(Supervision("stop", 1)).policy is Policy.STOP


@pytest.mark.parametrize(
    "options",
    [{"policy": "explode"}, {"intensity": 0}, {"intensity": 1.5}, {"period": 0}, {"period": -1}, {"policy": 3}],
    ids=str,
)
def test_what_can_not_be_is_refused(options):
    with pytest.raises(ConfigurationError):
        Supervision(**options)
