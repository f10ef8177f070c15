"""Columns of many rows of a journal at once: read from their bytes, without an object of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ACCEPTED", "AGAIN", "COMMIT", "FATES", "OTHER", "STATE", "SUPERVISED", "RowColumns", "read_columns",
]  # fmt: skip

Array = npt.NDArray[Any]
FATES = ("done", "failed", "timed_out", "dropped", "terminated", "dead")
# A kind is one of these or, of the end of an activity, COMMIT and 1 for "done" and so on; with flags.
OTHER, ACCEPTED, COMMIT = 0, 1, 1
STATE, SUPERVISED, AGAIN = 8, 16, 32
MARGIN = 64  # bytes behind the rows, so that what is read too far is there
LONGEST_ID = 40  # bytes
PRIME = 0x9E3779B97F4A7C15


class RowColumns(NamedTuple):
    """One value of each row. Those of `odd` are to be read one by one.

    Attributes:
        kind: What it is, with flags.
        runtime: Which of `ids` it is of.
        activity: The number of the activity.
        time: When it was accepted or ended.
        ids: The ids of runtimes as bytes, those first that come first.
        odd: The places of rows that are no plain activities and ends of activities.
    """

    kind: Array
    runtime: Array
    activity: Array
    time: Array
    ids: list[bytes]
    odd: Array


class Cursor:
    """Reads one value of MessagePack of each of many rows, at places that move on. `odd` are those it can't read."""

    def __init__(self, data: Array, at: Array) -> None:
        self.data, self.at = data, at
        self._most = len(data) - MARGIN
        self.odd = np.zeros(len(at), bool)

    def byte(self) -> Array:
        """The next byte, which stays the next one."""
        found: Array = self.data[self.at]
        return found

    def move(self, by: Any) -> None:
        """Go on by so many bytes."""
        self.at = np.minimum(self.at + by, self._most)

    def big_endian(self, at: Array, width: int) -> Array:
        """Whole numbers of so many bytes."""
        found = self.data[at].astype(np.int64)
        for k in range(1, width):
            found = (found << 8) | self.data[at + k]
        return found

    def number(self) -> Array:
        """A whole number that is not negative."""
        mark = self.byte()
        found, size = mark.astype(np.int64), np.ones(len(mark), np.int64)
        for sign, width in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            here = np.flatnonzero(mark == sign)
            if here.size:
                found[here], size[here] = self.big_endian(self.at[here] + 1, width), width + 1
        self.odd |= ((mark > 0x7F) & ((mark < 0xCC) | (mark > 0xCF))) | (found < 0)
        self.move(size)
        return found

    def text(self) -> tuple[Array, Array, Array]:
        """Where a text or bytes begin, how long they are, and whether there are any: not if it is None."""
        mark = self.byte()
        short, none = (mark & 0xE0) == 0xA0, mark == 0xC0
        length, head = np.where(short, mark & 31, 0).astype(np.int64), np.ones(len(mark), np.int64)
        plain = short | none
        for signs, width in (((0xC4, 0xD9), 1), ((0xC5, 0xDA), 2), ((0xC6, 0xDB), 4)):
            here = np.flatnonzero((mark == signs[0]) | (mark == signs[1]))
            if here.size:
                length[here], head[here] = self.big_endian(self.at[here] + 1, width), width + 1
                plain[here] = True
        self.odd |= ~plain
        start = self.at + head
        self.move(head + length)
        return start, length, ~none

    def real(self) -> Array:
        """A number with a fraction, of 8 bytes."""
        self.odd |= self.byte() != 0xCB
        found = self.data[(self.at + 1)[:, None] + np.arange(8)].view(">f8")[:, 0].astype(np.float64)
        self.move(9)
        return found


def read_columns(lengths: bytes, data: bytes, longest: int) -> RowColumns:
    """Read rows that stand one after the other, see `LogCopy.join`."""
    size = np.fromstring(lengths.decode(), np.int64, sep=",")
    missing = size > longest  # left out of the bytes
    size[missing] = 0
    ends = np.cumsum(size)
    text = np.frombuffer(data + bytes(MARGIN), np.uint8)
    cursor = Cursor(text, np.minimum(ends - size, len(data)))
    kind, odd = np.zeros(len(size), np.uint8), np.ones(len(size), bool)
    runtime, activity, time = np.zeros(len(size), np.int32), np.zeros(len(size), np.int64), np.zeros(len(size))
    mark, second = cursor.byte(), text[cursor.at + 1]
    third, fourth = text[cursor.at + 2], text[cursor.at + 3]
    accepted = (mark == 0xDC) & (second == 0) & (third == 16) & (fourth == 3) & ~missing
    committed = (mark == 0x9C) & (second == 4) & ~missing
    last = text[np.maximum(ends - 1, 0)]  # whether it is there again
    parts = []
    for here, read, head in ((accepted, _read_activities, 4), (committed, _read_commits, 2)):
        place = np.flatnonzero(here & ((last == 0xC2) | (last == 0xC3)))
        if not place.size:
            continue
        at = Cursor(text, cursor.at[place] + head)
        start, length, _ = at.text()
        found, number, when = read(at)
        good = ~at.odd & (length <= LONGEST_ID)
        place = place[good]
        kind[place], activity[place], time[place] = found[good], number[good], when[good]
        kind[place] |= np.where(last[place] == 0xC3, AGAIN, 0).astype(np.uint8)
        odd[place] = False
        parts.append((place, start[good], length[good]))
    ids: list[bytes] = []
    if parts:
        places, starts, sizes = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.argsort(places)
        numbers, ids = number_ids(text, starts[order], sizes[order])
        runtime[places[order]] = numbers
    return RowColumns(kind, runtime, activity, time, ids, np.flatnonzero(odd))


def _read_activities(at: Cursor) -> tuple[Array, Array, Array]:
    activity = at.number()
    _, _, there = at.text()  # the payload
    at.odd |= ~there
    at.move(1)  # the lane
    return np.full(len(activity), ACCEPTED, np.uint8), activity, at.real()


def _read_commits(at: Cursor) -> tuple[Array, Array, Array]:
    activity = at.number()
    start, length, there = at.text()
    kind = np.zeros(len(activity), np.uint8)
    first, third = at.data[start], at.data[np.minimum(start + 2, len(at.data) - 1)]
    for n, fate in enumerate(FATES, COMMIT + 1):
        is_it = there & (length == len(fate)) & (first == ord(fate[0])) & (third == ord(fate[2]))
        kind[is_it] = n
    at.odd |= there & (kind == 0)
    time = at.real()
    _, _, state = at.text()
    at.text()  # the reply
    at.text()  # the error
    _, _, supervised = at.text()
    kind |= np.where(state, STATE, 0).astype(np.uint8) | np.where(supervised, SUPERVISED, 0).astype(np.uint8)
    return kind, activity, time


def number_ids(text: Array, start: Array, length: Array) -> tuple[Array, list[bytes]]:
    """Number texts: equal ones have the same number, the first one 0, the next other one 1."""
    width = -(-int(length.max(initial=1)) // 8) * 8
    columns = np.arange(width)
    table = text[np.minimum(start[:, None] + columns, len(text) - 1)]
    table[columns >= length[:, None]] = 0
    words = table.view(np.uint64)
    mixed = length.astype(np.uint64)
    for n in range(words.shape[1]):
        mixed = (mixed ^ words[:, n]) * np.uint64(PRIME)
        mixed ^= mixed >> np.uint64(29)
    _, first, number = np.unique(mixed, return_index=True, return_inverse=True)
    chosen = first[number]
    if not ((words == words[chosen]).all() and (length == length[chosen]).all()):  # two have the same mixture
        return _number_one_by_one(table, length)
    order = np.argsort(first)
    rank = np.empty(len(first), np.int32)
    rank[order] = np.arange(len(first), dtype=np.int32)
    return rank[number], [table[n, : length[n]].tobytes() for n in first[order]]


def _number_one_by_one(table: Array, length: Array) -> tuple[Array, list[bytes]]:
    known: dict[bytes, int] = {}
    names = (row[:size].tobytes() for row, size in zip(table, length, strict=True))
    return np.array([known.setdefault(name, len(known)) for name in names], np.int32), list(known)
