"""Is anything wrong? The problems of all runtimes in one sentence, and totals. An update costs per changed runtime."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ...feed.source import Source
from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..html import Markup, fragment, join, link, span
from ..pace import window
from ..text import duration, quantity, safe_text, within_last
from ..theme import LANES
from .sign import FULL, Judgement, Signs, is_nearly_full

__all__ = ["Health", "Problem", "health_sentence"]

QUIET = (Status.PAUSED, Status.FAILED)
WORST = (Status.FAILED, Status.STUCK, Status.ERROR)
SAYS = {  # of one and of several: as it is now, and as it was within the window
    (Status.FAILED, True): ("is stopped by its supervisor", "are stopped by their supervisors"),
    (Status.STUCK, True): ("is stuck", "are stuck"),
    (Status.STUCK, False): ("was stuck", "were stuck"),
    (Status.ERROR, True): ("is failing", "are failing"),
    (Status.ERROR, False): ("had failures", "had failures"),
}
STEPS = (5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)  # seconds


class Problem(NamedTuple):
    """What is wrong with one runtime.

    Args:
        id: The runtime.
        status: What it is or was: failed, stuck or error; None if only its lanes are full.
        now: Whether it is so, and not only was a short while ago.
        lanes: What is to be said of its lanes, as "standard lane is full".
        since: When the activity began that it is stuck in, on the manager's clock.
    """

    id: str
    status: Status | None = None
    now: bool = True
    lanes: tuple[str, ...] = ()
    since: float | None = None


class Health:
    """The problems and totals of the runtimes of a manager, brought up to date from what changed.

    A problem is judged over a window, see `sign`, so that the sentence does not change with each activity.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.signs: dict[str, Signs] = {}  # of the runtimes that something was wrong with a short while ago
        self.problems: list[Problem] = []
        self.first = True  # whether nothing was looked at yet
        self.depths: dict[str, tuple[int, int]] = {}  # of those in which something waits
        self.moving: set[str] = set()  # ids whose status changes without a record: they run, or are about to
        self.waiting = [0, 0]
        self.unsettled = False  # whether the sentence changes by itself

    def look_at(self, ids: Collection[str] | None = None) -> None:
        """Look at these runtimes again; at all of them without `ids`."""
        live, recent = self.source.runtimes, window(self.source.speed)
        known = {*self.depths, *self.signs, *self.moving}
        self._forget([id for id in (known if ids is None else ids) if id not in live])
        shots = [] if ids is not None else self.source.active(recent)
        rest = known.difference(shot.id for shot in shots) if ids is None else ids
        shots += self.source.figures([id for id in rest if id in live], metrics=False)
        for shot in shots:
            self._add(shot, recent, self.first)
        self.first = False
        self._judge()

    def _forget(self, ids: Iterable[str]) -> None:
        for id in ids:
            self._set_depth(id, (0, 0))
            self.signs.pop(id, None)
            self.moving.discard(id)

    def _add(self, shot: Snapshot, recent: float, first: bool) -> None:
        self._set_depth(shot.id, shot.depth)
        works = shot.status is Status.PROCESSING or (any(shot.depth) and shot.status not in QUIET)
        (self.moving.add if works else self.moving.discard)(shot.id)
        signs = self.signs.get(shot.id)
        if signs is None and _is_suspect(shot, recent):
            signs = self.signs[shot.id] = Signs()
        if signs is not None:
            signs.look(shot, first=first)

    def _set_depth(self, id: str, depth: tuple[int, int]) -> None:
        before = self.depths.pop(id, (0, 0))
        if any(depth):
            self.depths[id] = depth
        for lane in (0, 1):
            self.waiting[lane] += depth[lane] - before[lane]

    def _judge(self) -> None:
        """Find the problems, and forget the runtimes that have none any more."""
        judgement = Judgement(self.source.now(), self.source.speed)
        found = [(id, _problem_of(id, signs, judgement)) for id, signs in self.signs.items()]
        self.problems = [problem for _, problem in found if problem is not None]
        self.unsettled = judgement.unsettled or any(each.status is Status.STUCK for each in self.problems)
        for id in [id for id, problem in found if problem is None]:
            del self.signs[id]

    def sentence(self, now: float) -> Markup:
        """What is wrong, in words, with a button for each runtime it names."""
        ended = len(self.source.ended)
        if ended and not len(self.source.runtimes):
            return fragment(f"No runtime is live; {ended:,} {'has' if ended == 1 else 'have'} ended.")
        recently = within_last(window(self.source.speed))
        return health_sentence(self.problems, len(self.source.runtimes), now, recently)


def _is_suspect(shot: Snapshot, recent: float) -> bool:
    """Whether there may be anything to say of a runtime. Of most there is nothing, and nothing is remembered."""
    if shot.status in WORST or any(map(is_nearly_full, shot.depth, shot.capacity)):
        return True
    return shot.error_at is not None and shot.at - shot.error_at <= recent


def _problem_of(id: str, signs: Signs, judgement: Judgement) -> Problem | None:
    stopped = True if signs.status is Status.FAILED else None
    judged = zip(WORST, (stopped, judgement.of(signs.stuck), judgement.of(signs.failing)), strict=True)
    status, now = next(((status, now) for status, now in judged if now is not None), (None, True))
    lanes = tuple(f"{lane} lane {words}" for lane, words in zip(LANES, _lanes(signs, judgement), strict=True) if words)
    return Problem(id, status, now, lanes, signs.started) if status is not None or lanes else None


def _lanes(signs: Signs, judgement: Judgement) -> Iterable[str]:
    """What is to be said of each lane; an empty text if it has room."""
    for nearly, full in zip(signs.nearly_full, signs.full, strict=True):
        now, ever_full = judgement.of(nearly), judgement.of(full) is not None
        so = "full" if ever_full else f"over {FULL:.0%} full".replace("%", " %")
        yield "" if now is None else f"is {so}" if now else f"was {so}"


def health_sentence(problems: list[Problem], total: int, now: float, recently: str = "") -> Markup:
    """One sentence about all runtimes. `recently`: the window of what is over, in words."""
    if not total:
        return fragment("No runtime yet.")
    parts = [
        _group(which, [each for each in problems if (each.status, each.now) == which], total, now, recently)
        for which in SAYS
    ]
    full = [each for each in problems if each.lanes]
    parts += [
        fragment(_links([each]), "\N{RIGHT SINGLE QUOTATION MARK}s ", _lane_words(each, recently)) for each in full[:3]
    ]
    parts += [fragment(f"{len(full) - 3:,} more have or had a full lane")] if len(full) > 3 else []
    wrong = [part for part in parts if part]
    return fragment(join(", ", wrong), ".") if wrong else fragment(_fine(total))


def _lane_words(problem: Problem, recently: str) -> str:
    words = " and its ".join(problem.lanes)
    return f"{words} {recently}" if " was " in problem.lanes[-1] else words


def _fine(total: int) -> str:
    return "The runtime is fine." if total == 1 else f"All {quantity(total, 'runtime')} are fine."


def _group(which: tuple[Status, bool], found: list[Problem], total: int, now: float, recently: str) -> Markup:
    if not found:
        return fragment()
    first, one = found[0], len(found) == 1
    words = SAYS[which][not one]
    if not first.now:
        words += f" {recently}"
    elif one and first.status is Status.STUCK and first.since is not None:
        words += _at_least(now - first.since)
    return fragment(f"{len(found):,} of {quantity(total, 'runtime')} {words} ", _links(found, "("), ")")


UNBROKEN = span.with_(cls="unbroken")


def _at_least(seconds: float) -> str:
    """How long, in steps: a figure that moves can't be read.

    >>> _at_least(3), _at_least(47)
    ('', ' for over 30 s')
    """
    step = max((step for step in STEPS if step <= seconds), default=0)
    return f" for over {duration(step)}" if step else ""


def _links(found: list[Problem], before: str = "") -> Markup:
    """Links to these. `before`: stands in the line of the first one, though a link is a box of its own."""
    names = [link(Address("runtime", each.id), safe_text(each.id, 40)) for each in found[:4]]
    names[0] = UNBROKEN(before, names[0]) if before else names[0]
    names += [fragment(f"{len(found) - 4} more")] if len(found) > 4 else []
    return fragment(join(", ", names[:-1]), " and ", names[-1]) if len(names) > 1 else names[0]
