"""equality.py: what is the same is said to be, in a bounded time; what can't be compared is not."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agentrt.schema import equality
from agentrt.schema.equality import is_same


@dataclass
class Data:
    array: Any


class Record(msgspec.Struct):
    array: Any


class Odd:
    def __eq__(self, other: object) -> bool:
        raise TypeError("never compare")

    __hash__ = None  # type: ignore[assignment]


SAME = [
    lambda: 1, lambda: "a" * 100, lambda: [1, [2]], lambda: {"a": (1, {2})}, lambda: deque([1]), lambda: {1, 2},
    lambda: np.arange(9), lambda: {"a": np.arange(9)}, lambda: Data(np.arange(9)), lambda: Record([np.arange(9)]),
    lambda: float("nan") + 1, lambda: np.array([1, np.nan]),
    lambda: pd.DataFrame({"a": [1, None]}), lambda: pa.table({"a": [1, 2]}), lambda: [pd.Series([1, 2])],
]  # fmt: skip


@pytest.mark.parametrize("make", SAME)
def test_equal_values_are_the_same(make: Any) -> None:
    assert is_same(make(), make())


DIFFERENT = [
    (1, 2), ([1], [2]), ([1], [1, 2]), ({"a": 1}, {"b": 1}), ({"a": 1}, {"a": 2}), ((1,), [1]), (Odd(), Odd()),
    (np.arange(3), np.arange(4)), (np.arange(3), np.array([0, 1, 3])), (Data(np.arange(3)), Data(np.ones(3))),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})), (None, np.arange(3)), (float("nan"), 1.0),
]  # fmt: skip


@pytest.mark.parametrize("pair", DIFFERENT)
def test_others_are_not(pair: Any) -> None:
    assert not is_same(*pair)


def test_identical_values_are_the_same_whatever_they_are() -> None:
    odd, large = Odd(), np.zeros(1_000_000)
    assert is_same([odd, large], [odd, large])


def test_numbers_of_different_types_are_the_same_if_they_are_equal() -> None:
    assert is_same(1, 1.0)
    assert is_same(True, 1)


class Counted:
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return True

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.slow
def test_what_is_large_is_not_compared() -> None:
    a, b = ([[Counted() for _ in range(1000)] for _ in range(1000)] for _ in range(2))
    assert not is_same(a, b)
    assert Counted.compared <= equality.MOST_PARTS
    assert not is_same(np.zeros(1_000_000), np.zeros(1_000_000))
    assert not is_same(bytes(5_000_000), bytes(5_000_000))
