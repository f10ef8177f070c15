"""The agents' clock beside the real one: on a clock that runs 60 times faster, a minute of who looks is an hour."""

from __future__ import annotations

import math
from datetime import datetime

from ..feed.source import Time
from .text import rate

__all__ = ["MINUTE", "clock_words", "in_real_time", "real_second", "window"]

MINUTE = 60  # real seconds: what counts as recent, and what a time axis shows


def real_second(speed: float) -> float:
    """How many seconds of the agents' clock pass in a real one; 1 where it runs slower or without a speed.

    >>> real_second(60), real_second(0.1), real_second(float("inf"))
    (60, 1.0, 1.0)
    """
    return speed if 1 < speed < math.inf else 1.0


def window(speed: float) -> float:
    """Seconds of the agents' clock in a minute of who looks.

    >>> window(60), window(1), window(float("inf"))
    (3600.0, 60.0, 60.0)
    """
    return float(MINUTE * speed) if 0 < speed < math.inf else float(MINUTE)


def clock_words(clock: Time) -> str:
    """What a person has to know about the times that are shown; empty where the clock is the real one."""
    speed, wall = clock.speed, clock.wall(clock.now())
    day = "" if wall.date() == datetime.now(wall.tzinfo).date() else f" and reads {wall:%A}, {wall.day} {wall:%B %Y}"
    if speed == 1 and not day:
        return ""
    return f"Times and rates are by the agents\N{RIGHT SINGLE QUOTATION MARK} clock, which {_pace(speed)}{day}."


def _pace(speed: float) -> str:
    if speed == 0:
        return "is stopped"
    if speed == math.inf:
        return "leaps over every wait"
    if speed < 1:
        return f"runs at {speed:.2g} of the speed of a real one"
    return "runs as fast as a real one" if speed == 1 else f"runs {speed:,.4g} times as fast as a real one"


def in_real_time(per_second: float, speed: float) -> str:
    """The rate by a real clock, in words; empty where that is the rate by the agents' clock, or can't be said.

    >>> in_real_time(0.5, 60), in_real_time(0.5, 1), in_real_time(0.5, float("inf"))
    ('30/s in real time', '', '')
    """
    return f"{rate(per_second * speed)} in real time" if speed not in (0, 1, math.inf) else ""
