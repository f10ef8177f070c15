import pytest

from agentrt.lessons import PredictionResult


@pytest.mark.parametrize(
    ("expected", "happened", "unit", "said"),
    [
        (40.0, 50, "letters", "<you expected 40 letters, it was 50 letters: off by 20 %>"),
        (50.0, 50, "", "<you expected 50, it was 50: as you expected>"),
        (3.0, 0, "letters", "<you expected 3 letters, it was 0 letters: off by 3 letters>"),
        (None, 1.234, "s", "<you wrote down no prediction, it was 1.23 s>"),
        ("it hangs", "an error", "", "<you expected it hangs, it was an error: not what you expected>"),
        ("an error", "an error", "", "<you expected an error, it was an error: as you expected>"),
    ],
)
def test_it_says_both(expected, happened, unit, said):
    assert repr(PredictionResult(expected, happened, unit)) == said


def test_the_larger_one_has_the_longer_bar():
    shown = PredictionResult(20.0, 40, "letters")._repr_html_()
    assert "width:30.0%" in shown
    assert "width:60.0%" in shown
    assert "<strong>20 letters</strong>" in shown


def test_words_have_no_bar_and_are_escaped():
    shown = PredictionResult("a <b>", "c")._repr_html_()
    assert "width:0" not in shown
    assert "a &lt;b&gt;" in shown


def test_without_a_prediction_it_says_what_happened():
    assert "It was <strong>3 s</strong>" in PredictionResult(None, 3, "s")._repr_html_()
