"""DurableSettings: what of a durable runtime is stored besides its activities, and where they stand in their lanes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from ..activity import Activity, was_delayed
from ..journal import UNCHANGED, Accepted, Changed
from ..limits import Limits
from .entry import RuntimeEntry
from .isolation import user_function
from .protocols import Host
from .storage import Storage
from .stored_settings import fingerprint, pack_limits
from .workflow import Workflow

__all__ = ["DurableSettings"]

S = TypeVar("S")
P = TypeVar("P")


class DurableSettings(RuntimeEntry[S, P], Generic[S, P]):
    """A runtime entry that stores its settings. The lock is held."""

    __slots__ = ("code", "given", "group_failures", "places", "storage", "stored_state")

    def __init__(self, host: Host, id: str, state: S, workflow: Workflow, limits: Limits, storage: Storage) -> None:
        self.storage = storage
        self.code = ""  # what tells one version of its workflow from another
        self.given = limits  # what the code says; the limits may have been changed since
        self.stored_state: Any = UNCHANGED
        self.places: dict[int, float] = {}  # of what was moved in its lane
        self.group_failures: Mapping[str, Iterable[float]] = {}  # of its groups, as they were stored with it
        super().__init__(host, id, state, workflow, limits)

    def supervision(self) -> dict[str, Any]:
        """What the supervisor has counted, as plain data."""
        own = {"failures": list(self.failures or ()), "failed": self.failed}
        groups = self.host.group_failures(self.id)
        return {**own, "groups": groups} if groups else own

    def store_supervision(self) -> None:
        """Note what the supervisor has counted."""
        self._change(supervision=self.supervision())

    def pause(self) -> None:
        """Take nothing more after the current activity."""
        super().pause()
        self._change(paused=True)

    def resume(self) -> bool:
        """Go on after a pause; False if an answer runs, with which it ends."""
        is_over = super().resume()
        if is_over:
            self._change(paused=False)
        return is_over

    def store_pause(self) -> None:
        """Note whether it is paused."""
        self._change(paused=self.paused)

    def stop(self) -> None:
        """Take no more activities: status FAILED."""
        super().stop()
        self.store_supervision()

    def recover(self) -> None:
        """Take activities again."""
        super().recover()
        self.store_supervision()

    def reset(self, state: S) -> None:
        """Begin again from a state."""
        super().reset(state)
        self.stored_state = state
        self._change(state=state, supervision=self.supervision())

    def replace_state(self, state: S) -> None:
        """Hold another state, by a command."""
        self.storage.journal.check(state, "the state")
        super().replace_state(state)
        self.stored_state = state
        self._change(state=state)

    def configure(self, workflow: Workflow, limits: Limits) -> None:
        """Use another workflow or other limits, from the next activity on."""
        super().configure(workflow, limits)
        code = fingerprint(user_function(workflow.call))
        if self.code not in ("", code):
            self._change(workflow=code)
        self.code = code

    def change_limits(self, limits: Limits) -> None:
        """Use other limits from now on."""
        super().change_limits(limits)
        self._change(limits=pack_limits(self.given, limits))

    def store_again(self, activity: Activity[Any]) -> None:
        """Note that a waiting activity was changed or moved."""
        rank = self._place(activity)
        self.storage.append(Accepted(activity=activity, rank=rank))

    def note_due(self, activity: Activity[Any]) -> None:
        """Note that a delayed activity has joined its lane, behind what has come meanwhile."""
        if not self.host.closed:
            self.storage.append(Accepted(activity=activity, rank=self._place_last(activity)))

    def put_last(self, activity: Activity[Any], accepted: Accepted) -> Accepted:
        """What is stored of an activity that is delivered some time after it got its id."""
        if was_delayed(activity):
            return accepted  # it gets a place in its lane once it is due
        return msgspec.structs.replace(accepted, rank=self._place_last(activity))

    def _place_last(self, activity: Activity[Any]) -> float:
        """The number of an activity that joins the end of its lane."""
        rank = self.places[activity.id] = float(self.host.number())
        return rank

    def _place(self, activity: Activity[Any]) -> float | None:
        """A number between those of its neighbours in the lane; None where its id says where it is."""
        items = list(self.mailbox.lane(activity.lane))
        at = next((i for i, each in enumerate(items) if each.id == activity.id), None)
        if at is None:
            return self.places.get(activity.id)
        before, after = items[at - 1] if at else None, items[at + 1] if at + 1 < len(items) else None
        low = -math.inf if before is None else self._rank(before)
        high = math.inf if after is None else self._rank(after)
        own = self._rank(activity)
        if not low < own < high:
            self.places[activity.id] = float(self.host.number()) if math.isinf(high) else _between(low, high)
        return self.places.get(activity.id)

    def _rank(self, activity: Activity[Any]) -> float:
        return self.places.get(activity.id, float(activity.id))

    def _change(self, **settings: Any) -> None:
        """Have a setting stored, unless the whole manager ends."""
        if not self.host.closed:
            self.storage.append(Changed(runtime=self.id, **settings))


def _between(low: float, high: float) -> float:
    return high - 1 if math.isinf(low) else (low + high) / 2
