"""What queueing theory says of a runtime: one server, two lanes, the priority lane first, nothing is interrupted.

Each formula names its source. All are of the long run: they hold for means over a time in which the rates stay what
they are. Rates are per second, times are seconds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Stream", "doubt", "growth", "little", "served", "time_until", "utilisation", "waits"]


class Stream(NamedTuple):
    """What comes to one lane: how many per second, how long one takes on the mean, and the mean of its square.

    >>> Stream.exponential(rate=0.3, mean=1).load
    0.3
    """

    rate: float = 0.0
    mean: float = 0.0
    square: float = 0.0

    @classmethod
    def exponential(cls, rate: float, mean: float) -> Stream:
        """Service times of an exponential distribution: E[S^2] = 2 E[S]^2."""
        return cls(rate, mean, 2 * mean**2)

    @classmethod
    def fixed(cls, rate: float, mean: float) -> Stream:
        """Service times that are all the same: E[S^2] = E[S]^2."""
        return cls(rate, mean, mean**2)

    @property
    def load(self) -> float:
        """rho_i = lambda_i E[S_i]: the seconds of work that come in each second."""
        return self.rate * self.mean


def utilisation(priority: Stream, standard: Stream) -> float:
    """rho, the share of its time a server has to work; a queue is stable where it is below 1 (Erlang 1909).

    >>> utilisation(Stream.fixed(2, 0.25), Stream.fixed(1, 0.25))
    0.75
    """
    return priority.load + standard.load


def little(rate: float, wait: float) -> float:
    """L = lambda W: how many wait on the mean, whatever the order and the distributions (Little 1961).

    >>> little(rate=2, wait=1.5)
    3.0
    """
    return rate * wait


def waits(priority: Stream, standard: Stream) -> tuple[float, float]:
    """The mean waits of both lanes in M/G/1 with strict priority that never interrupts (Cobham 1954).

    W0 = sum(lambda_i E[S_i^2]) / 2 is what is left of the work at hand; then W1 = W0 / (1 - rho1) and
    W2 = W0 / ((1 - rho1)(1 - rho1 - rho2)). A lane that is not stable waits ever longer: infinite.

    >>> [round(w, 3) for w in waits(Stream.exponential(0.3, 1), Stream.exponential(0.4, 1))]
    [1.0, 3.333]
    >>> [round(w, 3) for w in waits(Stream.fixed(0.3, 1), Stream.fixed(0.9, 1))]
    [0.714, inf]
    """
    rates = served(priority, standard)
    left = sum(rate * stream.square for rate, stream in zip(rates, (priority, standard), strict=True)) / 2
    free, rest = 1 - priority.load, 1 - utilisation(priority, standard)
    return left / free if free > 0 else math.inf, left / (free * rest) if rest > 0 else math.inf


def served(priority: Stream, standard: Stream, fairness: int | None = None) -> tuple[float, float]:
    """How many of each lane are served per second in the long run: all that come, or as many as there is time for.

    Strict priority leaves the standard lane what the other does not need; with `fairness` it is one after so many
    urgent ones at least.

    >>> served(Stream.fixed(2, 1), Stream.fixed(1, 1))
    (1.0, 0.0)
    >>> served(Stream.fixed(2, 1), Stream.fixed(1, 1), fairness=4)
    (0.8, 0.2)
    """
    if utilisation(priority, standard) <= 1:
        return priority.rate, standard.rate
    rest = max(0.0, 1 - priority.load) / standard.mean if standard.mean else standard.rate
    turn = 1 / (fairness * priority.mean + standard.mean) if fairness else 0.0
    second = min(standard.rate, max(rest, turn))
    first = (1 - second * standard.mean) / priority.mean if priority.mean else priority.rate
    return min(priority.rate, first), second


def growth(priority: Stream, standard: Stream, fairness: int | None = None) -> tuple[float, float]:
    """By how many per second each lane grows in the long run.

    >>> growth(Stream.fixed(0.5, 1), Stream.fixed(0.75, 1))
    (0.0, 0.25)
    """
    first, second = served(priority, standard, fairness)
    return priority.rate - first, standard.rate - second


def time_until(capacity: float, depth: float, grows: float) -> float:
    """Seconds until a lane that grows by so many per second is full; infinite if it does not grow.

    >>> time_until(capacity=100, depth=40, grows=0.5)
    120.0
    """
    return max(0.0, capacity - depth) / grows if grows > 0 else math.inf


def doubt(load: float, arrived: int, ended: int, variation: float) -> float:
    """The standard error of a measured load: of `arrived` arrivals (taken as Poisson) and `ended` service times, whose
    squared coefficient of variation is given.

    >>> round(doubt(0.8, arrived=100, ended=100, variation=1), 3)
    0.113
    """
    return load * math.sqrt(1 / arrived + variation / ended) if arrived and ended else math.inf
