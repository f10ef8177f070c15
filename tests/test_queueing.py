"""The formulas against numbers from the books, and the bounds that no formula may leave."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.queueing import (
    Stream,
    growth_rates,
    load_standard_error,
    mean_queue_length,
    mean_waits,
    throughput,
    time_until_full,
    utilisation,
)

STREAMS = st.builds(
    lambda rate, mean, spread: Stream(rate, mean, mean**2 * (1 + spread)),
    st.floats(0, 50),
    st.floats(0.001, 5),
    st.floats(0, 3),
)
FAIRNESS = st.one_of(st.none(), st.integers(1, 50))


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ((Stream.exponential(0.3, 1), Stream.exponential(0.4, 1)), (1.000, 3.333)),
        ((Stream.deterministic(0.3, 1), Stream.deterministic(0.4, 1)), (0.500, 1.667)),
        ((Stream.exponential(0.3, 0.5), Stream.exponential(0.2, 2)), (1.029, 2.288)),
    ],
)
def test_cobhams_waits(streams, expected):
    assert mean_waits(*streams) == pytest.approx(expected, abs=0.0006)


def test_one_lane_alone_is_pollaczek_and_khinchine():
    """W = lambda E[S^2] / (2 (1 - rho)), whichever lane it is."""
    stream = Stream(2.0, 0.3, 0.2)
    expected = 2.0 * 0.2 / 2 / (1 - 0.6)
    assert mean_waits(stream, Stream())[0] == pytest.approx(expected)
    assert mean_waits(Stream(), stream)[1] == pytest.approx(expected)


def test_the_conservation_law_holds():
    """The order changes who waits, not how much work waits: sum of rho_i W_i is rho W0 / (1 - rho) (Kleinrock)."""
    streams = Stream.exponential(0.5, 0.4), Stream.deterministic(0.3, 2)
    left = sum(stream.rate * stream.square for stream in streams) / 2
    rho = utilisation(*streams)
    waiting = sum(stream.load * wait for stream, wait in zip(streams, mean_waits(*streams), strict=True))
    assert waiting == pytest.approx(rho * left / (1 - rho))


def test_the_priority_lane_is_finite_where_the_standard_lane_is_not_stable():
    first, second = mean_waits(Stream.deterministic(0.5, 1), Stream.deterministic(0.9, 1))
    assert first == pytest.approx(1.0)
    assert second == math.inf
    assert mean_waits(Stream.deterministic(1.2, 1), Stream.deterministic(0.1, 1)) == (math.inf, math.inf)


@settings(max_examples=300, deadline=None)
@given(STREAMS, STREAMS, FAIRNESS)
def test_throughput_is_at_most_what_arrives_and_utilisation_at_most_one(priority, standard, fairness):
    rates = throughput(priority, standard, fairness)
    for stream, rate in zip((priority, standard), rates, strict=True):
        assert -1e-9 <= rate <= stream.rate
    work = rates[0] * priority.mean + rates[1] * standard.mean
    assert work == pytest.approx(min(1.0, utilisation(priority, standard)), abs=1e-6)
    assert min(growth_rates(priority, standard, fairness)) >= 0
    assert min(mean_waits(priority, standard)) >= 0


@given(STREAMS, STREAMS)
def test_fairness_moves_throughput_from_priority_to_standard(priority, standard):
    strict, fair = throughput(priority, standard), throughput(priority, standard, fairness=8)
    assert fair[0] <= strict[0] + 1e-9
    assert fair[1] >= strict[1] - 1e-9


def test_lengths_times_and_errors_at_their_limits():
    assert mean_queue_length(2, 1.5) == 3
    assert time_until_full(100, 40, 0.5) == 120
    assert time_until_full(100, 140, 0.5) == 0
    assert time_until_full(100, 40, 0) == math.inf
    assert load_standard_error(0.5, 0, 10, 1) == math.inf
