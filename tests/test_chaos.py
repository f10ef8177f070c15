"""A minute of random faults in CI, some seconds elsewhere; `AGENTRT_CHAOS_SECONDS=3600` makes it an hour."""

import os
import sys

import pytest

from tests.chaos import THREADS, Chaos

SECONDS = float(os.environ.get("AGENTRT_CHAOS_SECONDS", "60" if os.environ.get("CI") else "10"))


@pytest.mark.slow
@pytest.mark.usefixtures("own_garbage")
@pytest.mark.timeout(600 + int(2 * SECONDS))
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::RuntimeWarning")
def test_nothing_is_lost_whatever_comes(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("CRITICAL")
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # pytest's own would be interrupted as well
    chaos = Chaos(SECONDS)
    counts = chaos.run()
    assert chaos.errors == []
    assert counts.adds_up
    assert counts.pending == 0
    assert counts.done > THREADS * SECONDS
    assert min(counts.failed, counts.timed_out, counts.dropped) > 0
    assert chaos.is_flat
