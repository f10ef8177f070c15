"""The two lanes against queueing theory: mean waits, rejections and starvation, in virtual time.

Cobham (1954): one server, two classes, Poisson arrivals, the first class before the second, never interrupting what
is served. With rates l_i and service times S_i, rho_i = l_i E[S_i] and W0 = sum(l_i E[S_i^2]) / 2, the mean waits are
W1 = W0 / (1 - rho_1) and W2 = W0 / ((1 - rho_1) (1 - rho_1 - rho_2)).
"""

import asyncio
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agentrt import MailboxFullError, Runtime, RuntimeManager
from agentrt.testing import virtual_manager

pytestmark = pytest.mark.slow

SEEDS = range(10)
Times = Callable[[random.Random], float]


@dataclass(frozen=True)
class Service:
    """A distribution of service times: a sample, its mean, and the mean of its square."""

    draw: Times
    mean: float
    square: float

    @classmethod
    def exponential(cls, mu: float) -> "Service":
        return cls(lambda chance: chance.expovariate(mu), 1 / mu, 2 / mu**2)

    @classmethod
    def fixed(cls, seconds: float) -> "Service":
        return cls(lambda chance: seconds, seconds, seconds**2)


@dataclass(frozen=True)
class Case:
    """Two classes of arrivals, priority first, and their mean waits by the formula."""

    rates: tuple[float, float]
    services: tuple[Service, Service]
    expected: tuple[float, float]

    def cobham(self) -> tuple[float, float]:
        rho = [rate * service.mean for rate, service in zip(self.rates, self.services, strict=True)]
        w0 = sum(rate * service.square for rate, service in zip(self.rates, self.services, strict=True)) / 2
        return w0 / (1 - rho[0]), w0 / ((1 - rho[0]) * (1 - sum(rho)))


EXPONENTIAL, FIXED = Service.exponential(1), Service.fixed(1)
CASES = {
    "exponential": Case((0.3, 0.4), (EXPONENTIAL, EXPONENTIAL), (1.000, 3.333)),
    "fixed": Case((0.3, 0.4), (FIXED, FIXED), (0.500, 1.667)),
    "unlike": Case((0.3, 0.2), (Service.exponential(2), Service.exponential(0.5)), (1.029, 2.288)),
}


async def serve(activity: Any, state: int) -> int:
    """The server: it takes as many seconds as the payload says."""
    await asyncio.sleep(activity.payload)
    return state + 1


class Arrivals:
    """One class of arrivals: one is sent after each gap; those that find the lane full are counted."""

    def __init__(
        self, runtime: Runtime, gap: Callable[[], float], service: Callable[[], float], priority: bool
    ) -> None:
        self.runtime = runtime
        self.gap = gap
        self.service = service
        self.priority = priority
        self.sent = self.rejected = 0

    async def until(self, end: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            await asyncio.sleep(self.gap())
            self.sent += 1
            try:
                self.runtime.send_nowait(self.service(), priority=self.priority)
            except MailboxFullError:
                self.rejected += 1


def poisson(chance: random.Random, rate: float) -> Callable[[], float]:
    return lambda: chance.expovariate(rate)


def simulate(manager: RuntimeManager, arrivals: list[Arrivals], seconds: float) -> None:
    async def together() -> None:
        await asyncio.gather(*(one.until(seconds) for one in arrivals))

    manager.run(together())


def mean_waits(case: Case, seed: int, seconds: float) -> tuple[float, float]:
    """The mean waits of both lanes in one simulation."""
    chance = random.Random(seed)
    with virtual_manager(seed=seed) as manager:
        runtime = manager.create("server", 0, serve, fairness=None, priority_capacity=10_000, standard_capacity=10_000)
        arrivals = [
            Arrivals(runtime, poisson(chance, rate), lambda service=service: service.draw(chance), lane == 0)
            for lane, (rate, service) in enumerate(zip(case.rates, case.services, strict=True))
        ]

        simulate(manager, arrivals, seconds)
        assert [one.rejected for one in arrivals] == [0, 0]
        return runtime.metrics.priority.wait.mean, runtime.metrics.standard.wait.mean


def errors_off(samples: list[float], expected: float) -> float:
    """The distance of the samples' mean from the expected value, in standard errors."""
    return abs(statistics.fmean(samples) - expected) / (statistics.stdev(samples) / math.sqrt(len(samples)))


@pytest.mark.parametrize("name", CASES)
def test_the_formula_is_written_down_right(name: str) -> None:
    assert CASES[name].cobham() == pytest.approx(CASES[name].expected, abs=0.0006)


@pytest.mark.parametrize("name", CASES)
def test_mean_waits_are_cobhams(name: str) -> None:
    case = CASES[name]
    waits = [mean_waits(case, seed, seconds=10_000) for seed in SEEDS]
    for lane, expected in enumerate(case.cobham()):
        samples = [wait[lane] for wait in waits]
        assert errors_off(samples, expected) < 3, (lane, expected, samples)
        # The test is sharp enough: 15 % more or less would fail.
        assert errors_off(samples, 1.15 * expected) > 3
        assert errors_off(samples, 0.85 * expected) > 3


def share_rejected(seed: int, seconds: float, rho: float, capacity: int) -> float:
    """The share of arrivals that find the lane full. The system holds one more than the lane: the one in service."""
    chance = random.Random(seed)
    with virtual_manager(seed=seed) as manager:
        runtime = manager.create("server", 0, serve, standard_capacity=capacity)
        arrivals = Arrivals(runtime, poisson(chance, rho), poisson(chance, 1), priority=False)
        simulate(manager, [arrivals], seconds)
        assert arrivals.rejected == arrivals.sent - runtime.fates().accepted
        return arrivals.rejected / arrivals.sent


def test_a_full_lane_rejects_as_many_as_theory_says() -> None:
    """M/M/1/K: of Poisson arrivals the share (1 - rho) rho^K / (1 - rho^(K + 1)) finds K in the system."""
    rho, k = 0.7, 10
    expected = (1 - rho) * rho**k / (1 - rho ** (k + 1))
    assert expected == pytest.approx(0.00865, abs=0.00001)
    samples = [share_rejected(seed, 15_000, rho, k - 1) for seed in SEEDS]
    assert errors_off(samples, expected) < 3, samples
    # The test is sharp enough: a lane with two places more or less would fail.
    assert errors_off(samples, rho**2 * expected) > 3
    assert errors_off(samples, expected / rho**2) > 3


def overloaded(fairness: int | None, seconds: float) -> tuple[int, float, int]:
    """20 % more priority activities than the server can process, and a standard one every ten seconds.

    Returns how many standard ones wait at the end, the longest wait of one, and how many were processed.
    """
    chance = random.Random(1)
    with virtual_manager(seed=1) as manager:
        runtime = manager.create("server", 0, serve, fairness=fairness, priority_capacity=100, standard_capacity=10_000)
        urgent = Arrivals(runtime, poisson(chance, 1.2), lambda: 1.0, priority=True)
        standard = Arrivals(runtime, lambda: 10.0, lambda: 1.0, priority=False)
        simulate(manager, [urgent, standard], seconds)
        assert urgent.rejected > 0
        lane = runtime.metrics.standard
        return lane.depth, lane.wait.max, lane.wait.count


def test_fairness_8_leaves_no_standard_waiting() -> None:
    """In ten seconds more than eight priority activities run: the next one is a standard one."""
    depth, longest, served = overloaded(fairness=8, seconds=25_000)
    assert depth <= 1
    assert 0 < longest <= 1
    assert served >= 2498


def test_strict_priority_leaves_thousands_waiting() -> None:
    depth, _, served = overloaded(fairness=None, seconds=25_000)
    assert depth > 2000
    assert served < 100
