"""What each exercise takes for done, and what it says of answers that are not."""

import pytest

from agentrt.lessons.exercises.queues import busy_runway, in_the_shop, share_of_turns, short_wait


@pytest.mark.parametrize(
    ("exercise", "right", "too_much", "too_little"),
    [
        (busy_runway, 65, (66, "55 flights of 66 s need 60 minutes of each hour"), (60, "it works, but a flight may")),
        (short_wait, 0.475, (0.48, "at 0.48 a second the standard lane waits 5.06 s"), (0.4, "it waits 3.33 s only")),
        (
            share_of_turns,
            4,
            (5, "of the first hundred turns the standard lane had 16"),
            (2, "the standard lane had 33"),
        ),
    ],
)
def test_a_number_that_is_just_large_enough(exercise, right, too_much, too_little):
    assert exercise.check(right).passed
    for answer, words in (too_much, too_little):
        said = exercise.check(answer)
        assert not said.passed
        assert said.words.startswith(words)
    assert not exercise.check("many").passed


def test_in_the_shop():
    assert in_the_shop.check(lambda rate, wait, service: rate * (wait + service)).passed
    assert in_the_shop.check(lambda rate, wait, service: rate * wait).words == (
        "at 2 a second, 1.5 s in the queue and 0.25 s of service, 3.5 are there, not 3.0"
    )
