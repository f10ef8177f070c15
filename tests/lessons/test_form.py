"""Each lesson has the form of a lesson; and one that has not is found, so that these guards can fail."""

from pathlib import Path

import nbformat
import pytest

from agentrt.lessons import Exercise, Lesson, lessons
from tests.lessons.form import faults_of_predictions, views
from tests.lessons.length import tasks

EACH = pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.path.stem)
ASKS = 'guess = Prediction("How many?")\nguess'
EXEC = "application/vnd.holoviews_exec.v0+json"
PICTURE = '<img src="data:image/svg+xml;base64,PHN2Zz4=">'


def cells_of(path: Path) -> list:
    return nbformat.read(path, as_version=4).cells


def code(*sources: str) -> list:
    return [nbformat.v4.new_code_cell(source) for source in sources]


@EACH
def test_a_lesson_opens_with_its_predictions_and_compares_each_with_what_happened(lesson: Lesson) -> None:
    assert faults_of_predictions(cells_of(lesson.path)) == []


@EACH
def test_a_lesson_without_its_prediction_is_found(lesson: Lesson) -> None:
    cells = cells_of(lesson.path)
    asks = [cell for cell in cells if cell.cell_type == "code" and "Prediction(" in cell.source]
    compares = [cell for cell in cells if cell.cell_type == "code" and ".beside(" in cell.source]
    last = [*[cell for cell in cells if cell is not asks[0]], asks[0]]
    assert faults_of_predictions(last)
    assert faults_of_predictions([cell for cell in cells if cell is not asks[0]])
    assert faults_of_predictions([cell for cell in cells if cell is not compares[0]])


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        (["import math", "print(1)"], "it does not open with a prediction that its cell shows"),
        (["count = 0", ASKS, "guess.beside(1)"], "guess is asked after something ran"),
        (['guess = Prediction("How many?")', "guess.beside(1)"], "it does not open with a prediction"),
        ([ASKS + "\nrun()", "guess.beside(1)"], "it does not open with a prediction"),
        ([ASKS, "run()"], "guess is compared 0 times"),
        ([ASKS, "guess.beside(1)\nrun()"], "guess is compared 0 times"),
        ([ASKS, "guess.beside(1)", "guess.beside(2)"], "guess is compared 2 times"),
        ([ASKS, "guess.beside(1)", "other.beside(2)"], "other is compared and was not asked"),
        ([ASKS, ASKS.replace("guess", "other"), "await run()\nguess.beside(1)"], "other is compared 0 times"),
    ],
)
def test_what_is_wrong_with_predictions_is_said(sources: list[str], fault: str) -> None:
    assert fault in "; ".join(faults_of_predictions(code(*sources)))


def test_imports_and_magics_may_stand_anywhere() -> None:
    assert (
        faults_of_predictions(code("import math", ASKS, "%%writefile a.py\nx = ", "await run()\nguess.beside(1)")) == []
    )


@EACH
def test_each_exercise_has_a_hint(lesson: Lesson) -> None:
    shown = tasks([cell.source for cell in cells_of(lesson.path) if cell.cell_type == "code"])
    assert shown
    assert [exercise.task for exercise in shown if not has_hint(exercise)] == []


def has_hint(exercise: Exercise) -> bool:
    return bool(exercise.hint.strip()) and "A hint" in exercise._repr_html_()


def test_an_exercise_without_a_hint_is_found() -> None:
    assert not has_hint(Exercise("Think.", lambda answer: None))
    assert not has_hint(Exercise("Think.", lambda answer: None, " "))
    assert has_hint(Exercise("Think.", lambda answer: None, "Twice."))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({EXEC: "", "text/html": PICTURE}, ["cell"]),
        ({"text/html": "<b>you expected 3, it was 4</b>"}, []),
        ({"text/html": PICTURE}, []),
        ({EXEC: "", "text/html": "<b>no picture</b>"}, []),
        ({"text/plain": "<Runtime 'desk'>"}, []),
    ],
    ids=["a live view", "a prediction", "a picture that is not live", "no picture", "a text"],
)
def test_only_a_live_view_with_its_picture_is_a_view(data: dict, found: list[str]) -> None:
    output = nbformat.v4.new_output("execute_result", data)
    cell = nbformat.v4.new_code_cell("manager", id="cell", outputs=[output])
    assert views([cell, *code("print(1)")]) == found
