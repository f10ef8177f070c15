"""A picture of the cost by size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .targets import Results

PANELS = (
    ("scale, agents", "us", "us per activity, all agents busy"),
    ("scale, agents", "create us", "us to create an agent"),
    ("scale, queued", "us", "us to process an activity"),
    ("scale, queued", "send us", "us to queue an activity"),
)


def series(results: Results, measure: str, figure: str) -> dict[str, dict[int, float]]:
    """{peer: {n: value}}"""
    return {
        peer: {int(key.split(" ", 1)[0]): value for key, value in samples[0].items() if key.split(" ", 1)[1] == figure}
        for (name, _, peer), samples in results.items()
        if name == measure
    }


def draw(path: Path, results: Results) -> str:
    """Write a PNG; returns a message about it."""
    if not any(series(results, measure, figure) for measure, figure, _ in PANELS):
        return f"{path} not written: pick a scale measure"
    try:
        import matplotlib
    except ImportError:
        return f"{path} not written: matplotlib is not installed"
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for axis, (measure, name, title) in zip(axes.flat, PANELS, strict=True):
        panel(axis, series(results, measure, name), title, "agents" if "agents" in measure else "queued")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return f"{path} written"


def panel(axis: Any, lines: dict[str, dict[int, float]], title: str, label: str) -> None:
    for peer, points in lines.items():
        axis.plot(list(points), list(points.values()), marker="o", label=peer)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_title(title)
    axis.set_xlabel(label)
    axis.grid(alpha=0.3)
    if lines:
        axis.legend()
