import pytest

from agentrt import ConfigurationError
from agentrt.lessons import Prediction
from agentrt.views.notebook.widget_display import WidgetDisplay


@pytest.fixture
def path(tmp_path):
    return tmp_path / "predictions.json"


def type_in(prediction, text):
    prediction._field.value = text
    prediction._keep.click()


def shown(prediction):
    return prediction._text.value


def test_a_number_is_typed_and_kept(path):
    guess = Prediction("How many wait?", unit="letters", path=path)
    type_in(guess, "1,200")
    assert guess.answer == 1200
    assert "You expect <strong>1,200 letters</strong>" in shown(guess)
    assert Prediction("How many wait?", path=path).answer == 1200
    assert repr(guess.beside(1500)) == "<you expected 1,200 letters, it was 1,500 letters: off by 20 %>"


def test_it_can_be_taken_back(path):
    guess = Prediction("How many wait?", path=path)
    type_in(guess, "3")
    assert guess._field not in guess._row.children
    guess._undo.click()
    assert guess.answer is None
    assert guess._field in guess._row.children


def test_what_is_no_number_is_said(path):
    guess = Prediction("How many <wait>?", path=path)
    for typed in ("a few", "nan"):
        type_in(guess, typed)
        assert f"'{typed}' is not a number" in shown(guess)
    type_in(guess, "")
    assert guess.answer is None
    assert "How many &lt;wait&gt;?" in shown(guess)


def test_one_of_several_answers_is_chosen(path):
    guess = Prediction("What happens?", ["it hangs", "an error"], path=path)
    assert guess._field.value is None
    type_in(guess, "it hangs")
    assert guess.answer == "it hangs"
    with pytest.raises(ConfigurationError, match="it hangs, an error"):
        guess.keep("nothing")


@pytest.mark.parametrize("given", [(" ", ()), ("Which?", ["only one"])])
def test_a_question_that_is_none_is_refused(path, given):
    with pytest.raises(ConfigurationError):
        Prediction(*given, path=path)


def test_a_page_without_a_kernel_has_the_question_as_a_text(path):
    bundle = Prediction("How many wait?", path=path)._repr_mimebundle_()
    assert "How many wait?" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_a_page_without_a_kernel_has_what_was_predicted(path):
    guess = Prediction("What happens?", ["it hangs", "an error"], path=path)
    before = guess._repr_mimebundle_()["text/html"]
    assert "<li>an error</li>" in before
    assert "No prediction was written down." in before
    guess.keep("it hangs")
    assert "You expect <strong>it hangs</strong>" in guess._repr_mimebundle_()["text/html"]


def test_marimo_shows_the_question_as_a_text(path):
    kind, text = Prediction("How many <wait>?", path=path)._mime_()
    assert (kind, type(text)) == ("text/html", str)
    assert "How many &lt;wait&gt;?" in text


def test_a_cell_shows_it_as_a_text_too_which_has_the_new_answer(path, monkeypatch):
    texts = []
    monkeypatch.setattr(WidgetDisplay, "show", lambda self, widget, still, text: texts.append((widget, still, text)))
    monkeypatch.setattr(WidgetDisplay, "update", lambda self, still, text: texts.append((None, still, text)))
    guess = Prediction("How many wait?", path=path)
    guess._ipython_display_()
    type_in(guess, "3")
    (_, first, _), (widget, shown, text), (_, after, said) = texts
    assert widget is guess.widget
    assert shown == first
    assert text == "<Prediction 'How many wait?': not made>"
    assert "You expect <strong>3</strong>" in after
    assert said == "<Prediction 'How many wait?': 3.0>"
