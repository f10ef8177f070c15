"""Every example in the core's docstrings runs, and says what it says; what they name is there."""

import ast
import builtins
import doctest
import importlib
import pkgutil
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

import agentrt

# The examples of the views need a front end: they have tests of their own.
LEFT_OUT = ("agentrt.__main__", "agentrt.views")
FOUND = pkgutil.walk_packages(agentrt.__path__, "agentrt.")
MODULES = ["agentrt", *(found.name for found in FOUND if not found.name.startswith(LEFT_OUT))]
# What the examples of these modules need, besides what agentrt always comes with.
PACKAGES = {
    "agentrt.integrations.langgraph": "langgraph",
    "agentrt.integrations.opentelemetry": "opentelemetry",
    "agentrt.integrations.pydantic_ai": "pydantic_ai",
    "agentrt.integrations.prometheus": "prometheus_client",
}


@pytest.mark.parametrize("name", MODULES)
def test_its_examples_run(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(examples) >= 20


def test_every_public_name_has_a_docstring():
    bare = [name for name in agentrt.__all__ if not (getattr(agentrt, name).__doc__ or "").strip()]
    assert bare == []


# ---- what the sections name

ENTRY = re.compile(r"( +)(\*{0,2}[A-Za-z_][\w.]*): ")
Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def names_in(doc: str, section: str) -> list[str]:
    """The names that a section of a docstring begins its entries with."""
    found: list[str] = []
    _, _, after = doc.partition(f"\n{section}:\n")
    for line in after.splitlines():
        entry = ENTRY.match(line)
        if not line.startswith(" "):
            break
        if entry and len(entry[1]) == 4:
            found.append(entry[2])
    return found


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = function.args
    names = {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    names |= {f"*{given.vararg.arg}"} if given.vararg else set()
    return names | ({f"**{given.kwarg.arg}"} if given.kwarg else set())


def given_names(node: Documented, classes: dict[str, ast.ClassDef]) -> set[str]:
    """What may stand in the Args of it: its parameters, or the fields of a class."""
    if not isinstance(node, ast.ClassDef):
        return parameters_of(node)
    bases = [classes[each.id] for each in node.bases if isinstance(each, ast.Name) and each.id in classes]
    names = set().union(*(given_names(each, classes) for each in bases))
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            names.add(each.target.id)
        elif isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__new__"):
            names |= parameters_of(each)
    return names


def classes_of(tree: ast.AST) -> dict[str, ast.ClassDef]:
    return {each.name: each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)}


def wrong_names(tree: ast.AST, raised: Collection[str]) -> Iterator[str]:
    """What docstrings name that is not there: no parameter, no field, no class that could be raised."""
    classes = classes_of(tree)
    for node in ast.walk(tree):
        if not isinstance(node, Documented):
            continue
        doc = ast.get_docstring(node) or ""
        yield from (f"{node.name}: {each}" for each in names_in(doc, "Args") if each not in given_names(node, classes))
        missing = (each for each in names_in(doc, "Raises") if not hasattr(builtins, each) and each not in raised)
        yield from (f"{node.name} raises {each}" for each in missing)


def test_what_the_sections_name_is_there():
    trees = {str(path): ast.parse(path.read_text()) for path in Path(agentrt.__path__[0]).rglob("*.py")}
    raised = set().union(*map(classes_of, trees.values()))
    found = {name: wrong for name, tree in trees.items() if (wrong := [*wrong_names(tree, raised)])}
    assert found == {}


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("Args:\n        other: What is not there.", ["f: other"]),
        ("Args:\n        options: Without the stars.", ["f: options"]),
        ("Raises:\n        OddError: Never.", ["f raises OddError"]),
        ("Args:\n        one: A number,\n            note: it goes on.\n        **options: Others.", []),
        ("Raises:\n        ValueError: Often.\n        AgentError: Rarely.", []),
    ],
)
def test_a_wrong_name_is_found(section, wrong):
    code = f'def f(one, **options):\n    """Do it.\n\n    {section}\n    """\n'
    assert [*wrong_names(ast.parse(code), {"AgentError"})] == wrong
