"""Queueing theory for a runtime: one server, two lanes, priority first, and a running activity is not interrupted.

Every formula names its source. All of them hold in the long run: they are about means over a time in which the rates
stay the same. Rates are per second, times are seconds, lengths and capacities are counts of activities. The functions
are pure: any thread may call them.

Sources:
    Erlang (1909): utilisation and stability.
    Pollaczek (1930), Khinchine (1932): the mean wait of one M/G/1 queue; see `mean_waits`, with an empty priority lane.
    Cobham (1954): the mean wait of each lane of an M/G/1 queue with priorities.
    Little (1961): from a wait to a queue length.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .deprecation import warn_of_new_name

__all__ = [
    "Stream",
    "growth_rates",
    "load_standard_error",
    "mean_queue_length",
    "mean_waits",
    "throughput",
    "time_until_full",
    "utilisation",
]


class Stream(NamedTuple):
    """The activities that arrive at one lane: their arrival rate and the first two moments of their service time.

    Args:
        rate: Arrivals per second.
        mean: Mean service time E[S], in seconds.
        square: Mean of the squared service time E[S^2], in seconds squared.

    >>> Stream.exponential(rate=0.3, mean=1).load
    0.3
    """

    rate: float = 0.0
    mean: float = 0.0
    square: float = 0.0

    @classmethod
    def exponential(cls, rate: float, mean: float) -> Stream:
        """A stream with exponentially distributed service times: E[S^2] = 2 E[S]^2."""
        return cls(rate, mean, 2 * mean * mean)

    @classmethod
    def deterministic(cls, rate: float, mean: float) -> Stream:
        """A stream whose service times are all the same: E[S^2] = E[S]^2."""
        return cls(rate, mean, mean * mean)

    @classmethod
    def fixed(cls, rate: float, mean: float) -> Stream:
        """Deprecated: `deterministic()`."""
        warn_of_new_name("Stream.fixed()", "Stream.deterministic()")
        return cls.deterministic(rate, mean)

    @property
    def load(self) -> float:
        """The seconds of work that arrive in each second: rho_i = lambda_i E[S_i]."""
        return self.rate * self.mean


def utilisation(priority: Stream, standard: Stream) -> float:
    """The share of its time that the server has to work, rho. A queue is stable where it is below 1 (Erlang 1909).

    >>> utilisation(Stream.deterministic(2, 0.25), Stream.deterministic(1, 0.25))
    0.75
    """
    return priority.load + standard.load


def mean_queue_length(rate: float, wait: float) -> float:
    """How many activities wait, on average: L = lambda W, for any order and any distribution (Little 1961).

    Args:
        rate: Arrivals per second.
        wait: Mean wait, in seconds.

    >>> mean_queue_length(rate=2, wait=1.5)
    3.0
    """
    return rate * wait


def mean_waits(priority: Stream, standard: Stream) -> tuple[float, float]:
    """The mean wait in each lane of an M/G/1 queue with strict priority and no interruption (Cobham 1954).

    W0 = sum(lambda_i E[S_i^2]) / 2 is the mean work left of the activity that is running when another one arrives.
    Then W1 = W0 / (1 - rho1) and W2 = W0 / ((1 - rho1)(1 - rho1 - rho2)). With an empty priority lane W2 is the
    formula of Pollaczek and Khinchine.

    Returns:
        Seconds in the priority lane and in the standard lane; infinite for a lane that is not stable.

    >>> [round(w, 3) for w in mean_waits(Stream.exponential(0.3, 1), Stream.exponential(0.4, 1))]
    [1.0, 3.333]
    >>> [round(w, 3) for w in mean_waits(Stream.deterministic(0.3, 1), Stream.deterministic(0.9, 1))]
    [0.714, inf]
    """
    rates = throughput(priority, standard)
    left = sum(rate * stream.square for rate, stream in zip(rates, (priority, standard), strict=True)) / 2
    free, rest = 1 - priority.load, 1 - utilisation(priority, standard)
    return left / free if free > 0 else math.inf, left / (free * rest) if rest > 0 else math.inf


def throughput(priority: Stream, standard: Stream, fairness: int | None = None) -> tuple[float, float]:
    """How many activities of each lane are processed per second: all that arrive, or as many as there is time for.

    Strict priority gives the standard lane only the time that the priority lane does not need.

    Args:
        priority: What arrives at the priority lane.
        standard: What arrives at the standard lane.
        fairness: At least one standard activity runs after so many priority ones; None is strict priority.

    Returns:
        Activities per second of the priority lane and of the standard lane.

    >>> throughput(Stream.deterministic(2, 1), Stream.deterministic(1, 1))
    (1.0, 0.0)
    >>> throughput(Stream.deterministic(2, 1), Stream.deterministic(1, 1), fairness=4)
    (0.8, 0.2)
    """
    if utilisation(priority, standard) <= 1:
        return priority.rate, standard.rate
    rest = max(0.0, 1 - priority.load) / standard.mean if standard.mean else standard.rate
    turn = 1 / (fairness * priority.mean + standard.mean) if fairness else 0.0
    second = min(standard.rate, max(rest, turn))
    first = (1 - second * standard.mean) / priority.mean if priority.mean else priority.rate
    return min(priority.rate, first), second


def growth_rates(priority: Stream, standard: Stream, fairness: int | None = None) -> tuple[float, float]:
    """By how many activities per second each lane grows: arrivals less throughput.

    >>> growth_rates(Stream.deterministic(0.5, 1), Stream.deterministic(0.75, 1))
    (0.0, 0.25)
    """
    first, second = throughput(priority, standard, fairness)
    return priority.rate - first, standard.rate - second


def time_until_full(capacity: float, depth: float, growth: float) -> float:
    """Seconds until a lane is full.

    Args:
        capacity: How many activities the lane can hold.
        depth: How many wait in it now.
        growth: By how many per second it grows.

    Returns:
        Seconds; infinite for a lane that does not grow.

    >>> time_until_full(capacity=100, depth=40, growth=0.5)
    120.0
    """
    return max(0.0, capacity - depth) / growth if growth > 0 else math.inf


def load_standard_error(load: float, arrived: int, ended: int, variation: float) -> float:
    """The standard error of a measured load, by the propagation of relative errors.

    The arrivals are taken as a Poisson process: the relative variance of their rate is 1 / arrived.

    Args:
        load: The measured load.
        arrived: How many arrivals were counted.
        ended: How many service times were measured.
        variation: The squared coefficient of variation of the service times.

    Returns:
        The standard error, in the unit of the load; infinite without an arrival or a service time.

    >>> round(load_standard_error(0.8, arrived=100, ended=100, variation=1), 3)
    0.113
    """
    return load * math.sqrt(1 / arrived + variation / ended) if arrived and ended else math.inf
