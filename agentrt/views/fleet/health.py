"""Is anything wrong? What is, in one sentence; and the totals. An update costs per changed runtime."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..text import count, duration, listing, percent, safe_text
from ..theme import LANES

__all__ = ["Health", "Trouble", "diagnose", "tell"]

FULL = 0.9
QUIET = (Status.PAUSED, Status.FAILED)
WORST = (Status.FAILED, Status.STUCK, Status.ERROR)
SAYS = {Status.FAILED: "stopped by its supervisor", Status.STUCK: "stuck", Status.ERROR: "failing"}
SAY = {Status.FAILED: "stopped by their supervisors", Status.STUCK: "stuck", Status.ERROR: "failing"}


class Trouble(NamedTuple):
    """What is wrong with one runtime. `since`: when that began, on the manager's clock."""

    status: Status
    id: str
    lanes: tuple[str, ...] = ()
    since: float | None = None


def diagnose(snapshot: Snapshot) -> Trouble | None:
    """What is wrong with a runtime, None if it is fine."""
    full = tuple(
        f"{lane} lane is {percent(depth, capacity)} full"
        for lane, depth, capacity in zip(LANES, snapshot.depth, snapshot.capacity, strict=True)
        if capacity and depth >= FULL * capacity
    )
    failing = snapshot.status in WORST or (snapshot.status is Status.PROCESSING and _just_failed(snapshot))
    if not failing and not full:
        return None
    status = Status.ERROR if failing and snapshot.status is Status.PROCESSING else snapshot.status
    return Trouble(status, snapshot.id, full, snapshot.started if status is Status.STUCK else snapshot.error_at)


def _just_failed(snapshot: Snapshot) -> bool:
    """It works on the next one while the last one failed: a status that says only processing hides that."""
    return snapshot.error_at is not None and snapshot.started is not None and snapshot.started - snapshot.error_at < 0.1


class Health:
    """Troubles and totals of a manager's runtimes, kept up to date from what changed."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.troubles: dict[str, Trouble] = {}
        self.depths: dict[str, tuple[int, int]] = {}
        self.moving: set[str] = set()  # whose status changes without a record: what is about to run, and what runs
        self.waiting = [0, 0]

    def look_at(self, ids: Iterable[str] | None = None) -> None:
        """Look at these runtimes again; at all of them without `ids`."""
        if ids is None:
            self.troubles, self.depths, self.moving, self.waiting = {}, {}, set(), [0, 0]
            shots = self.manager.snapshots()
        else:
            shots = [self.manager.snapshot(id, metrics=False) for id in ids if id in self.manager]
            self._forget(id for id in ids if id not in self.manager)
        for shot in shots:
            self._note(shot)

    def _forget(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._deep(id, (0, 0))
            self.depths.pop(id, None)
            self.troubles.pop(id, None)
            self.moving.discard(id)

    def _note(self, shot: Snapshot) -> None:
        self._deep(shot.id, shot.depth)
        works = shot.status is Status.PROCESSING or (any(shot.depth) and shot.status not in QUIET)
        (self.moving.add if works else self.moving.discard)(shot.id)
        trouble = diagnose(shot)
        if trouble is None:
            self.troubles.pop(shot.id, None)
        else:
            self.troubles[shot.id] = trouble

    def _deep(self, id: str, depth: tuple[int, int]) -> None:
        before = self.depths.get(id, (0, 0))
        self.depths[id] = depth
        for lane in (0, 1):
            self.waiting[lane] += depth[lane] - before[lane]

    def sentence(self, now: float) -> str:
        """What is wrong, in words, with a button for each runtime it names. Safe for HTML."""
        ended = len(self.manager.terminated)
        if ended and not len(self.manager):
            return f"No runtime is live; {ended:,} {'has' if ended == 1 else 'have'} ended."
        return tell(list(self.troubles.values()), len(self.manager), now)


def tell(troubles: list[Trouble], total: int, now: float) -> str:
    """One sentence about all of it."""
    if not total:
        return "No runtime yet."
    parts = [_group(status, [each for each in troubles if each.status is status], total, now) for status in WORST]
    full = [each for each in troubles if each.lanes]
    parts += [f"{_names([each])}&rsquo;s {' and its '.join(each.lanes)}" for each in full[:3]]
    parts += [f"{len(full) - 3:,} more have a full lane"] if len(full) > 3 else []
    said = [part for part in parts if part]
    return _capital(", ".join(said) + ".") if said else _fine(total)


def _fine(total: int) -> str:
    return "The runtime is fine." if total == 1 else f"All {count(total, 'runtime')} are fine."


def _group(status: Status, found: list[Trouble], total: int, now: float) -> str:
    if not found:
        return ""
    one = len(found) == 1
    since = found[0].since
    long = f" for {duration(now - since)}" if one and status is Status.STUCK and since is not None else ""
    word = SAYS[status] if one else SAY[status]
    return f"{len(found):,} of {count(total, 'runtime')} {'is' if one else 'are'} {word}{long} ({_names(found)})"


def _names(found: list[Trouble]) -> str:
    buttons = [
        f'<button class="link" data-do="go" data-with="{Address("runtime", each.id)}">{safe_text(each.id, 40)}</button>'
        for each in found[:4]
    ]
    return listing([*buttons, *["…"] * (len(found) - len(buttons))], most=4) if len(found) > 1 else buttons[0]


def _capital(text: str) -> str:
    return text if text.startswith("<") else text[:1].upper() + text[1:]
