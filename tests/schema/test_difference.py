"""difference.py: what differs between two values; `tests/views/runtime/test_diff.py` has how it is shown."""

import pytest

from agentrt.schema.difference import changes, has_changed


class Plain:
    def __init__(self, n: int) -> None:
        self.n = n

    def __repr__(self) -> str:
        return f"Plain({self.n})"


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        (1, 1, False),
        (1, 1.5, True),
        ((1, [2]), (1, [2]), False),
        ({"a": 1}, {"a": 2}, True),
        (Plain(1), Plain(1), False),
        (Plain(1), Plain(2), True),
        (list(range(9_000)), list(range(9_000)), False),
        (list(range(9_000)), [*range(8_999), 0], True),
    ],
)
def test_values_have_changed_or_not(old, new, differ):
    assert has_changed(old, new) is differ


def test_what_is_not_a_number_is_the_same_as_itself():
    one, other = float("nan"), float("nan") + 1
    assert not has_changed(one, other)
    assert not has_changed({"mean": [one]}, {"mean": [other]})
    assert changes([one, 1], [other, 2])[0].path == "[1]"
    assert has_changed(one, 1.0)


def test_what_is_not_there_is_called_nothing():
    assert repr(changes({}, {"a": 1})[0].old) == "nothing"
