"""Puts one mutant at a time into a copy of the package, and calls the tests that must fail."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.mutants.catalog import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("__pycache__", "conftest.py")  # the fixtures of a browser and a kernel, which take a while to import
INI = "[pytest]\naddopts = --import-mode=importlib -p no:cacheprovider -p no:warnings\npythonpath = .\n"
SECONDS = 60.0
PASSED, FAILED = 0, 1


class Result(NamedTuple):
    """What came of one mutant: "killed" is what it should be."""

    mutant: Mutant
    verdict: str
    seconds: float


def misfits(mutants: Sequence[Mutant] = MUTANTS) -> list[str]:
    """The mutants whose `old` does not stand exactly once in the package as it is, or that change nothing."""
    return [
        mutant.name
        for mutant in mutants
        if (ROOT / "agentrt" / mutant.file).read_text().count(mutant.old) != 1 or mutant.old == mutant.new
    ]


@contextmanager
def workshop() -> Iterator[Path]:
    """A temporary folder with a copy of the package and the tests, and nothing else of this checkout."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        for part in ("agentrt", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (folder / "pytest.ini").write_text(INI)
        yield folder


def try_tests(folder: Path, tests: Sequence[str]) -> int | None:
    """Pytest's exit code in that folder; None if it did not come to an end."""
    environment = {name: value for name, value in os.environ.items() if name != "AGENTRT_EXAMPLES"}
    # Without bytecode, as two versions of a file in one second look the same, and without plugins, which take a while.
    environment |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["AGENTRT_PURE"] = "1"  # what is broken is Python: the compiled core would run in its place
    command = [sys.executable, "-m", "pytest", "-x", "-q", *tests]
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, timeout=SECONDS, capture_output=True, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def attack(folder: Path, mutant: Mutant) -> Result:
    """Put the mutant in, call its tests, take it out."""
    path = folder / "agentrt" / mutant.file
    sound = path.read_text()
    started = time.perf_counter()
    path.write_text(sound.replace(mutant.old, mutant.new))
    try:
        code = try_tests(folder, mutant.tests)
    finally:
        path.write_text(sound)
    return Result(mutant, verdict(code), time.perf_counter() - started)


def verdict(code: int | None) -> str:
    """Failed tests and tests that hang have noticed it; that pytest could not even run them proves nothing."""
    if code is None:
        return "killed (hung)"
    return {PASSED: "SURVIVED", FAILED: "killed"}.get(code, f"NO TEST RAN ({code})")


def unharmed(folder: Path, mutants: Sequence[Mutant]) -> list[str]:
    """The selections that fail without any mutant: there they prove nothing."""
    return [
        " ".join(tests) for tests in sorted({mutant.tests for mutant in mutants}) if try_tests(folder, tests) != PASSED
    ]


def main(arguments: list[str] | None = None) -> int:
    """Try all mutants, or those whose name contains a word, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only mutants with this in their name")
    word = parser.parse_args(arguments).word
    mutants = [mutant for mutant in MUTANTS if word in mutant.name]
    wrong = [f"does not fit the source exactly once: {name}" for name in misfits(mutants)]
    with workshop() as folder:
        wrong += [f"fails without a mutant: {tests}" for tests in unharmed(folder, mutants)]
        for result in [] if wrong else (attack(folder, mutant) for mutant in mutants):
            print(
                f"{result.verdict:<14} {result.seconds:5.1f} s  {result.mutant.file:<15} {result.mutant.name}",
                flush=True,
            )
            if not result.verdict.startswith("killed"):
                wrong.append(f"{result.verdict}: {result.mutant.name}")
    for line in wrong:
        print(line)
    print(f"{len(mutants)} mutants, {len(wrong)} problems")
    return 1 if wrong or not mutants else 0
