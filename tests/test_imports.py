"""Imports go one way, and `import agentrt` stays light."""

import ast
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import agentrt

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agentrt"
# From the ground up: a module imports only what stands in a line above its own. A folder is one name, and `__init__` is
# `import agentrt` itself.
LAYERS = """
    errors frames travel
    schema loop
    activity convert clock metrics queueing
    events fields
    host
    turn
    deadlock
    receipt mailbox workflow
    context supervision hub subscription
    watchdog background
    limits snapshot
    state
    trouble process
    isolation deadlines
    door
    resources
    entry control
    groups display
    runtime
    manager
    debugger dead_letters
    timeline
    journal
    grants
    notebook
    __init__
    discovery
    testing
    demo
    views
    export
    server
    integrations
    distributed
    cli
    __main__
"""
RANK = {name: rank for rank, line in enumerate(LAYERS.split("\n")) for name in line.split()}
CORE = {name for name, rank in RANK.items() if rank <= RANK["grants"]}
HEAVY = {"panel", "bokeh", "pandas", "IPython", "ipywidgets", "numpy"}
NEVER_IN_CORE = {"panel", "bokeh", "IPython", "ipywidgets", "ray", "pandas"}


@dataclass(frozen=True)
class Import:
    """One imported module by its full name; `early` when loading the file loads it."""

    of: str
    line: int
    early: bool

    @property
    def top(self) -> str:
        return self.of.split(".")[0]

    @property
    def part(self) -> str:
        """The layer, for one of ours: 'entry' of 'agentrt.entry'."""
        own = self.of.split(".")[1:2] if self.top == "agentrt" else [""]
        return own[0] if own else "__init__"


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports_of(path: Path) -> list[Import]:
    package = path.relative_to(ROOT).parent.parts
    return list(_walk(ast.parse(path.read_text()), package, early=True))


def _walk(node: ast.AST, package: tuple[str, ...], *, early: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(name.name, child.lineno, early) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from _from(child, package, early=early)
        elif is_type_checking(child):
            continue
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, package, early=early and not later)


def _from(node: ast.ImportFrom, package: tuple[str, ...], *, early: bool) -> Iterator[Import]:
    above = package[: len(package) - node.level + 1] if node.level else ()
    base = ".".join([*above, *filter(None, [node.module])])
    for name in node.names:
        yield Import(f"{base}.{name.name}" if base == "agentrt" and _is_module(name.name) else base, node.lineno, early)


def _is_module(name: str) -> bool:
    return (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir()


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
EVERY_MODULE = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


@EVERY_MODULE
def test_nothing_imports_up(path: Path) -> None:
    own = layer(path)
    assert own in RANK, f"give {own} a line in LAYERS"
    ours = [each for each in imports_of(path) if each.early and each.part not in ("", own)]
    assert [f"line {each.line}: {each.of}" for each in ours if RANK.get(each.part, 99) >= RANK[own]] == []


@EVERY_MODULE
def test_core_never_imports_a_front_end(path: Path) -> None:
    if layer(path) in CORE:
        assert [f"line {each.line}: {each.of}" for each in imports_of(path) if each.top in NEVER_IN_CORE] == []


def test_the_hot_path_loads_no_param() -> None:
    """`entry.py`, nor anything that it loads."""
    seen: set[str] = set()
    todo = ["entry"]
    while todo:
        seen.add(part := todo.pop())
        files = [PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").exists() else (PACKAGE / part).glob("*.py")
        found = [each for file in files for each in imports_of(file) if each.early]
        assert not any(each.top == "param" for each in found), f"{part}.py imports param"
        todo += {each.part for each in found if each.part} - seen
    assert not any(each.top == "param" for each in imports_of(PACKAGE / "entry.py"))


def test_nest_asyncio_lives_in_the_notebook_module() -> None:
    assert [path.name for path in MODULES if "nest_asyncio" in path.read_text()] == ["notebook.py"]


def fresh(code: str) -> object:
    """What a new interpreter prints, as JSON."""
    command = [sys.executable, "-c", code]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout)


def test_import_agentrt_loads_nothing_heavy() -> None:
    loaded = fresh("import agentrt, json, sys; print(json.dumps(list(sys.modules)))")
    assert isinstance(loaded, list)
    assert HEAVY & set(loaded) == set()


def test_import_agentrt_is_quick() -> None:
    """In seconds of the processor; the best of three, since others use it too."""
    code = "import time; start = time.process_time(); import agentrt; print(time.process_time() - start)"
    assert min(float(str(fresh(code))) for _ in range(3)) < 0.5


def test_the_public_names_are_listed() -> None:
    public = {name for name, value in vars(agentrt).items() if not name.startswith("_") and not inspect.ismodule(value)}
    listed = {name for name in agentrt.__all__ if not name.startswith("_")}
    assert public == listed
    assert len(agentrt.__all__) == len(set(agentrt.__all__))


def test_every_listed_name_is_there() -> None:
    assert [name for name in agentrt.__all__ if not hasattr(agentrt, name)] == []
