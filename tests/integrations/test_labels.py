"""labels.py: a bounded number of labels, each of which is text."""

import pytest

from agentrt import ConfigurationError
from agentrt.integrations.labels import OTHER, Labels


def test_a_label_that_was_given_stays_and_further_ones_are_one():
    labels = Labels(lambda id: id[0], most=2)
    assert [labels.of(id) for id in ("a1", "b1", "c1", "a2", "b2", "d1")] == ["a", "b", OTHER, "a", "b", OTHER]


def test_a_label_is_text_that_can_be_sent():
    labels = Labels()
    assert labels.of("\ud800") == "?"
    assert labels.of("x" * 500) == "x" * 120
    assert Labels(lambda id: 5).of("a") == "5"


@pytest.mark.parametrize("most", [0, -1, 1.5, "2"])
def test_a_bound_that_is_none_is_refused(most):
    with pytest.raises(ConfigurationError, match="most"):
        Labels(most=most)
