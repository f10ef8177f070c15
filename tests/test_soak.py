"""A short soak with each run of the tests; the long one is `python -m tests.soak`."""

from tests.soak import Soak, check, count_resources


def test_every_fate_is_accounted_for_and_nothing_is_left():
    before = count_resources()
    soak = Soak(activities=20_000, threads=8, runtimes=50)
    check(soak, soak.run(verbose=False), before)
    assert soak.fates["done"] > 0
    assert soak.fates["failed"] > 0
    assert soak.fates["timed_out"] > 0
