"""Small files and short functions: what a reader can take in at once."""

import ast
import statistics
from pathlib import Path

import pytest

import agentrt

PACKAGE = Path(agentrt.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 500  # lines
LONGEST_FUNCTION = 80  # lines, without its docstring
MEDIAN = 7
NINTH_DECILE = {"core": 30, "views": 40}  # nine functions of ten are no longer than that


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function from its `def` on, without the docstring."""
    first, doc = function.body[0], 0
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        doc = (first.end_lineno or first.lineno) - first.lineno + 1
    return (function.end_lineno or function.lineno) - function.lineno + 1 - doc


def lengths() -> dict[str, int]:
    """The lengths of all functions, by file, line and name."""
    return {
        f"{name_of(path)}:{node.lineno} {node.name}": length_of(node)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


LENGTHS = lengths()


def test_no_file_is_long() -> None:
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    assert {name: length for name, length in LENGTHS.items() if length > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("part", NINTH_DECILE)
def test_most_functions_are_short(part: str) -> None:
    found = {name: length for name, length in LENGTHS.items() if name.startswith("views/") == (part == "views")}
    limit = NINTH_DECILE[part]
    longer = {name: length for name, length in found.items() if length > limit}
    assert statistics.median(found.values()) <= MEDIAN
    assert len(longer) <= len(found) / 10, longer


def test_a_docstring_is_not_counted() -> None:
    function = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n').body[0]
    assert isinstance(function, ast.FunctionDef)
    assert length_of(function) == 2
