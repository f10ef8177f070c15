"""core.py and hatch_build.py: the compiled core runs where it is there and fits; what does not fit is said."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import agentrt
import hatch_build
from agentrt.engine import core
from tests.cores import needs_core

PACKAGE = Path(agentrt.__file__).parent
SOURCE = (PACKAGE / "engine" / "_core.pyx").read_text()
SAY = "import agentrt\nwith agentrt.RuntimeManager() as manager: print(manager.core)"


def answer(code: str = SAY, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process with no other variables of the cores than these."""
    plain = {name: value for name, value in os.environ.items() if name not in ("AGENTRT_PURE", "AGENTRT_COMPILED")}
    environment = {**plain, "PYTHONPATH": str(PACKAGE.parent), **variables}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        env=environment, capture_output=True, text=True, timeout=120 + SOAK // 5_000,
    )  # fmt: skip


@needs_core
@pytest.mark.parametrize("variables", [{}, {"AGENTRT_COMPILED": "0"}, {"AGENTRT_COMPILED": "1"}, {"AGENTRT_PURE": "0"}])
def test_the_compiled_core_runs_where_it_is_built(variables: dict[str, str]) -> None:
    done = answer(**variables)
    assert (done.stdout, done.stderr) == ("compiled\n", "")


@pytest.mark.parametrize("variables", [{}, {"AGENTRT_COMPILED": "0"}, {"AGENTRT_COMPILED": "1"}])
def test_the_core_in_python_runs_where_it_alone_is_asked_for(variables: dict[str, str]) -> None:
    done = answer(AGENTRT_PURE="1", **variables)
    assert (done.stdout, done.stderr) == ("pure\n", "")


# Every way through the core, 18,000 activities of them; a block of memory lost for each would be as many. AGENTRT_SOAK
# says another number: `AGENTRT_SOAK=10000000 python -m pytest -k loses_no_memory tests/engine/test_core.py`.
SOAK = int(os.environ.get("AGENTRT_SOAK", "18000"))
MANY = """
import asyncio, gc, sys
from agentrt import AgentError, RuntimeManager

async def work(activity, state, ctx):
    what = activity.payload
    if what == 1: await asyncio.sleep(0)
    if what == 2: raise ValueError(what)
    if what == 3: ctx.reply((state, what))
    return state + 1000

async def plain(activity, state): return state + 1000

def at_once(activity, state): return (state[0] + 1000,)

async def go(runtimes, n):
    for i in range(n):
        for runtime in runtimes:
            try:
                await (runtime.send_nowait(i % 5, priority=i % 3 == 0) if i % 2 else runtime.ask(i % 5))
            except AgentError:
                pass
    for receipt in [runtime.send_nowait(4) for runtime in runtimes for _ in range(20)]:
        await receipt
    await asyncio.sleep(0)
    gc.collect()

async def main():
    async with RuntimeManager(loop="current", ring=16, offer=False) as manager:
        kinds = {"work": (0, work), "plain": (0, plain), "at once": ((0,), at_once)}
        runtimes = [manager.create(id, *each) for id, each in kinds.items()]
        await go(runtimes, 1500)
        before = sys.getallocatedblocks()
        await go(runtimes, int(sys.argv[1]) // 3)
        print(sys.getallocatedblocks() - before)

asyncio.run(main())
"""


@needs_core
@pytest.mark.timeout(120 + SOAK // 5_000)
def test_the_compiled_core_loses_no_memory() -> None:
    done = answer(MANY, str(SOAK), AGENTRT_COMPILED="1", PYTHONWARNINGS="ignore")
    assert done.stderr == ""
    assert int(done.stdout) < 6000


TIMES = """
from time import monotonic
from agentrt import RuntimeManager

with RuntimeManager(loop="thread") as manager:
    runtime = manager.create("a", 0, lambda activity, state: state + 1)
    for _ in range(300):
        before = monotonic()
        outcome = runtime.send_nowait(1).result(60)
        assert before <= outcome.created <= outcome.started <= outcome.finished <= monotonic(), outcome
"""


@needs_core
def test_the_compiled_core_reads_the_same_clock() -> None:
    assert answer(TIMES, AGENTRT_COMPILED="1").stderr == ""


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Choose a core again, with these variables of the environment: the compiled one is there if `built` is a file."""

    def choose_again(built: Path | None, **variables: str) -> object:
        for name in ("AGENTRT_PURE", "AGENTRT_COMPILED"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(core, "find_spec", lambda name: built and SimpleNamespace(origin=str(built)))
        return core._compiled_core.__wrapped__()

    return choose_again


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What was compiled from the source beside it."""
    (tmp_path / "_core.pyx").write_text("ANSWER = 42")
    (tmp_path / "_fields.pxi").write_text("FIELDS = 1")
    file = tmp_path / "_core.so"
    file.write_bytes(b"\x7fELF" + hatch_build.checksum(tmp_path).encode() + b"\0")
    return file


def test_where_there_is_no_compiled_core_the_other_runs(choose: Callable[..., object], recwarn: Any) -> None:
    assert choose(None) is None
    assert choose(None, AGENTRT_COMPILED="1", AGENTRT_PURE="1") is None
    assert list(recwarn) == []


def test_a_compiled_core_that_is_not_there_is_an_error_where_it_is_asked_for(choose: Callable[..., object]) -> None:
    with pytest.raises(ImportError, match="install agentrt again where there is a C compiler, or unset it"):
        choose(None, AGENTRT_COMPILED="1")


@pytest.mark.parametrize("name", ["_core.pyx", "_fields.pxi"])
def test_what_was_compiled_from_another_source_is_not_used(
    choose: Callable[..., object], built: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "import_module", {core.NAME: "the compiled core"}.get)
    assert choose(built) == "the compiled core"
    built.with_name(name).write_text("ANSWER = 43")
    with pytest.warns(RuntimeWarning, match=r"the one in Python runs: _core\.so was .*run `pip install -e \.`"):
        assert choose(built) is None
    with pytest.raises(ImportError, match="compiled from another source"):
        choose(built, AGENTRT_COMPILED="1")


def test_an_installation_without_the_source_uses_what_was_compiled(
    choose: Callable[..., object], built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "import_module", {core.NAME: "the compiled core"}.get)
    for source in built.parent.glob("*.p*"):
        source.unlink()
    assert choose(built) == "the compiled core"


def test_what_the_compiled_core_lacks_itself_is_said(
    choose: Callable[..., object], built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> None:
        raise ModuleNotFoundError("No module named 'msgspec'", name="msgspec")

    monkeypatch.setattr(core, "import_module", import_module)
    with pytest.warns(RuntimeWarning, match="the compiled core is not used, .* No module named 'msgspec'"):
        assert choose(built) is None
    with pytest.raises(ModuleNotFoundError, match="msgspec"):
        choose(built, AGENTRT_COMPILED="1")


def test_a_free_threaded_python_refuses_the_compiled_core(
    choose: Callable[..., object], built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.warns(RuntimeWarning, match=r"it needs the lock of the interpreter \(GIL\)"):
        assert choose(built) is None


BESIDE = """
import agentrt, _xxsubinterpreters as interpreters
interpreters.run_string(
    interpreters.create(), "import agentrt.engine.core as core; print(core.core_name(), flush=True)"
)
"""


@needs_core
@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="msgspec itself refuses a second interpreter there")
def test_a_second_interpreter_in_the_process_has_the_core_in_python() -> None:
    done = answer(BESIDE)
    assert done.stdout == "pure\n"
    assert "can only be loaded into one interpreter per process" in done.stderr


# A package of links: its own folder of the engine, so that another source can lie beside the compiled core.
@needs_core
def test_a_stale_core_in_an_installation_that_is_editable_is_said_and_not_used(tmp_path: Path) -> None:
    package, engine = tmp_path / "agentrt", tmp_path / "agentrt" / "engine"
    engine.mkdir(parents=True)
    for path in (*PACKAGE.iterdir(), *(PACKAGE / "engine").iterdir()):
        there = package / path.relative_to(PACKAGE)
        if there != engine and path.name != "_core.pyx":
            there.symlink_to(path)
    (engine / "_core.pyx").write_text(SOURCE + "# changed\n")
    done = answer(PYTHONPATH=str(tmp_path))
    assert done.stdout == "pure\n"
    assert "RuntimeWarning: the compiled core is not used" in done.stderr
    assert done.stderr.count("Warning") == 1


def test_every_twin_has_its_other_half() -> None:
    """What is marked in Python is in the compiled source with the same parameters, and the other way round."""
    marked: dict[str, list[str]] = {}
    for path in (PACKAGE / "engine").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            marks = [ast.unparse(each) for each in getattr(node, "decorator_list", ())]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "twin" in marks:
                marked[node.name] = [each.arg for each in node.args.args]
    found = re.findall(r"^(?:async )?def (\w+)\((.*?)\):$", SOURCE, re.MULTILINE)
    compiled = {
        name: [part.split("=")[0].strip() for part in parameters.split(",") if part.strip()[:1].isalpha()]
        for name, parameters in found
    }
    assert len(marked) >= 4
    assert compiled == marked


# ---- the build


def build(root: Path) -> tuple[list[str], dict[str, object]]:
    """Run the hook; the warnings that it printed, and what it has told hatchling."""
    said: list[str] = []
    data: dict[str, object] = {"artifacts": []}
    hook = SimpleNamespace(root=str(root), app=SimpleNamespace(display_warning=said.append))
    hatch_build.CompiledCore.initialize(hook, "standard", data)
    return said, data


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree with a core that has nothing in it, on a machine without a C compiler."""
    monkeypatch.delenv("AGENTRT_COMPILED", raising=False)
    monkeypatch.delenv("AGENTRT_PURE", raising=False)
    monkeypatch.setenv("CC", "no-such-compiler")
    there = tmp_path / hatch_build.SOURCE
    there.parent.mkdir(parents=True)
    there.write_text("ANSWER = 42\n")
    return tmp_path


def test_without_a_compiler_the_wheel_is_pure_and_one_line_says_so(tree: Path) -> None:
    said, data = build(tree)
    assert said == ["agentrt: only the pure core is built: the core could not be compiled"]
    assert data == {"artifacts": []}


def test_without_a_compiler_it_is_an_error_where_the_compiled_core_is_asked_for(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTRT_COMPILED", "1")
    with pytest.raises(RuntimeError, match="the core could not be compiled"):
        build(tree)


def test_nothing_is_compiled_where_the_pure_core_is_asked_for(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTRT_PURE", "1")
    monkeypatch.setenv("AGENTRT_COMPILED", "1")
    assert build(tree) == ([], {"artifacts": []})


def test_nothing_is_compiled_for_a_free_threaded_python(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build.sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    said, data = build(tree)
    assert "not compiled for a free-threaded Python" in said[0]
    assert data == {"artifacts": []}


def test_a_compiled_core_is_in_a_wheel_of_this_platform(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = (tree / hatch_build.SOURCE).with_name("_core.so")
    monkeypatch.setattr(hatch_build, "compile_core", lambda root: made)
    assert build(tree) == (
        [],
        {"artifacts": ["agentrt/engine/_core.so"], "pure_python": False, "infer_tag": True},
    )
