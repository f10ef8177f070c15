"""The pytest plugin: the fixtures `manager` and `virtual_manager`. pytest finds it where agentrt is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..manager import RuntimeManager
from . import managers

__all__ = ["manager", "virtual_manager_fixture"]


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    """A manager on a thread of its own. The test fails if an activity has no fate at the end."""
    with managers.thread_manager(seed=0) as manager:
        yield manager


@pytest.fixture(name="virtual_manager")
def virtual_manager_fixture(request: pytest.FixtureRequest) -> Iterator[RuntimeManager]:
    """A manager on virtual time, which passes inside `virtual_manager.run(...)`. The test fails as with `manager`.

    Its seed is 0; `@pytest.mark.parametrize("virtual_manager", range(100), indirect=True)` tries a hundred orders.
    """
    with managers.virtual_manager(getattr(request, "param", 0)) as manager:
        yield manager
