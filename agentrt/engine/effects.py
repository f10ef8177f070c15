"""Effects: what the activities of a durable runtime have done outside, so that it is not done again."""

from __future__ import annotations

from typing import Any

from ..activity import Activity
from ..journal import EffectDone

__all__ = ["Effects"]


class Effects:
    """The results of named effects, until their activity is committed. The loop's thread only."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry
        self._done: dict[int, dict[str, Any]] = {}

    def find(self, activity: Activity[Any], name: str) -> tuple[Any] | None:
        """The result of an effect that was done when this activity ran before; None if it was not."""
        done = self._done.get(activity.id)
        storage = self._entry.storage
        if done is None and activity.id <= storage.last_resumed:
            done = self._done[activity.id] = storage.journal.effects(self._entry.id, activity.id)
        return (done[name],) if done and name in done else None

    async def keep(self, activity: Activity[Any], name: str, value: Any) -> None:
        """Store a result. Raises `JournalError` if it can't be."""
        await self._entry.storage.journal.put(
            EffectDone(runtime=self._entry.id, activity=activity.id, name=name, value=value)
        )
        self._done.setdefault(activity.id, {})[name] = value

    def of(self, activity: Activity[Any]) -> dict[str, Any]:
        """All that an activity has done before, by name."""
        self.find(activity, "")  # reads those of an activity that was interrupted
        return dict(self._done.get(activity.id, {}))

    def restore(self, activity: int, done: dict[str, Any]) -> None:
        """An activity has done this elsewhere."""
        if done:
            self._done[activity] = dict(done)

    def forget(self, activity: int) -> None:
        """Its activity is committed."""
        self._done.pop(activity, None)
