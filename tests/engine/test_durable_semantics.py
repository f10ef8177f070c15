"""The table of semantics holds for durable runtimes too: the same tests, with a journal."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import RuntimeManager, runtime_factory
from agentrt.journal import MemoryJournal
from tests import support, test_semantics

LATER = "its receipts are decided when that is stored, one turn of the loop later"
DIFFERENT = {
    "test_full_lane_drops_the_oldest_when_told_to": LATER,
    "test_full_lane_drops_the_newest_when_told_to": LATER,
    "test_terminate_while_paused": LATER,
    "test_no_silent_loss_every_activity_has_exactly_one_fate": LATER,
    "test_a_full_lane_in_a_circle_of_sends_is_a_deadlock_error": "what a workflow sends waits for its commit",
}


def shared(test: Any) -> bool:
    """Whether it is a test whose manager `virtual` makes, and that takes nothing else."""
    return hasattr(test, "__wrapped__") and not inspect.signature(test).parameters


TESTS: dict[str, Callable[[], None]] = {
    name: test for name, test in vars(test_semantics).items() if name.startswith("test_") and shared(test)
}


def test_there_are_many() -> None:
    assert len(TESTS) > 40
    assert TESTS.keys() >= DIFFERENT.keys()


@pytest.mark.parametrize("name", [each for each in TESTS if each not in DIFFERENT])
def test_it_holds_for_a_durable_runtime(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "RuntimeManager", lambda **options: RuntimeManager(MemoryJournal(), **options))
    monkeypatch.setattr(runtime_factory, "DURABLE_LIMITS", {})
    TESTS[name]()
