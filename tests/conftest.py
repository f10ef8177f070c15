"""The fixtures of the real parts (see `tests/harness`), and what holds for every test."""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from playwright.sync_api import Browser, Error, Page

from agentrt.engine.core import core_name
from tests.harness import browser, postgres
from tests.harness.guard import Guard, guarded, leave_pages
from tests.harness.kernel import Kernel
from tests.harness.lab import Lab
from tests.harness.screenshot import shoot

# Two shared cores: a slow example is not a failure.
hypothesis.settings.register_profile("agentrt", deadline=None, print_blob=True)
hypothesis.settings.load_profile("agentrt")

# Playwright's sync API keeps a loop running in this thread, where `asyncio.run` then refuses: those tests come last.
LAST = ("kernel", "browser", "lab")


def pytest_report_header() -> str:
    return f"agentrt: {core_name()} core"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests; refuse a name with an address in it, which differs between the processes that share the tests."""
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(f"give these parameters an id without an address: {unstable}")
    items.sort(key=lambda item: max((LAST.index(m.name) for m in item.iter_markers() if m.name in LAST), default=-1))


def pytest_collection_finish() -> None:
    """The million objects that the imports made stay: else each full collection in a test takes a second over them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """A picture of each page of a test that failed, beside the others in `.screenshots`."""
    report = yield
    if report.when == "call" and report.failed:
        for page in [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Page)]:
            try:
                report.sections.append(("screenshot", str(shoot(page, f"failed/{item.name}"))))
            except Error as error:
                report.sections.append(("screenshot", f"none: {error}"))
    return report


@pytest.fixture(scope="session", autouse=True)
def own_runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Managers that tests serve stay off the list of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        yield


@pytest.fixture
def own_garbage() -> Iterator[None]:
    """What the test leaves behind is collected, and warns, before the next one begins, which would fail for it."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The real browser. Where there is none the test fails, and says how to get one."""
    with browser.chromium() as real:
        yield real


@pytest.fixture
def guard(chromium: Browser) -> Iterator[Guard]:
    """What watches `page`: `guard.allow(pattern)` before a problem that the test provokes; `guard.requests`."""
    with guarded(chromium) as guard:
        yield guard


@pytest.fixture
def page(guard: Guard) -> Page:
    """A page that may not show a console error, nor a page error, nor ask another machine for anything."""
    return guard.context.new_page()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Makes watched pages of other kinds: `new_page(color_scheme="dark", viewport={"width": 400, "height": 800})`."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(guarded(chromium, **options)).context.new_page()


@pytest.fixture(scope="session")
def jupyterlab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running JupyterLab."""
    lab = Lab(tmp_path_factory.mktemp("jupyterlab"))
    try:
        lab.wait()
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def jupyterlab(jupyterlab_server: Lab) -> Iterator[Lab]:
    """A running JupyterLab with no kernel: `jupyterlab.open(page, Path("notebooks/x.ipynb")).run_all()`."""
    yield jupyterlab_server
    leave_pages()
    jupyterlab_server.end_kernels()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """A real PostgreSQL: `postgres_server.dsn(postgres_server.new_database())`. Skipped where there is none."""
    yield from _run_postgres()


@pytest.fixture
def own_server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL that the test may end."""
    yield from _run_postgres()


def _run_postgres() -> Iterator[postgres.Postgres]:
    if postgres.find() is None:
        pytest.skip(postgres.MISSING)
    with postgres.running() as server:
        yield server


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel: `kernel.run(code)`, `.interrupt()`, `.alive()`."""
    kernel = Kernel(tmp_path)
    try:
        yield kernel
    finally:
        kernel.stop()
