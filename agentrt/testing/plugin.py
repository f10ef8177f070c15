"""The pytest plugin: fixtures for managers, and tests in every order. pytest finds it where agentrt is installed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..manager import RuntimeManager
from . import managers
from .explorer import Exploration, explore

__all__ = [
    "explore_fixture",
    "manager",
    "pytest_configure",
    "pytest_pycollect_makeitem",
    "pytest_terminal_summary",
    "virtual_manager_fixture",
]

MARKER = (
    "explore(budget=10_000, strategy='dpor', ...): run this `async def test(manager)` under every order of delivery "
    "that can make a difference; the arguments are those of agentrt.testing.explore"
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> Any:
    """Make a plain test of an `async def` with the marker, before a plugin for async tests takes it."""
    if not inspect.iscoroutinefunction(obj):  # a module that was imported has marks of another form
        return None
    marks = [mark for mark in getattr(obj, "pytestmark", ()) if mark.name == "explore"]
    if not marks:
        return None
    if isinstance(collector, pytest.Class) or not collector.funcnamefilter(name):
        return None
    test = _make_test(obj, marks[0])
    setattr(collector.obj, name, test)
    return list(collector._genfunctions(name, test))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say of each test that was explored how many schedules it had, and how fast they were."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, ())]
    lines = [
        f"{report.nodeid}: {text}"
        for report in reports
        if report.when == "call"
        for name, text in report.user_properties
        if name == "explored"
    ]
    if lines:
        terminalreporter.section("explored")
        for line in lines:
            terminalreporter.write_line(line)


def _make_test(scenario: Any, mark: pytest.Mark) -> Callable[..., None]:
    """A test that explores a scenario, with the other fixtures that it asks for."""
    parameters = [*inspect.signature(scenario).parameters.values()]

    @functools.wraps(scenario)
    def test(explore: Any, **fixtures: Any) -> None:
        bound: Any = functools.partial(scenario, **fixtures) if fixtures else scenario
        explore(bound, *mark.args, **mark.kwargs).check()

    asked = inspect.Parameter("explore", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature([asked, *parameters[1:]])  # type: ignore[attr-defined]
    return test


class _Terminal:
    """Shows on the terminal how far an exploration is, while it lasts."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        reporter: Any = request.config.pluginmanager.get_plugin("terminalreporter")
        capture: Any = request.config.pluginmanager.get_plugin("capturemanager")
        self._writer = reporter._tw if reporter is not None and reporter.isatty else None
        self._capture = capture
        self._name = request.node.name

    def show(self, found: Exploration) -> None:
        """Write over the line."""
        failures = f", {len(found.failures)} failing" if found.failures else ""
        self._write(f"\r{self._name}: {found.schedules:,} schedules, {found.rate:,.0f}/s{failures} ")

    def _write(self, text: str) -> None:
        if self._writer is None:
            return
        if self._capture is None:
            self._writer.write(text, flush=True)
        else:
            with self._capture.global_and_fixture_disabled():
                self._writer.write(text, flush=True)


@pytest.fixture(name="explore")
def explore_fixture(request: pytest.FixtureRequest) -> Callable[..., Exploration]:
    """`agentrt.testing.explore`, with its progress on the terminal and a line at the end of the report."""
    terminal = _Terminal(request)

    def run(scenario: Any, *args: Any, **options: Any) -> Exploration:
        options.setdefault("progress", terminal.show)
        found = explore(scenario, *args, **options)
        request.node.user_properties.append(("explored", repr(found).splitlines()[0]))
        return found

    return run


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
