"""What a step touches, as bits: two steps are independent if neither writes what the other reads or writes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EntryKeys", "Footprint", "Keys"]


class Footprint(NamedTuple):
    """The keys that a step reads and those that it writes, each a bit."""

    reads: int
    writes: int

    def conflicts(self, other: Footprint, ignored: int = 0) -> bool:
        """Whether the order of the two steps can make a difference. `ignored`: keys that don't count."""
        found = self.writes & (other.reads | other.writes) | self.reads & other.writes
        return bool(found & ~ignored)


class EntryKeys(NamedTuple):
    """The keys of one runtime; those of its lanes are pairs, (priority, standard).

    `entry` is read by every arrival and every take, and written by commands and by those who look at it. `state` is
    written by commits. `arrivals` orders those who send to a lane, `emptiness` is read by a take that came from a lane
    only because the other was empty, and `room` matters for lanes that may be full.
    """

    entry: int
    state: int
    arrivals: tuple[int, int]
    emptiness: tuple[int, int]
    room: tuple[int, int]


class Keys:
    """Gives each thing that steps can touch a bit, the same one in all runs of an exploration."""

    def __init__(self) -> None:
        self._bits: dict[tuple[object, ...], int] = {}
        self._entries: dict[str, EntryKeys] = {}
        self.rooms = 0  # the keys of how much room lanes have
        self.bounded = 0  # those of them that matter: a lane was full, or could have been

    def bit(self, *name: object) -> int:
        """The bit of a thing."""
        bit = self._bits.get(name)
        if bit is None:
            bit = self._bits[name] = 1 << len(self._bits)
        return bit

    def of_entry(self, id: str) -> EntryKeys:
        """The keys of a runtime."""
        keys = self._entries.get(id)
        if keys is None:
            pairs = [(self.bit(name, id, 0), self.bit(name, id, 1)) for name in ("arrivals", "emptiness", "room")]
            keys = self._entries[id] = EntryKeys(self.bit("entry", id), self.bit("state", id), *pairs)
            self.rooms |= keys.room[0] | keys.room[1]
        return keys

    @property
    def ignored(self) -> int:
        """The keys that don't count: room in lanes that can't be full."""
        return self.rooms & ~self.bounded
