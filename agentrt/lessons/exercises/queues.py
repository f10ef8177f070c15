"""Exercises about queues: how many are served, how many wait, and how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...activity import Activity
from ...queueing import Stream, mean_waits, throughput
from ...schema.numbers import count, number
from ..exercise import Exercise
from .trial import trial_manager, wait_for_fates

__all__ = ["busy_runway", "in_the_shop", "share_of_turns", "short_wait"]

DEPARTURES = 55  # an hour
LONGEST_WAIT = 5.0
PRIORITY = Stream.exponential(0.3, 1)


def _check_busy_runway(seconds: float) -> str | None:
    flights = Stream.deterministic(DEPARTURES / 3600, number("seconds", seconds, "seconds above 0", above=True))
    if flights.load > 1:
        return f"{DEPARTURES} flights of {seconds:g} s need {DEPARTURES * seconds / 60:.0f} minutes of each hour"
    if DEPARTURES * (seconds + 1) <= 3600:
        return f"it works, but a flight may take longer: the runway is in use {flights.load:.0%} of the time"
    return None


busy_runway = Exercise(
    f"{DEPARTURES} flights leave in an hour, from one runway. How many seconds may each of them need at most, in "
    "whole seconds, if the queue is not to grow for ever?",
    _check_busy_runway,
    "An hour has 3,600 seconds, and the runway can't work for longer than that.",
    "the runway keeps up, just so",
)


def _check_in_the_shop(in_shop: Callable[[float, float, float], float]) -> str | None:
    for rate, wait, service in ((2.0, 1.5, 0.25), (0.1, 60.0, 8.0), (5.0, 0.0, 0.1)):
        want, got = rate * (wait + service), in_shop(rate, wait, service)
        if abs(got - want) > 1e-9:
            case = f"at {rate:g} a second, {wait:g} s in the queue and {service:g} s of service"
            return f"{case}, {want:g} are there, not {got!r}"
    return None


in_the_shop = Exercise(
    "Write `in_shop(rate, wait, service)`: how many customers are in the shop on average, those who are being served "
    "included? `rate` is arrivals per second, `wait` and `service` are mean seconds.",
    _check_in_the_shop,
    "Little's law holds for any part of the world with a door in and a door out. How long does a customer stay in "
    "the shop?",
    "the law holds for the whole shop as it does for its queue",
)


def _check_short_wait(rate: float) -> str | None:
    rate = number("rate", rate, "activities per second, 0 or more")
    wait = mean_waits(PRIORITY, Stream.exponential(rate, 1))[1]
    if wait > LONGEST_WAIT:
        return f"at {rate:g} a second the standard lane waits {wait:.2f} s"
    more = mean_waits(PRIORITY, Stream.exponential(rate + 0.01, 1))[1]
    if more <= LONGEST_WAIT:
        return f"it waits {wait:.2f} s only, so there is room for more"
    return None


short_wait = Exercise(
    "0.3 urgent ones arrive in a second, and each one, urgent or not, takes a second on average, exponentially "
    f"distributed. How many standard ones may arrive in a second, to within 0.01, so that they wait {LONGEST_WAIT:g} "
    "s at most on average?",
    _check_short_wait,
    "`agentrt.queueing.mean_waits(Stream.exponential(0.3, 1), Stream.exponential(x, 1))` gives both waits. Try some "
    "x, or solve Cobham's formula for it.",
    "as much as the lane can take, and no more",
)


def _check_share_of_turns(fairness: int) -> str | None:
    fairness = count("fairness", fairness, least=1)
    turns: list[str] = []

    def serve(activity: Activity[None], state: int) -> int:
        turns.append(activity.lane)
        return state + 1

    with trial_manager() as manager:
        desk = manager.create("desk", 0, serve, fairness=fairness)
        desk.pause()
        receipts: list[Any] = [desk.send_nowait(None, priority=first) for first in (True, False) for _ in range(100)]
        desk.resume()
        wait_for_fates(receipts)
    share = turns[:100].count("standard")
    if share < 20:
        return f"of the first hundred turns the standard lane had {share}"
    longer = throughput(Stream.deterministic(2, 1), Stream.deterministic(2, 1), fairness + 1)[1]
    return f"the standard lane had {share} of a hundred turns: that is more than it needs" if longer >= 0.2 else None


share_of_turns = Exercise(
    "Both lanes are always full. Which `fairness` gives the standard lane at least a fifth of all turns, and as few "
    "more as can be?",
    _check_share_of_turns,
    "After so many urgent ones in a row comes one that is not. Count one round.",
    "four urgent ones, then one that is not: a fifth",
)
