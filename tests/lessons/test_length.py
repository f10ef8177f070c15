import pytest

from agentrt.lessons import Lesson, lessons
from tests.lessons.length import EXERCISE, PREDICTION, RUNS, Length, measure


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.path.stem)
def test_a_lesson_takes_three_to_ten_minutes(lesson: Lesson) -> None:
    length = measure(lesson)
    assert 3 <= length.total <= 10, length
    assert length.predictions >= PREDICTION / 60, "each asks what is expected"
    assert length.exercise == EXERCISE / 60, "each ends with one exercise"


def test_a_run_of_each_lesson_was_measured() -> None:
    assert list(RUNS) == [lesson.number for lesson in lessons()]


def test_a_long_lesson_is_told_from_a_short_one(tmp_path) -> None:
    first = lessons()[0]
    long = tmp_path / "long.ipynb"
    long.write_text(first.path.read_text().replace("Your first agent", "word " * 2_000))
    assert measure(first._replace(path=long)).text == pytest.approx(measure(first).text + 10, abs=0.1)
    assert Length(1, 2, 3, 4, 5, 6).total == 21
