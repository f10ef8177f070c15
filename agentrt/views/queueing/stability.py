"""Whether a queue is stable, in sentences: what was measured, what that means, and what the prediction assumes."""

from __future__ import annotations

import math

from ...activity import Lane
from ...queueing import growth_rates, load_standard_error, mean_queue_length, time_until_full, utilisation
from ...snapshot import Snapshot, Status
from ..text import duration, listing, percent, quantity, rate, si
from .queue_window import Reading

__all__ = ["ENOUGH", "assumptions", "littles_law", "stability"]

ENOUGH = 20  # activities that have ended, for a mean that says something
OFF = 0.2  # how far apart two numbers may be that should be one

HALTED = (Status.PAUSED, Status.FAILED, Status.STUCK, Status.TERMINATED)
REFUSED = "What comes now waits outside or is refused, so more would come than is counted here."

Words = tuple[str, str]


def stability(reading: Reading, shot: Snapshot, fairness: int | None, speed: float = 1.0) -> Words:
    """A sentence on whether the queue is stable, and one on what that means."""
    if reading.ran < ENOUGH:
        return _too_little(reading, shot)
    load = utilisation(reading.priority.stream, reading.standard.stream)
    error = _doubt(reading)
    if load >= 1 or (shot.status not in HALTED and _full(shot)):
        return _unstable(reading, shot, fairness, load, error, speed)
    sure = "Stable" if load + 2 * error < 1 else "Probably stable"
    first = f"{sure}: it is busy {percent(reading.busy, 1)} of the time."
    comes = f"{_work_words(load)} for every second it has, so it catches up after a burst"
    doubtful = "" if sure == "Stable" else f", as far as {quantity(reading.ran, 'activity')} can tell (± {error:.2f})"
    waiting = f"on average {si(reading.priority.length + reading.standard.length)} wait"
    return first, f"{comes}{doubtful}; {waiting}. {_room_words(load)}"


def _work_words(load: float) -> str:
    return f"{duration(load)} of work comes in"


def _room_words(load: float) -> str:
    return f"Arrivals could grow {1 / load:.1f}-fold before it no longer keeps up." if load > 0 else ""


def _too_little(reading: Reading, shot: Snapshot) -> Words:
    span = duration(reading.span)
    if not reading.arrived and not any(shot.depth):
        return (
            f"Nothing to say: nothing came in the last {span}." if reading.span > 1 else "Nothing has come yet.",
            f"Send it activities, {ENOUGH} or more, and what theory predicts stands here beside what is measured.",
        )
    missing = ENOUGH - reading.ran
    waiting = f" {quantity(sum(shot.depth), 'activity')} waiting." if any(shot.depth) else ""
    halted = f" It is {shot.status.value} now." if shot.status in HALTED else ""
    return (
        f"Not enough to say: {reading.ran} ended in the last {span}; {missing} more and there is a prediction.",
        f"A mean of less than {ENOUGH} says little.{waiting}{halted}",
    )


def _unstable(reading: Reading, shot: Snapshot, fairness: int | None, load: float, error: float, speed: float) -> Words:
    full = [_full_words(shot, lane) for lane in range(2) if shot.depth[lane] >= shot.capacity[lane]]
    if load < 1:
        return f"At its limit: {listing(full)}, and {_work_words(load)} each second.", REFUSED
    sure = "Not stable" if load - 2 * error > 1 else "Probably not stable"
    first = f"{sure}: {_work_words(load)} each second, and it can do one."
    grows = growth_rates(reading.priority.stream, reading.standard.stream, fairness)
    later = [
        _fills(shot, lane, by, speed)
        for lane, by in enumerate(grows)
        if by > 0 and shot.depth[lane] < shot.capacity[lane]
    ]
    rest = " ".join([*([f"{listing(full).capitalize()}. {REFUSED}"] if full else []), *later])
    return first, f"{rest} Fewer arrivals, a quicker workflow or more runtimes would help."


def _full(shot: Snapshot) -> bool:
    return any(depth >= capacity for depth, capacity in zip(shot.depth, shot.capacity, strict=True))


def _full_words(shot: Snapshot, lane: int) -> str:
    return f"the {list(Lane)[lane].value} lane is full ({shot.capacity[lane]:,})"


def _fills(shot: Snapshot, lane: int, by: float, speed: float) -> str:
    seconds = time_until_full(shot.capacity[lane], shot.depth[lane], by)
    name = list(Lane)[lane].value
    full = f"is full ({shot.capacity[lane]:,}) in {duration(seconds)} at this rate"
    return f"The {name} lane grows by {rate(by, speed)} and {full}."


def _doubt(reading: Reading) -> float:
    """The standard error of the whole load: of both lanes, taken as independent."""
    errors = []
    for queue in (reading.priority, reading.standard):
        mean, square = queue.stream.mean, queue.stream.square
        if mean > 0:
            variation = max(0.0, square / mean**2 - 1)
            errors.append(load_standard_error(queue.stream.load, queue.arrived, queue.ran, variation))
    return math.hypot(*(error for error in errors if math.isfinite(error)))


def littles_law(reading: Reading) -> str:
    """Little's law, compared with what was measured."""
    length = reading.priority.length + reading.standard.length
    law = sum(mean_queue_length(queue.rate, queue.wait) for queue in (reading.priority, reading.standard))
    top = max(length, law)
    if top < 0.01:
        return "Little's law, L = λW: next to nothing waits, so there is nothing to compare."
    off = abs(length - law) / top
    numbers = f"L = {si(length)} wait on average, λW = {si(law)}"
    if off <= OFF:
        return f"Little's law holds: {numbers}, {percent(off, 1)} apart."
    return f"Little's law does not hold in this window: {numbers}, {percent(off, 1)} apart. {_why(reading)}"


def _why(reading: Reading) -> str:
    came, left = reading.arrived, reading.priority.left + reading.standard.left
    if came == left:
        return "Many of those that left had come before it began."
    more = "more came than left" if came > left else "more left than came"
    return f"It holds in balance, and {more}: {came:,} came, {left:,} left."


def assumptions(reading: Reading, fairness: int | None) -> list[str]:
    """What the prediction assumes, and where this queue differs from that."""
    strict = "strict priority" if not fairness else f"strict priority, but fairness is {fairness} here"
    helps = "" if not fairness else f": after {fairness} priority activities a waiting standard one goes first"
    notes = [f"The prediction assumes Poisson arrivals, independent service times and {strict}{helps}."]
    if reading.halted:
        notes.append("It was paused, stopped or stuck for a time: waits are then longer than predicted.")
    if reading.delayed:
        notes.append(f"{quantity(reading.delayed, 'activity')} sent with a delay, which counts as waiting.")
    if reading.unserved:
        notes.append(f"{quantity(reading.unserved, 'activity')} ended without being processed; they count as arrivals.")
    return notes
