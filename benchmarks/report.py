"""The printed tables and the JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentrt import RuntimeManager

from .measure import Measure
from .peer import Peer
from .sizes import Size
from .targets import MOST, NOT_HERE, Results, Verdict, verdicts

OURS = "agentrt"


def number(value: float) -> str:
    """Three significant digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median_of(samples: list[dict[str, float]], figure: str) -> float:
    return statistics.median(sample[figure] for sample in samples)


def spread(samples: list[dict[str, float]], figure: str) -> float:
    """Half of the range, in percent of the median."""
    values = [sample[figure] for sample in samples]
    return 100 * (max(values) - min(values)) / 2 / (statistics.median(values) or 1)


def table(measure: Measure, results: Results) -> list[str]:
    """One measure: a line for each kind and peer, with its ratio to agentrt."""
    if measure.name.startswith(("scale", "sessions", "pages")):
        return scale_table(measure, results)
    lines = [f"{measure.name}: {measure.text}"]
    for kind in measure.kinds:
        ours = results.get((measure.name, kind.name, OURS))
        base = median_of(ours, measure.main) if ours else None
        for (name, its_kind, peer), samples in results.items():
            if (name, its_kind) == (measure.name, kind.name):
                lines.append(line(kind.name if len(measure.kinds) > 1 else "", peer, samples, measure.main, base))
    return lines


def line(kind: str, peer: str, samples: list[dict[str, float]], main: str, base: float | None) -> str:
    value = median_of(samples, main)
    ratio = f"{value / base:8.2f}x" if base else " " * 9
    others = "  ".join(f"{number(median_of(samples, other))} {other}" for other in samples[0] if other != main)
    cell = f"{number(value):>9} {main}"
    return f"  {kind:10}{peer:15}{cell:20} ±{spread(samples, main):3.0f} %{ratio}   {others}"


def scale_table(measure: Measure, results: Results) -> list[str]:
    lines = [f"{measure.name}: {measure.text}"]
    for (name, _, peer), samples in results.items():
        if name == measure.name:
            lines += [f"  {peer:15}{n:>9,} " + figures for n, figures in points(samples[0])]
    return lines


def points(figures: dict[str, float]) -> list[tuple[int, str]]:
    found: dict[int, list[str]] = {}
    for key, value in figures.items():
        n, figure = key.split(" ", 1)
        found.setdefault(int(n), []).append(f"{number(value):>9} {figure:10}")
    return [(n, "".join(parts)) for n, parts in found.items()]


def target_table(found: Sequence[Verdict]) -> list[str]:
    """Each target, the measured value, and whether it holds."""
    lines = [f"{'target':64}{'bound':>16}{'measured':>12}  {'(rounds)':18} holds"]
    for verdict in found:
        lines.append(target_line(verdict))
    return lines + [f"{text:64}{'':>16}{'-':>12}  {why}" for text, why in NOT_HERE]


def target_line(verdict: Verdict) -> str:
    target = verdict.target
    unit = f" {target.unit}" if target.rule is MOST else "x"
    sign = ">=" if "fast" in target.rule else "<="
    bound = "no bound" if target.bound is None else f"{sign} {number(target.bound)}{unit}"
    if verdict.value is None:
        return f"{target.text:64}{bound:>16}{'-':>12}  not measured in this run"
    rounds = f"({number(verdict.low)} .. {number(verdict.high)})"
    word = {True: "yes", False: "NO", None: ""}[verdict.holds]
    return f"{target.text:64}{bound:>16}{number(verdict.value) + unit:>12}  {rounds:18} {word}"


def core_in_use() -> str:
    """Which core runs; one in Python in a version that does not say, for `--before`."""
    with RuntimeManager() as manager:
        return str(getattr(manager, "core", "pure"))


def about(peers: Sequence[Peer], missing: Sequence[Peer], size: Size) -> dict[str, Any]:
    """The machine, the versions and the number of rounds."""
    return {
        "python": sys.version.split()[0],
        "platform": f"{platform.system()} {platform.machine()}",
        "core": core_in_use(),
        "cpus": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "rounds": size.rounds,
        "rounds done": 0,
        "peers": {peer.name: peer.version() for peer in peers},
        "not installed": [peer.name for peer in missing],
        "failed": [],
    }


def text(measures: Sequence[Measure], results: Results, facts: dict[str, Any]) -> str:
    """All that is printed."""
    peers = ", ".join(f"{name} {version}".strip() for name, version in facts["peers"].items())
    head = [
        f"Python {facts['python']}, {facts['platform']}, {facts['cpus']} CPUs, load {facts['load'][0]}, "
        f"{facts['core']} core, {facts['rounds done']} of {facts['rounds']} rounds; "
        "medians, ± half the range; trust ratios",
        peers,
        *(f"not installed: {name}" for name in facts["not installed"]),
        *(f"failed: {failure}" for failure in facts["failed"]),
    ]
    names = {measure.name for measure in measures}
    found = [verdict for verdict in verdicts(results) if verdict.target.measure in names]
    blocks = [head, *(table(measure, results) for measure in measures), target_table(found)]
    return "\n\n".join("\n".join(block) for block in blocks)


def as_json(results: Results, facts: dict[str, Any]) -> dict[str, Any]:
    """All samples of all rounds, and the targets."""
    samples = [
        {"measure": measure, "kind": kind, "peer": peer, "samples": found}
        for (measure, kind, peer), found in results.items()
    ]
    targets = [
        {
            **verdict.target._asdict(),
            "measured": verdict.value,
            "low": verdict.low,
            "high": verdict.high,
            "holds": verdict.holds,
        }
        for verdict in verdicts(results)
    ]
    return {"about": facts, "results": samples, "targets": targets, "not measured": dict(NOT_HERE)}


def write_json(path: Path, results: Results, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(as_json(results, facts), indent=1) + "\n")
