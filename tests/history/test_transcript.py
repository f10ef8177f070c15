"""transcript.py: what was recorded, as a test that stands alone."""

import ast
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import agentrt
from agentrt import Activity, AgentError, ConfigurationError, ProcessingError, RuntimeManager
from tests.history.shop import Order, SoldOut, Till, count_down, sell, stock
from tests.support import add, fail

ROOT = Path(agentrt.__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:the state of")


def open_shop(manager: RuntimeManager) -> Any:
    manager.create("stock", {"tea": 5, "milk": 1}, stock)
    manager.create("ledger", 0, add)
    return manager.create("till", Till(), sell)


def sell_all(till: Any) -> int:
    """Sell until one fails; the number of that activity."""
    for order in (Order("tea"), Order("milk"), Order("tea", 2), Order("milk")):
        receipt = till.send_nowait(order)
        try:
            receipt.result(60)
        except AgentError:
            return receipt.id
    raise AssertionError("none failed")


def run_test(file: Path, swap: str = "") -> subprocess.CompletedProcess[str]:
    """Run a recorded test; with another function in place of `sell` if there is one."""
    if swap:
        text = file.read_text().replace("sell,", f"{swap},").replace(" sell\n", f" {swap}\n")
        file = file.with_name("test_changed.py")
        file.write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", str(file)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def recorded(tmp_path):
    with RuntimeManager(name="shop") as manager:
        till = open_shop(manager)
        failed = sell_all(till)
        yield manager, failed, tmp_path / "test_recorded.py"


@pytest.mark.slow
def test_it_passes_on_the_code_that_was_recorded(recorded):
    manager, _, file = recorded
    manager.record_test(file)
    found = run_test(file)
    assert found.returncode == 0, found.stdout
    assert "3 passed" in found.stdout


@pytest.mark.slow
def test_a_failed_activity_passes_then_and_fails_once_it_is_mended(recorded):
    manager, failed, file = recorded
    manager.record_test(file, ids=[failed])
    text = file.read_text()
    assert text.count("case.run(") == 1
    assert run_test(file).returncode == 0
    found = run_test(file, swap="sell_mended")
    assert found.returncode == 1
    assert "SoldOut: no more milk" in found.stdout
    assert "> " in found.stdout
    [line] = [each for each in found.stdout.splitlines() if each.startswith(">")]
    assert "case.error ==" in line, "exactly where it should"


def test_it_imports_nothing_but_agentrt_and_the_module_of_the_user(recorded):
    manager, _, file = recorded
    manager.record_test(file)
    modules = {node.module for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)}
    assert modules == {"agentrt.history.case", "tests.history.shop", "tests.support"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(ast.parse(file.read_text())))


def test_it_runs_in_a_moment(recorded):
    manager, failed, file = recorded
    manager.record_test(file, ids=[failed])
    space: dict[str, Any] = {}
    exec(file.read_text(), space)
    started = time.process_time()
    space["test_till"]()
    assert time.process_time() - started < 1


@pytest.mark.slow
def test_the_fewest_activities_that_lead_to_the_end_are_left(tmp_path):
    with RuntimeManager() as manager:
        runtime = manager.create("left", 0, count_down)
        for n in (5, 1, -1, 2, -2, 3, -3, -5, 4, -4):
            runtime.send_nowait(n).result(60)
        with pytest.raises(AgentError):
            runtime.send_nowait(-1).result(60)
        file = manager.record_test(tmp_path / "test_all.py")
        least = manager.record_test(tmp_path / "test_least.py", minimise=True)
    assert file.read_text().count("case.run(") == 11
    assert least.read_text().count("case.run(") == 1, "the state it begins with is enough"
    assert run_test(least).returncode == 0


@pytest.mark.slow
def test_what_is_needed_is_left(tmp_path):
    with RuntimeManager() as manager:
        runtime = manager.create("left", 9, count_down)
        for n in (-1, 1, -7, 2, -2):
            runtime.send_nowait(n).result(60)
        with pytest.raises(AgentError):
            runtime.send_nowait(-8).result(60)
        least = manager.record_test(tmp_path / "test_least.py", minimise=True)
    text = least.read_text()
    assert text.count("case.run(") == 2
    assert "case.run(-7)" in text
    assert run_test(least).returncode == 0


@pytest.mark.slow
def test_what_can_not_be_repeated_is_left_out_and_says_why(tmp_path):
    def now(activity: Any, state: float) -> float:
        return time.time()

    with RuntimeManager() as manager:
        manager.create("clock", 0.0, now).send_nowait(1).result(60)
        manager.create("sum", 0, add).send_nowait(1).result(60)
        file = manager.record_test(tmp_path / "test_sum.py")
    assert "# Left out: activity 2 of 'clock', as it reads the real clock (time.time)." in file.read_text()
    assert run_test(file).returncode == 0


def test_what_has_no_name_or_no_source_is_refused(tmp_path):
    with RuntimeManager() as manager:
        manager.create("a", 0, lambda activity, state: state).send_nowait(1).result(60)
        with pytest.raises(ConfigurationError, match="define it at the top of a module"):
            manager.record_test(tmp_path / "test_a.py")
        with pytest.raises(ConfigurationError, match="nothing that was processed"):
            manager.record_test(tmp_path / "test_b.py", ids=["nobody"])
        manager.create("sum", 0, count_down).send_nowait(1).result(60)
        assert manager.record_test(tmp_path / "test_c.py", ids=["sum"]).exists()


def test_a_part_of_the_record_is_written(tmp_path):
    with RuntimeManager() as manager:
        runtime = manager.create("left", 0, count_down)
        numbers = [runtime.send_nowait(n).result(60).sequence for n in (1, 2, 3, 4)]
        file = manager.record_test(tmp_path / "test_part.py", since=numbers[0], until=numbers[2])
    text = file.read_text()
    assert "count_down, 1)" in text
    assert text.count("case.run(") == 2
    assert isinstance(SoldOut("x"), Exception)


class Alert(Activity[str], frozen=True, kw_only=True):
    severity: int


class Coded(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


def refuse() -> None:
    raise Coded(5)


async def number(activity: Any, state: Any, ctx: Any) -> Any:
    receipt = await ctx.send("other", 1)
    ctx.reply((activity.id, activity.created, receipt.id))
    return state


async def severity(activity: Any, state: Any, ctx: Any) -> Any:
    ctx.reply(activity.severity)
    return state


async def read_error(activity: Any, state: Any, ctx: Any) -> Any:
    try:
        await ctx.effect("refuse", refuse)
    except Coded as error:
        ctx.reply(error.code)
    return state


async def read_cause(activity: Any, state: Any, ctx: Any) -> Any:
    try:
        await ctx.ask("failing", 1)
    except ProcessingError as error:
        ctx.reply((error.runtime, repr(error.__cause__)))
    return state


async def take_error(activity: Any, state: Any, ctx: Any) -> Any:
    ctx.reply(repr(await ctx.effect("give", ValueError, "as a value")))
    return state


async def be_unequal(activity: Any, state: Any, ctx: Any) -> Any:
    ctx.reply([ValueError("x")])
    return float("nan")


async def read_time_twice(activity: Any, state: Any, ctx: Any) -> Any:
    began = ctx.now()
    if state == began or activity.created == began:
        raise ConnectionError("too early")
    ctx.reply(began)
    return began


@pytest.mark.parametrize(
    ("workflow", "payload"),
    [
        (number, 1), (severity, Alert(payload="fire", severity=3)), (read_error, 1), (read_cause, 1), (take_error, 1),
        (be_unequal, 1), (read_time_twice, 1),
    ],
)  # fmt: skip
def test_whatever_a_workflow_looks_at_is_given(workflow, payload, tmp_path):
    with RuntimeManager() as manager:
        manager.create("other", 0, add)
        manager.create("failing", 0, fail)
        manager.create("m\u00b2", 0.0, workflow, retries=2, backoff=0.001).send_nowait(payload).result(60)
        file = manager.record_test(tmp_path / "test_it.py", ids="m\u00b2")
    space: dict[str, Any] = {}
    exec(file.read_text(), space)
    assert "# Left out" not in file.read_text()
    space["test_m"]()


def test_an_id_of_which_nothing_is_recorded_is_named(recorded):
    manager, _, file = recorded
    with pytest.raises(ConfigurationError, match="nothing that was processed of 'tills' is recorded there; `ids` are"):
        manager.record_test(file, ids="tills")
