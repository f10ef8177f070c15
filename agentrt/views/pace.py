"""The agents' clock beside the real one: on a clock that runs 60 times faster, a minute of who looks is an hour."""

from __future__ import annotations

import math

__all__ = ["MINUTE", "real_second", "window"]

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
