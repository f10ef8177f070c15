"""A short soak with each run of the tests; the long one is `python -m tests.soak`, also with `--durable`."""

import os
from pathlib import Path

import pytest

from agentrt.journal import Retention, SQLiteJournal
from tests import durable_soak
from tests.soak import Soak, check, count_resources


@pytest.mark.slow
def test_every_fate_is_accounted_for_and_nothing_is_left():
    before = count_resources()
    soak = Soak(activities=20_000, threads=8, runtimes=50)
    check(soak, soak.run(verbose=False), before)
    assert soak.fates["done"] > 0
    assert soak.fates["failed"] > 0
    assert soak.fates["timed_out"] > 0


@pytest.mark.slow
def test_threads_that_send_to_durable_agents_leave_a_journal_that_adds_up(tmp_path: Path) -> None:
    before, file = count_resources(), tmp_path / "agents.db"
    journal = SQLiteJournal(file, keep=Retention(records=2_000))
    soak = Soak(activities=8_000, threads=8, runtimes=20, journal=journal)
    check(soak, soak.run(verbose=False), before)
    with SQLiteJournal(file) as journal:
        for each in journal.runtimes():
            if each.created is not None:
                counts = dict(each.counts)
                assert counts.pop("accepted", 0) == sum(counts.values())
                assert (each.waiting, journal.state(each.id)) == (0, counts.get("done", 0))


SECONDS = float(os.environ.get("AGENTRT_SOAK_SECONDS", "30" if os.environ.get("CI") else "6"))


@pytest.mark.slow
@pytest.mark.timeout(600 + int(2 * SECONDS))
def test_what_is_durable_is_there_once_after_each_restart() -> None:
    soak = durable_soak.soak(SECONDS)
    soak.check()
    assert min(soak.fates[each] for each in ("done", "failed", "timed_out", "dropped")) > 0
    assert soak.counts["restarts"] > 2
