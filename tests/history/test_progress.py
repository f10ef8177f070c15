"""progress.py: how far a long reading is."""

from io import StringIO

import pytest

from agentrt.history import progress
from agentrt.history.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    times = iter(range(1_000))
    monkeypatch.setattr(progress, "monotonic", lambda: next(times) * 0.5)


def test_what_is_over_in_a_second_says_nothing(clock):
    stream = StringIO()
    with Progress("reading", 10, stream) as shown:
        shown.advance(5)
    assert stream.getvalue() == ""


def test_what_takes_longer_says_how_far_it_is_and_leaves_nothing_behind(clock):
    stream = StringIO()
    with Progress("reading a.db", 4_000, stream) as shown:
        assert list(shown.count(range(4_000))) == list(range(4_000))
    lines = stream.getvalue().split("\r")
    assert lines[1:3] == ["reading a.db: 25% of 4,000 rows", "reading a.db: 50% of 4,000 rows"]
    assert lines[-2].strip() == lines[-1] == ""
