"""A class that looks on: `python -m benchmarks --viewers`, what an activity costs while pages are open."""

from __future__ import annotations

from collections.abc import Sequence

from . import child as process
from .stopwatch import Figures

__all__ = ["measure_viewers", "viewers_table"]

HEAD = """The dashboard runs in a process of its own and is opened by the view-only link: one page by a real browser,
the others by clients that receive all messages and draw nothing, as the machines of a class would draw them. While the
agents work at full speed, the dashboard is stopped and goes on in turn. Dashboard, browser and clients run at
niceness 19.

  pages   an activity costs   without the dashboard   processor time   real time   answering   answers/s   bound"""
MOST = {1: 3.0, 20: 10.0, 30: 10.0}  # percent more of processor time, and of real time, by the number of pages


def measure_viewers(seconds: float, counts: Sequence[int]) -> dict[int, Figures]:
    """The figures for each number of pages, each from a new process of the agents."""
    return {n: process.figures("sessions", seconds, "class", n) for n in counts}


def viewers_table(found: dict[int, Figures]) -> str:
    """The figures as a table, with a sentence that says how they were got."""
    return "\n".join([HEAD, *(_line(n, figures) for n, figures in found.items())])


def _line(n: int, figures: Figures) -> str:
    us, alone, answers = figures[f"{n} us"], figures[f"{n} us alone"], figures[f"{n} answers/s"]
    more, wall, own = (figures[f"{n} {name}"] for name in ("more %", "more wall %", "answering %"))
    costs = f"{us:16.2f} us {alone:20.2f} us"
    return f"  {n:5}{costs} {more:+14.1f} % {wall:+9.1f} % {own:9.1f} % {answers:11.1f}   {_verdict(n, more, wall)}"


def _verdict(n: int, *more: float) -> str:
    """Whether the bound for so many pages holds."""
    most = MOST.get(n)
    return "none" if most is None else f"<= {most:g} %: {'yes' if max(more) <= most else 'NO'}"
