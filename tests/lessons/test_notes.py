import json
import logging

from agentrt.lessons.notes import Notes


def test_an_answer_is_there_for_the_next_kernel(tmp_path):
    path = tmp_path / "predictions.json"
    Notes(path).keep("How many?", 12)
    Notes(path).keep("Which?", "the first")
    assert Notes(path).find("How many?") == 12
    Notes(path).keep("How many?", None)
    assert json.loads(path.read_text()) == {"Which?": "the first"}
    assert Notes(path).find("Who?") is None


def test_a_damaged_file_is_told_and_is_no_reason_to_stop(tmp_path, caplog):
    path = tmp_path / "predictions.json"
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        assert Notes(path).find("How many?") is None
    assert "can't be read" in caplog.text
    Notes(path).keep("How many?", 1)
    assert Notes(path).find("How many?") == 1


def test_a_file_of_something_else_has_no_answers(tmp_path):
    path = tmp_path / "predictions.json"
    path.write_text("[1]")
    assert Notes(path).find("How many?") is None
