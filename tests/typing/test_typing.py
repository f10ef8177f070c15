"""The types say something: what is right passes both type checkers, and each mistake is one for both of them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PASS, FAIL = (sorted((Path(__file__).parent / name).glob("*.py")) for name in ("pass", "fail"))
Errors = dict[tuple[str, int], str]


def output(*command: str) -> str:
    ran = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran.stdout


def mypy(files: list[str]) -> Errors:
    """The errors of mypy, as strict as `pyproject.toml` says, by file and line."""
    lines = [json.loads(line) for line in output("mypy", "--output=json", *files).splitlines()]
    return {(Path(each["file"]).name, each["line"]): each["message"] for each in lines if each["severity"] == "error"}


def basedpyright(files: list[str]) -> Errors:
    """The same of basedpyright, which says what pyright says and more. Its lines begin with 0."""
    found = json.loads(
        output("basedpyright", "--outputjson", "--level", "error", "--pythonpath", sys.executable, *files)
    )
    assert found["summary"]["filesAnalyzed"] == len(files)
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
        for each in found["generalDiagnostics"]
    }


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, basedpyright], ids=lambda checker: checker.__name__)
def test_each_mistake_is_an_error_and_nothing_else_is(checker: Callable[[list[str]], Errors]) -> None:
    errors = checker([str(file) for file in (*PASS, *FAIL)])
    marked = {
        (file.name, number)
        for file in FAIL
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "# error" in line
    }
    assert {at: text for at, text in errors.items() if at not in marked} == {}
    assert marked - set(errors) == set()
    assert len(marked) > 20
