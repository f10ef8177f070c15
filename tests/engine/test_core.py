"""core.py and hatch_build.py: which core runs is said by the environment alone, and is never a surprise."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import agentrt
import hatch_build
from agentrt.engine import core
from tests.support import core_is_built

PACKAGE = Path(agentrt.__file__).parent
SOURCE = (PACKAGE / "engine" / "_core.pyx").read_text()
SAY = "import agentrt\nwith agentrt.RuntimeManager() as manager: print(manager.core)"


def answer(code: str = SAY, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process with no other variables of the cores than these."""
    plain = {name: value for name, value in os.environ.items() if name not in ("AGENTRT_PURE", "AGENTRT_COMPILED")}
    environment = {**plain, "PYTHONPATH": str(PACKAGE.parent), **variables}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment, capture_output=True, text=True, timeout=120 + SOAK // 5_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    "variables", [{}, {"AGENTRT_COMPILED": "0"}, {"AGENTRT_PURE": "1"}, {"AGENTRT_PURE": "1", "AGENTRT_COMPILED": "1"}]
)
def test_the_core_in_python_runs_unless_the_other_is_asked_for(variables: dict[str, str]) -> None:
    done = answer(**variables)
    assert (done.stdout, done.stderr) == ("pure\n", "")


@pytest.mark.skipif(not core_is_built(), reason="the compiled core is not built here: python hatch_build.py")
def test_the_compiled_core_runs_where_it_is_asked_for() -> None:
    done = answer(AGENTRT_COMPILED="1")
    assert (done.stdout, done.stderr) == ("compiled\n", "")


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


@pytest.mark.skipif(not core_is_built(), reason="the compiled core is not built here: python hatch_build.py")
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


@pytest.mark.skipif(not core_is_built(), reason="the compiled core is not built here: python hatch_build.py")
def test_the_compiled_core_reads_the_same_clock() -> None:
    assert answer(TIMES, AGENTRT_COMPILED="1").stderr == ""


def test_a_compiled_core_that_is_not_there_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def import_module(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(core, "import_module", import_module)
    monkeypatch.setattr(core, "CORE", "compiled")
    with pytest.raises(ImportError, match="install agentrt again where there is a C compiler, or unset it"):
        core.twin(answer)


def test_what_the_compiled_core_lacks_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> None:
        raise ModuleNotFoundError("No module named 'msgspec'", name="msgspec")

    monkeypatch.setattr(core, "import_module", import_module)
    monkeypatch.setattr(core, "CORE", "compiled")
    with pytest.raises(ModuleNotFoundError, match="msgspec"):
        core.twin(answer)


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


def test_a_compiled_core_is_in_a_wheel_of_this_platform(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = (tree / hatch_build.SOURCE).with_name("_core.so")
    monkeypatch.setattr(hatch_build, "compile_core", lambda root: made)
    assert build(tree) == (
        [],
        {"artifacts": ["agentrt/engine/_core.so"], "pure_python": False, "infer_tag": True},
    )
