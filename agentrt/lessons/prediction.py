"""A prediction: a question that is answered before a run, and shown beside what happened."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import ipywidgets as ipw

from ..errors import ConfigurationError
from ..schema.numbers import number, refuse
from ..views.html import bullets, p, strong
from ..views.notebook.widget_display import WidgetDisplay
from .box import frame_box
from .notes import FILE, Notes
from .prediction_result import Answer, PredictionResult, describe_answer

__all__ = ["Prediction"]

NO_ANSWER = p("No prediction was written down.")


class Prediction:
    """A question with a field for the answer. What is answered is kept in a file, and can be taken back.

    As the last expression of a cell it shows the question. Nothing depends on an answer: a lesson runs from top to
    bottom without one.

    Args:
        question: What to expect; it is also the name under which the answer is kept.
        choices: The answers to choose from; without them a number is asked for.
        unit: What the number counts, in the plural.
        path: The file that keeps the answers.

    Attributes:
        widget: What a cell shows; also to be put into a layout of ipywidgets.

    Raises:
        ConfigurationError: The question is empty, or there is only one choice.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     guess = Prediction("How many wait?", unit="letters", path=pathlib.Path(folder) / "predictions.json")
    ...     guess.keep(3)
    ...     guess.beside(4)
    <you expected 3 letters, it was 4 letters: off by 25 %>
    """

    def __init__(
        self, question: str, choices: Sequence[str] = (), unit: str = "", path: str | os.PathLike[str] = FILE
    ) -> None:
        if not question.strip():
            raise ConfigurationError("a prediction needs a question")
        if len(choices) == 1:
            raise refuse("choices", list(choices), "at least two answers, or none for a number")
        self.question = question
        self.choices = tuple(choices)
        self.unit = unit
        self._notes = Notes(path)
        self._display = WidgetDisplay()
        self._text = ipw.HTML()
        self._field = self._make_field()
        self._keep = ipw.Button(description="Keep", icon="check", button_style="primary", tooltip="keep my prediction")
        self._keep.on_click(self._take_typed_text)
        self._undo = ipw.Button(description="Change", icon="undo", tooltip="take my prediction back")
        self._undo.on_click(lambda button: self.keep(None))
        self._row = ipw.HBox(layout=ipw.Layout(flex_flow="row wrap", align_items="center"))
        self.widget = ipw.VBox([self._text, self._row])
        self._draw()

    def _make_field(self) -> Any:
        if self.choices:
            wide = ipw.Layout(width="max-content", max_width="100%")
            return ipw.RadioButtons(options=self.choices, index=None, layout=wide)
        return ipw.Text(placeholder="a number", layout=ipw.Layout(width="10em"))

    @property
    def answer(self) -> Answer | None:
        """What was predicted, or None."""
        return self._notes.find(self.question)

    def keep(self, answer: Answer | None) -> None:
        """Keep an answer; None takes it back.

        Raises:
            ConfigurationError: It is none of the choices, or no number.
        """
        if answer is not None and self.choices and answer not in self.choices:
            raise refuse("answer", answer, f"one of {', '.join(self.choices)}")
        if answer is not None and not self.choices:
            answer = number("answer", answer, "a number", -math.inf)
        self._notes.keep(self.question, answer)
        self._draw()

    def _take_typed_text(self, button: object) -> None:
        typed = self._field.value
        if typed in (None, ""):
            return
        try:
            self.keep(typed if self.choices else float(typed.replace(",", "")))
        except ValueError:  # a ConfigurationError is one too
            self._draw(f"{typed!r} is not a number: write it with digits, such as 12 or 0.5")

    def _draw(self, problem: str = "") -> None:
        answer = self.answer
        expects = None if answer is None else p("You expect ", strong(describe_answer(answer, self.unit)), ".")
        hint = p(problem) if problem else None
        question = p(strong("Before you run it: "), self.question)
        self._text.value = frame_box(question, expects, hint)
        self._still = frame_box(question, bullets(self.choices) if self.choices else None, expects or NO_ANSWER)
        self._display.update(self._still, repr(self))
        unit = [ipw.Label(self.unit)] if self.unit and not self.choices else []
        self._row.children = [self._field, *unit, self._keep] if answer is None else [self._undo]

    def beside(self, happened: Answer) -> PredictionResult:
        """What was predicted, beside what happened.

        Args:
            happened: What was measured or seen: a number, or one of the choices.
        """
        return PredictionResult(self.answer, happened, self.unit)

    def __repr__(self) -> str:
        return f"<Prediction {self.question!r}: {self.answer if self.answer is not None else 'not made'}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and the question as a text for a page without a kernel."""
        return {**self.widget._repr_mimebundle_(**options), "text/html": str(self._still), "text/plain": repr(self)}

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which has no ipywidgets: the question as a text."""
        return "text/html", str(self._still)

    def _ipython_display_(self) -> None:
        """What IPython calls for the last expression of a cell."""
        self._display.show(self.widget, self._still, repr(self))
