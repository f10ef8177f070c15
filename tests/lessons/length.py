"""How long a lesson takes: `python -m tests.lessons.length` prints a table, in minutes.

What can be counted is counted, and what was measured is measured: words and lines of code, and how long the cells ran.
The rates and the times to think are stated here.
"""

import importlib
import re
from typing import Any, NamedTuple

import nbformat

from agentrt.lessons import Exercise, Lesson, lessons

WORDS = 200.0  # read in a minute
LINES = 20.0  # of code, read in a minute
PREDICTION, EXERCISE, VIEW = 30.0, 90.0, 10.0  # seconds to think, to solve it, and to look at what another cell shows
OWN_TIME = re.compile(r"predict|task$|try$")  # the names of the cells of a prediction and of the exercise
# Seconds that all cells of a lesson ran one after the other, in a JupyterLab on two cores: measured by
# `python -m tests.lessons.walk`.
RUNS = {
    1: 15, 2: 19, 3: 6, 4: 11, 5: 12, 6: 10, 7: 8, 8: 14, 9: 11, 10: 14, 11: 20, 12: 31, 13: 10, 14: 9, 15: 4, 16: 56,
}  # fmt: skip


class Length(NamedTuple):
    """The minutes of each part of a lesson."""

    text: float
    code: float
    views: float
    predictions: float
    exercise: float
    run: float

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


def measure(lesson: Lesson) -> Length:
    """How long it takes."""
    cells = nbformat.read(lesson.path, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    shows = [cell.source for cell in cells if cell.cell_type == "code" and not OWN_TIME.match(cell.id)]
    asked = [cell.source for cell in cells if cell.cell_type == "code" and "Prediction(" in cell.source]
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    words = sum(len(re.findall(r"\w[\w'.-]*", text)) for text in [*prose, *asked, *(task.task for task in tasks(code))])
    lines = sum(bool(line.strip()) for source in shows for line in source.splitlines())
    return Length(
        text=words / WORDS,
        code=lines / LINES,
        views=len(shows) * VIEW / 60,
        predictions=sum(source.count("Prediction(") for source in asked) * PREDICTION / 60,
        exercise=len(tasks(code)) * EXERCISE / 60,
        run=RUNS[lesson.number] / 60,
    )


def tasks(code: list[str]) -> list[Any]:
    """The exercises that these cells show."""
    found = re.findall(r"from (agentrt\.lessons\.exercises\.\w+) import (\w+)", "\n".join(code))
    shown = [getattr(importlib.import_module(module), name) for module, name in found]
    assert all(isinstance(exercise, Exercise) for exercise in shown)
    return shown


def table() -> str:
    """The parts of each lesson and their sum."""
    rows = [f"{'lesson':<34}" + "".join(f"{name:>12}" for name in (*Length._fields, "total"))]
    for lesson in lessons():
        length = measure(lesson)
        rows += [
            f"{lesson.number:>2} {lesson.title:<31}" + "".join(f"{part:12.1f}" for part in (*length, length.total))
        ]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
