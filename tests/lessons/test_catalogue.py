import pytest

from agentrt import ConfigurationError
from agentrt.lessons import find_lesson, lessons


def test_lessons_are_numbered_without_a_gap():
    assert [lesson.number for lesson in lessons()] == list(range(1, len(lessons()) + 1))
    assert len(lessons()) > 10


def test_a_lesson_is_found_by_number_and_by_name():
    assert find_lesson("2").title == "Three towers"
    assert find_lesson("02") == find_lesson("three towers") == find_lesson("Three-To")


@pytest.mark.parametrize("wanted", ["", "0", "nothing like it", "three"])
def test_what_is_no_single_lesson_is_refused_with_a_list(wanted):
    with pytest.raises(ConfigurationError, match="2 three_towers"):
        find_lesson(wanted)


def test_a_copy_keeps_what_was_done_in_it(tmp_path):
    lesson = find_lesson("1")
    copy = lesson.copy(tmp_path)
    assert copy.read_bytes() == lesson.path.read_bytes()
    copy.write_text("mine")
    assert lesson.copy(tmp_path).read_text() == "mine"
