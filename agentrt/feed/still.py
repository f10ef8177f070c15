"""What a source does that stands still: nothing in it changes, and it takes no command."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from datetime import datetime
from functools import cached_property
from typing import Any

from ..debugger import Whereabouts
from ..engine.hub import Frame, Hub
from ..errors import AccessDeniedError
from ..events import Outcome
from ..metrics import Fates
from ..snapshot import Snapshot, Status
from .entrance import explain_refusal
from .find import Key, cut, find_ids, search_ids, sort_ids
from .mirror import Mirror
from .source import BurstProgress, Found, PayloadForm, Reply, Standing, Watching

__all__ = ["MOST_RECORDS", "StillSource", "StoredIds"]

MOST_RECORDS = 20_000  # of the history that are shown


class StoredIds(Collection[str]):
    """Ids that do not change, in their order."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = dict.fromkeys(ids)

    def __contains__(self, id: object) -> bool:
        return id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __repr__(self) -> str:
        return f"<{len(self)} ids>"


class StillSource(ABC):
    """A source that stands still. A kind of it says how things were: `now`, `snapshot`, `figures`, `mailbox`.

    Args:
        records: What happened, oldest first.
        before: How many records came before these.
    """

    capabilities: frozenset[str] = frozenset()
    pace = (
        0.0  # seconds on the clock for a real one, where it is the past of what runs: a time axis is as long as there
    )
    runtimes: StoredIds
    ended: StoredIds

    def __init__(self, records: list[Any], before: int) -> None:
        self._mirror = Mirror(MOST_RECORDS)
        self._mirror.add(records, before)
        self.hub = Hub(self._mirror, self)  # type: ignore[arg-type]  # of the clock it reads the time only
        self._keys: dict[str, dict[str, Key]] = {}

    # ---- what a kind says

    @abstractmethod
    def now(self) -> float:
        """The time that it shows."""

    @abstractmethod
    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""

    @abstractmethod
    def standing(self) -> Standing:
        """What it is a record of."""

    @abstractmethod
    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime was."""

    @abstractmethod
    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table."""

    @property
    def speed(self) -> float:
        """0 as it stands still; for the past of what runs, the speed of that."""
        return self.pace

    # ---- what happened

    def frame(self, cursor: int = 0) -> Frame:
        """All that happened since a cursor."""
        return self._mirror.frame(self.now(), cursor)

    def attach(
        self, flush: Callable[[Frame], object], schedule: Callable[[Callable[[], None]], object] | None = None
    ) -> Callable[[], None]:
        """Have `flush(frame)` called once, with all there is."""
        return self.hub.attach(flush, schedule)

    def watching(self) -> Watching:
        """What it costs to watch."""
        return Watching(self.hub.cost, self.hub.pause, self.hub.pause > 2 * self.hub.interval)

    def charge(self, seconds: float) -> None:
        """Add processor seconds that were spent on drawing."""
        self.hub.charge(seconds)

    # ---- how things are

    def snapshots(self, ids: Iterable[str] | None = None, metrics: bool = False) -> list[Snapshot]:
        """How several runtimes were."""
        chosen = self.runtimes if ids is None else ids
        return [shot for id in chosen if (shot := self.snapshot(id, metrics)) is not None]

    def active(self, recent: float = 0.0) -> list[Snapshot]:
        """Snapshots of those runtimes of which there is something to say."""
        return [shot for shot in self._plain_shots if self._is_active(shot, self.now() - recent)]

    @cached_property
    def _plain_shots(self) -> list[Snapshot]:
        return self.figures(self.runtimes, metrics=False)

    def _is_active(self, shot: Snapshot, since: float) -> bool:
        if shot.status is not Status.IDLE or shot.depth != (0, 0):
            return True
        return shot.error_at is not None and shot.error_at >= since

    def find(
        self, search: str = "", sort: str = "", down: bool = False, start: int = 0, count: int | None = None
    ) -> Found:
        """The ids of a part of the runtimes, searched and sorted."""
        if not sort:
            return find_ids(self.runtimes, self.ended, search, start, count)
        if sort not in self._keys:
            self._keys[sort] = {shot.id: SORT_KEYS[sort](shot) for shot in self._plain_shots}
        keys = {id: self._keys[sort][id] for id in search_ids(self.runtimes, search)}
        return cut(sort_ids(keys, self.runtimes, self.ended, search, down), start, count)

    def where(self, id: str) -> Whereabouts | None:
        """None: nothing runs."""

    def form(self, id: str, activity: int | None = None) -> PayloadForm | None:
        """None: nothing can be sent."""

    def fates(self) -> Fates:
        """The counts of all runtimes."""
        return sum((shot.fates for shot in self._plain_shots), Fates())

    def outcomes(self, activities: Iterable[int]) -> dict[int, Outcome]:
        """None: nothing was sent from here."""
        return {}

    def burst(self, number: int) -> BurstProgress | None:
        """None: there are no bursts."""

    # ---- commands

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """Refuse a command."""
        raise self._refuse(name)

    def submit(self, name: str, id: str = "", /, **arguments: Any) -> Future[Reply]:
        """Refuse a command."""
        raise self._refuse(name)

    def _refuse(self, name: str) -> AccessDeniedError:
        return explain_refusal(self, name.replace("_", " "))


def _error_words(shot: Snapshot) -> Key:
    error = shot.error and (shot.error.__cause__ or shot.error)
    return f"{type(error).__name__}: {error}"[:200] if error else None


SORT_KEYS: dict[str, Callable[[Snapshot], Key]] = {
    "id": lambda shot: shot.id,
    "status": lambda shot: shot.status.value,
    "priority": lambda shot: shot.depth[0],
    "standard": lambda shot: shot.depth[1],
    "processed": lambda shot: shot.fates.done + shot.fates.failed + shot.fates.timed_out,
    "failed": lambda shot: shot.fates.failed + shot.fates.timed_out,
    "error": _error_words,
    "rate": lambda shot: 0.0,
    **dict.fromkeys(("wait_priority", "wait_standard", "service50", "service95"), lambda shot: None),
}
