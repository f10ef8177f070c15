"""A cluster as it was after one of its records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..engine.hub import Frame
from ..feed.several import Part, SeveralSource
from ..feed.source import Standing
from .dialer import LocalTime

__all__ = ["ClusterMoment"]


class ClusterMoment(SeveralSource):
    """All nodes as they were: no node later than what another one had caused there. See `SeveralSource`.

    Args:
        name: The name of the cluster.
        parts: The moments of the nodes.
        records: What had happened until then on all of them, in their order; one at least.
        clock: That of the driver.
        pace: Seconds on it for a real one.
        error: Seconds by which the clocks of the nodes may be off.
    """

    def __init__(
        self, name: str, parts: dict[int, Part], records: list[Any], clock: LocalTime, pace: float, error: float
    ) -> None:
        self._begin(name, parts)
        self._mirror.add(records, 0)
        self._at = max(record.at for record in records)
        self._clock = clock
        self._pace = pace
        self._error = error

    def _pull(self, frame: Frame | None = None) -> None:
        """Nothing comes any more."""

    def now(self) -> float:
        """The time of the moment."""
        return float(self._at)

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""
        return self._clock.wall(at)

    @property
    def speed(self) -> float:
        """That of the cluster: a time axis is as long as there."""
        return self._pace

    def standing(self) -> Standing:
        """It is of this moment, and stays as it is."""
        at = f"{self.wall(self._at):%Y-%m-%d at %H:%M:%S}"
        error = max(1.0, 1000 * self._error)
        return Standing(
            recorded=f"the manager {self.name} as it stood on {at}, by clocks that agree within {error:.0f} ms"
        )
