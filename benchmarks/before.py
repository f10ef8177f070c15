"""agentrt as it was at another commit beside agentrt as it is: the same measures in turn, each in its own process.

Both on the core in Python: the other one is compiled only of the source that lies here. `cores.py` measures that.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .child import ROOT
from .measures import MEASURES

__all__ = ["HOT_PATH", "compare_with"]

HOT_PATH = ("one-way", "completion", "fleet", "ask", "suspends")
ROUNDS = 7
Samples = dict[str, float]  # by measure and kind: the main figure, lower is better


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A directory with the agentrt of a commit, and these benchmarks."""
    with tempfile.TemporaryDirectory(prefix="agentrt-before-") as name:
        directory = Path(name)
        archive = subprocess.run(["git", "archive", commit, "agentrt"], cwd=ROOT, capture_output=True)
        if archive.returncode:
            raise SystemExit(f"no commit {commit!r} here: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", name], input=archive.stdout, check=True)
        shutil.copytree(ROOT / "benchmarks", directory / "benchmarks")
        yield directory


def sample(directory: Path, measures: Sequence[str], options: Sequence[str]) -> Samples:
    """One round of the measures with the agentrt of a directory."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "benchmarks", *measures, "--peers", "agentrt", "--rounds", "1"]
        done = subprocess.run(
            [*command, "--json", file.name, *options],
            cwd=directory, env={**os.environ, "AGENTRT_PURE": "1"}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed in {directory}:\n{done.stderr[-2000:]}")
        found = json.loads(Path(file.name).read_text())
    return {
        f"{each['measure']}, {each['kind']}": each["samples"][0][MEASURES[each["measure"]].main]
        for each in found["results"]
    }


def compare_with(commit: str, measures: Sequence[str], rounds: int | None, options: Sequence[str] = ()) -> str:
    """A table of every measure before and now; the ratio is the median of the rounds, each of which has both."""
    rounds = rounds or ROUNDS
    pairs: list[tuple[Samples, Samples]] = []
    with checkout(commit) as directory:
        for turn in range(rounds):
            print(f"\rround {turn + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            order = (directory, ROOT) if turn % 2 == 0 else (ROOT, directory)
            taken = {each: sample(each, measures or HOT_PATH, options) for each in order}
            pairs.append((taken[directory], taken[ROOT]))
    print(file=sys.stderr)
    return "\n".join([f"{'':28}{commit[:10]:>12}{'now':>10}{'ratio':>9}   each round", *rows_of(pairs)])


def rows_of(pairs: Sequence[tuple[Samples, Samples]]) -> Iterator[str]:
    """A line for each measure and kind."""
    for key in pairs[0][1]:
        before, now = ([each[i][key] for each in pairs if key in each[0]] for i in (0, 1))
        if before:
            ratios = sorted(b / a for a, b in zip(before, now, strict=False))
            medians = f"{statistics.median(before):12.4g}{statistics.median(now):10.4g}{statistics.median(ratios):9.3f}"
            yield f"{key:28}{medians}   {ratios[0]:.3f} to {ratios[-1]:.3f}"
