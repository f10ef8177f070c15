"""What each exercise takes for done, and what it says of answers that are not."""

import pytest

from agentrt.lessons.exercises.mailbox import newest, overdraft, two_telegrams


def careful(activity, cents):
    if cents + activity.payload < 0:
        raise ValueError("too much")
    return cents + activity.payload


def test_overdraft():
    assert overdraft.check(careful).passed
    assert overdraft.check(lambda activity, cents: cents + activity.payload).words == (
        "of 70, 90 were taken, and nobody was told: the account has -20"
    )
    assert overdraft.check(lambda activity, cents: cents).words == "of 100, 30 were taken, and 100 are left"
    assert overdraft.check(lambda activity, cents: max(cents + activity.payload, 0)).words.startswith("of 70, 90 were")
    assert overdraft.check(None).words.startswith("it raised ")


def test_two_telegrams():
    assert two_telegrams.check(lambda manager, work: manager.create("desk", 0, work, fairness=2)).passed
    by_default = two_telegrams.check(lambda manager, work: manager.create("desk", 0, work))
    assert not by_default.passed
    assert by_default.words.startswith("6 telegrams went before the first letter: the order was telegram 0")
    forgotten = two_telegrams.check(lambda manager, work: None)
    assert forgotten.words == "it raised TypeError: the function has to return the runtime that it made, not None"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"standard_capacity": 1, "overflow": "drop_oldest"}, ""),
        ({"standard_capacity": 1, "overflow": "drop_newest"}, "at the end it shows "),
        ({"standard_capacity": 1}, "the sender was refused: "),
        ({"overflow": "drop_oldest"}, "it showed 100 of 100 values"),
    ],
)
def test_newest(options, words):
    said = newest.check(lambda manager, show: manager.create("display", 0, show, **options))
    assert said.passed == (not words)
    assert said.words.startswith(words)
