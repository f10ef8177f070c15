"""A manager in another process as it was after one of its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from ..activity import Activity
from ..dead_letters import DeadLetter, Ledger
from ..errors import ConfigurationError
from ..metrics import Fates
from ..snapshot import Snapshot
from .source import JournalStanding, Page, Settings, Standing
from .still import StillSource, StoredIds

__all__ = ["RemoteMoment"]

Ask = Callable[..., Any]


class RemoteMoment(StillSource):
    """Everything there as it was: `remote.past(sequence)`. See `Source` for what each method does.

    Args:
        ask: Asks for a read of the moment, by its name and its arguments; each answer is kept.
        records: What is known here of what happened until then.
        wall: The date and time of a reading of the clock there.

    Raises:
        ConfigurationError: It is no longer recorded there, or there is no answer.
    """

    def __init__(self, name: str, ask: Ask, records: list[Any], wall: Callable[[float], datetime]) -> None:
        self.name = name
        self._wall = wall
        self._kept: dict[Any, Any] = {}
        self._ask = ask
        ids = self._read("ids")
        if ids is None:
            raise ConfigurationError("that moment is no longer recorded, or the manager does not answer")
        self._ids = ids
        self.runtimes, self.ended = StoredIds(ids.live), StoredIds(ids.ended)
        super().__init__(records, 0)

    def _read(self, name: str, *arguments: Any) -> Any:
        key = (name, *arguments)
        if key not in self._kept:
            self._kept[key] = self._ask(f"moment_{name}", *arguments)
        return self._kept[key]

    def now(self) -> float:
        """The time of the moment."""
        return float(self._ids.now)

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self._wall(at)

    def standing(self) -> Standing:
        """It is of this moment, and stays as it is."""
        return Standing(recorded=self._ids.recorded)

    def snapshot(self, id: str, metrics: bool = True) -> Snapshot | None:
        """How a runtime was."""
        found: Snapshot | None = self._read("snapshot", id, metrics)
        return found

    def figures(self, ids: Iterable[str], metrics: bool = True) -> list[Snapshot]:
        """Snapshots of these ids for a table."""
        wanted = tuple(ids)
        return list(self._read("figures", wanted, metrics) or ()) if wanted else []

    def settings(self, id: str) -> Settings | None:
        """What was set of a runtime."""
        found: Settings | None = self._read("settings", id)
        return found

    def mailbox(
        self, id: str, lane: str | None = None, start: int = 0, count: int | None = None
    ) -> Page[Activity[Any]]:
        """What waited in a runtime, in order; a thousand at most."""
        return self._read("mailbox", id, lane, start, count) or Page()

    def fates(self) -> Fates:
        """The counts of all runtimes."""
        return self._read("fates") or Fates()

    def dead_letters(self, start: int = 0, count: int | None = None) -> Page[DeadLetter]:
        """Dead letters, oldest first."""
        return self._read("dead_letters", start, count) or Page()

    def ledger(self) -> Ledger:
        """What became of all dead letters."""
        return self._read("ledger") or Ledger()

    def journal(self, id: str = "") -> JournalStanding | None:
        """None: how far a journal was is not recorded."""
