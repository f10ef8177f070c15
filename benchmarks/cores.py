"""Both cores side by side, each beside bare asyncio in a process of its own: how many times as fast as that it is."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .before import HOT_PATH
from .child import ROOT
from .measures import MEASURES
from .targets import BARE

__all__ = ["CORES", "compare_cores"]

CORES = {"pure": {"AGENTRT_PURE": "1"}, "compiled": {"AGENTRT_PURE": "0", "AGENTRT_COMPILED": "1"}}
BASE = {"suspends": "two deques"}  # of the others: a PriorityQueue
ROUNDS = 5
Ratios = dict[str, float]  # by measure and kind


def sample(core: str, measures: Sequence[str], options: Sequence[str]) -> Ratios:
    """One round of the measures on a core."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "benchmarks", *measures, "--peers", BARE, *BASE.values(), "--rounds", "1"]
        done = subprocess.run(
            [*command, "--json", file.name, *options],
            cwd=ROOT, env={**os.environ, **CORES[core]}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"the {core} core failed:\n{done.stderr[-2000:]}")
        return ratios_of(json.loads(Path(file.name).read_text())["results"])


def ratios_of(results: Sequence[dict[str, Any]]) -> Ratios:
    """How many times as fast as its base agentrt was, in one round."""
    found = {(each["measure"], each["kind"], each["peer"]): each["samples"][0] for each in results}
    ratios = {}
    for (measure, kind, peer), figures in found.items():
        base, main = found.get((measure, kind, BASE.get(measure, BARE))), MEASURES[measure].main
        if peer == "agentrt" and base is not None:
            ratios[f"{measure}, {kind}"] = base[main] / figures[main]
    return ratios


def compare_cores(measures: Sequence[str], rounds: int | None, options: Sequence[str] = ()) -> str:
    """A table of every measure: how many times as fast as bare asyncio the one core is, and the other."""
    taken: list[dict[str, Ratios]] = []
    for turn in range(rounds or ROUNDS):
        print(f"\rround {turn + 1} of {rounds or ROUNDS}", end="", file=sys.stderr, flush=True)
        order = sorted(CORES, reverse=turn % 2 == 0)
        taken.append({core: sample(core, measures or HOT_PATH, options) for core in order})
    print(file=sys.stderr)
    head = f"{'times as fast as bare asyncio':32}" + "".join(f"{core:>10}" for core in CORES)
    return "\n".join([f"load {os.getloadavg()[0]:.1f}", head, *rows_of(taken)])


def rows_of(taken: Sequence[dict[str, Ratios]]) -> Iterator[str]:
    """A line for each measure and kind: the medians, and the extremes of the compiled core."""
    for key in taken[0]["pure"]:
        columns = [[each[core][key] for each in taken] for core in CORES]
        medians = "".join(f"{statistics.median(each):10.2f}" for each in columns)
        yield f"{key:32}{medians}   {min(columns[-1]):.2f} to {max(columns[-1]):.2f}"
