"""The ids of all runtimes where they are looked at: read once as a whole, then followed by what changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import msgspec

__all__ = ["FollowedIds", "IdsUpdate", "RemoteIds"]


class IdsUpdate(msgspec.Struct, array_like=True, frozen=True):
    """How the ids have changed, and the number to ask with the next time.

    Args:
        number: Of the last change.
        whole: All ids; None if the changes are enough.
        changes: Ids and whether the runtime was made; False: it ended.
    """

    number: int
    whole: list[str] | None = None
    changes: list[tuple[str, bool]] = []


class FollowedIds:
    """The ids as of the last update. They are changed in place: to copy all takes longer than most updates."""

    def __init__(self) -> None:
        self.number = -1
        self.ids: dict[str, None] = {}

    def take(self, update: IdsUpdate) -> None:
        """Take an update. One that tells again what is known changes nothing."""
        if update.whole is not None:
            self.ids = dict.fromkeys(update.whole)
        for id, made in update.changes:
            self.ids.pop(id, None)
            if made:
                self.ids[id] = None
        self.number = update.number


class RemoteIds(Collection[str]):
    """Ids of a remote source, as of its last answer."""

    def __init__(self, read: Callable[[], dict[str, None]]) -> None:
        self._read = read

    def __contains__(self, id: object) -> bool:
        return id in self._read()

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._read()))

    def __repr__(self) -> str:
        return f"<{len(self)} ids>"
