"""Is anything wrong? The problems of all runtimes in one sentence, and totals. An update costs per changed runtime."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...feed.source import Source
from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..html import Markup, fragment, join, link
from ..text import duration, percent, quantity, safe_text
from ..theme import LANES

__all__ = ["Health", "Problem", "diagnose", "health_sentence"]

FULL = 0.9
QUIET = (Status.PAUSED, Status.FAILED)
WORST = (Status.FAILED, Status.STUCK, Status.ERROR)
SAYS = {  # of one, and of several
    Status.FAILED: ("stopped by its supervisor", "stopped by their supervisors"),
    Status.STUCK: ("stuck", "stuck"),
    Status.ERROR: ("failing", "failing"),
}


class Problem(NamedTuple):
    """What is wrong with one runtime. `since`: when that began, on the manager's clock."""

    status: Status
    id: str
    lanes: tuple[str, ...] = ()
    since: float | None = None


def diagnose(snapshot: Snapshot) -> Problem | None:
    """What is wrong with a runtime, None if it is fine."""
    full = tuple(
        f"{lane} lane is {percent(depth, capacity)} full"
        for lane, depth, capacity in zip(LANES, snapshot.depth, snapshot.capacity, strict=True)
        if capacity and depth >= FULL * capacity
    )
    failing = snapshot.status in WORST or (snapshot.status is Status.PROCESSING and _has_just_failed(snapshot))
    if not failing and not full:
        return None
    status = Status.ERROR if failing and snapshot.status is Status.PROCESSING else snapshot.status
    return Problem(status, snapshot.id, full, snapshot.started if status is Status.STUCK else snapshot.error_at)


def _has_just_failed(snapshot: Snapshot) -> bool:
    """Whether it runs the next activity right after a failure: the status alone says only processing."""
    return snapshot.error_at is not None and snapshot.started is not None and snapshot.started - snapshot.error_at < 0.1


class Health:
    """The problems and totals of the runtimes of a manager, brought up to date from what changed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: dict[str, Problem] = {}
        self.depths: dict[str, tuple[int, int]] = {}
        self.moving: set[str] = set()  # ids whose status changes without a record: they run, or are about to
        self.waiting = [0, 0]

    def look_at(self, ids: Iterable[str] | None = None) -> None:
        """Look at these runtimes again; at all of them without `ids`."""
        if ids is None:
            self.problems, self.depths, self.moving, self.waiting = {}, {}, set(), [0, 0]
            shots = self.source.snapshots()
        else:
            live = self.source.runtimes
            shots = self.source.snapshots(id for id in ids if id in live)
            self._forget(id for id in ids if id not in live)
        for shot in shots:
            self._add(shot)

    def _forget(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._set_depth(id, (0, 0))
            self.depths.pop(id, None)
            self.problems.pop(id, None)
            self.moving.discard(id)

    def _add(self, shot: Snapshot) -> None:
        self._set_depth(shot.id, shot.depth)
        works = shot.status is Status.PROCESSING or (any(shot.depth) and shot.status not in QUIET)
        (self.moving.add if works else self.moving.discard)(shot.id)
        problem = diagnose(shot)
        if problem is None:
            self.problems.pop(shot.id, None)
        else:
            self.problems[shot.id] = problem

    def _set_depth(self, id: str, depth: tuple[int, int]) -> None:
        before = self.depths.get(id, (0, 0))
        self.depths[id] = depth
        for lane in (0, 1):
            self.waiting[lane] += depth[lane] - before[lane]

    def sentence(self, now: float) -> Markup:
        """What is wrong, in words, with a button for each runtime it names."""
        ended = len(self.source.ended)
        if ended and not len(self.source.runtimes):
            return fragment(f"No runtime is live; {ended:,} {'has' if ended == 1 else 'have'} ended.")
        return health_sentence(list(self.problems.values()), len(self.source.runtimes), now)


def health_sentence(problems: list[Problem], total: int, now: float) -> Markup:
    """One sentence about all runtimes."""
    if not total:
        return fragment("No runtime yet.")
    parts = [_group(status, [each for each in problems if each.status is status], total, now) for status in WORST]
    full = [each for each in problems if each.lanes]
    parts += [
        fragment(_links([each]), f"\N{RIGHT SINGLE QUOTATION MARK}s {' and its '.join(each.lanes)}")
        for each in full[:3]
    ]
    parts += [fragment(f"{len(full) - 3:,} more have a full lane")] if len(full) > 3 else []
    wrong = [part for part in parts if part]
    return fragment(join(", ", wrong), ".") if wrong else fragment(_fine(total))


def _fine(total: int) -> str:
    return "The runtime is fine." if total == 1 else f"All {quantity(total, 'runtime')} are fine."


def _group(status: Status, found: list[Problem], total: int, now: float) -> Markup:
    if not found:
        return fragment()
    one = len(found) == 1
    since = found[0].since
    long = f" for {duration(now - since)}" if one and status is Status.STUCK and since is not None else ""
    words = f"{'is' if one else 'are'} {SAYS[status][not one]}{long}"
    return fragment(f"{len(found):,} of {quantity(total, 'runtime')} {words} (", _links(found), ")")


def _links(found: list[Problem]) -> Markup:
    names = [link(Address("runtime", each.id), safe_text(each.id, 40)) for each in found[:4]]
    names += [fragment(f"{len(found) - 4} more")] if len(found) > 4 else []
    return fragment(join(", ", names[:-1]), " and ", names[-1]) if len(names) > 1 else names[0]
