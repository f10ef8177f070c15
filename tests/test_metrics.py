"""metrics.py: percentiles within a bucket, and counts that add up."""

import random
import statistics
import threading
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt import Fates, Percentiles, ProcessingError
from agentrt.metrics import FLUSH_AT, Distribution, LaneTimes
from tests.support import add, fail, virtual

positive = st.floats(1e-9, 1e9)


def times_of(values):
    times = LaneTimes()
    for value in values:
        times.add_wait(value)
        times.add_service(value)
        times.flush()
    return times


def percentiles_of(values):
    wait, service = times_of(values).percentiles()
    assert wait == service
    return wait


def test_empty_is_zero():
    assert LaneTimes().percentiles() == (Percentiles(), Percentiles())


def test_waits_and_services_are_told_apart():
    times = LaneTimes()
    for wait, service in ((1.0, 10.0), (2.0, 20.0)):
        times.add_wait(wait)
        times.add_service(service)
    wait, service = times.percentiles()
    assert (wait.count, wait.mean, wait.max, service.count, service.mean, service.max) == (2, 1.5, 2.0, 2, 15.0, 20.0)


@given(st.lists(positive, min_size=1, max_size=300))
def test_count_mean_and_max_are_exact(values):
    made = percentiles_of(values)
    assert made.count == len(values)
    assert made.mean == pytest.approx(statistics.fmean(values))
    assert made.max == max(values)


@given(st.lists(positive, min_size=1, max_size=300))
def test_percentiles_are_within_a_bucket(values):
    made, ordered = percentiles_of(values), sorted(values)
    for q, found in ((0.50, made.p50), (0.95, made.p95), (0.99, made.p99)):
        exact = ordered[max(0, -(-len(ordered) * int(q * 100) // 100) - 1)]
        assert found == pytest.approx(exact, rel=0.033)


def test_zero_is_zero():
    assert percentiles_of([0.0] * 10).p99 == 0


def test_flushing_changes_nothing():
    chance = random.Random(1)
    values = [chance.expovariate(1) for _ in range(3 * FLUSH_AT + 100)]
    unflushed = LaneTimes()
    for value in values:
        unflushed.add_wait(value)
        unflushed.add_service(value)
    flushed = times_of(values)
    assert len(flushed._parts[2]) < FLUSH_AT
    one, other = flushed.percentiles()[0], unflushed.percentiles()[0]
    assert (one.count, one.p50, one.p95, one.p99, one.max) == (other.count, other.p50, other.p95, other.p99, other.max)
    assert one.mean == pytest.approx(other.mean)


def test_reading_from_another_thread_sees_each_number_once():
    made, stop, seen = LaneTimes(), threading.Event(), []

    def read():
        while not stop.is_set():
            seen.append(made.percentiles()[0].count)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30_000):
        made.add_wait(0.001)
        made.flush()
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert made.percentiles()[0].count == 30_000


def test_fates_add_up_or_not():
    assert Fates(accepted=6, done=1, failed=1, timed_out=1, dropped=1, terminated=1, dead=1).adds_up
    assert not Fates(accepted=2, done=1).adds_up
    assert not Fates(accepted=1, done=2, pending=-1).adds_up
    assert (Fates(accepted=2, done=1, pending=1) + Fates(accepted=3, failed=3)).adds_up
    assert (Fates(accepted=2, done=1, pending=1) + Fates(accepted=3, failed=3)).decided == 4


@virtual
async def test_metrics_keep_lanes_and_waiting_and_working_apart(manager):
    async def work(activity, state, ctx):
        await ctx.sleep(activity.payload)
        return state

    runtime = manager.create("a", 0, work, priority_capacity=5)
    runtime.pause()
    receipts = [runtime.send_nowait(10, priority=True), runtime.send_nowait(20)]
    runtime.resume()
    for receipt in receipts:
        await receipt
    metrics = runtime.metrics
    assert (metrics.processed, metrics.failed) == (2, 0)
    assert (metrics.priority.wait.max, metrics.priority.service.max) == (0, 10)
    assert (metrics.standard.wait.max, metrics.standard.service.max) == (10, 20)
    assert (metrics.priority.accepted, metrics.standard.accepted) == (1, 1)
    assert (metrics.priority.capacity, metrics.standard.capacity) == (5, 1000)
    assert (metrics.priority.depth, metrics.standard.depth) == (0, 0)


@virtual
async def test_metrics_count_failures_among_the_processed(manager):
    runtime = manager.create("a", 0, fail)
    with pytest.raises(Exception, match="no 1"):
        await runtime.ask(1)
    runtime.swap(add)
    await runtime.ask(1)
    assert (runtime.metrics.processed, runtime.metrics.failed) == (2, 1)
    assert (runtime.processed, runtime.failed) == (2, 1)
    assert runtime.metrics.standard.service.count == 2


@virtual
async def test_what_always_fails_fills_no_list(manager):
    runtime = manager.create("a", 0, fail)
    for _ in range(2_000):
        with pytest.raises(ProcessingError):
            await runtime.ask(1)
    assert all(len(times._parts[2]) <= 2 * FLUSH_AT for times in runtime.entry.times)
    assert runtime.metrics.standard.service.count == 2_000


def distribution_of(values):
    return Distribution().plus(array("d", values))


@given(st.lists(positive, max_size=100), st.lists(positive, max_size=100))
def test_a_merged_distribution_is_that_of_all_values(some, others):
    merged, whole = distribution_of(some).merge(distribution_of(others)), distribution_of([*some, *others])
    assert (merged.counts, merged.top) == (whole.counts, whole.top)
    assert merged.total == pytest.approx(whole.total)


@given(st.lists(positive, max_size=100), st.lists(positive, min_size=1, max_size=5))
def test_counts_up_to_a_bound_are_exact_but_for_the_bucket_of_the_bound(values, bounds):
    bounds.sort()
    counts = distribution_of(values).counts_up_to(bounds)
    for bound, count in zip(bounds, counts, strict=True):
        assert sum(value <= bound for value in values) <= count <= sum(value <= bound * 1.0625 for value in values)


def test_merging_leaves_both_as_they_were():
    one, other = distribution_of([1.0]), distribution_of([1.0, 2.0])
    one.merge(other)
    assert (one.counts.total(), other.counts.total(), Distribution().counts.total()) == (1, 2, 0)
