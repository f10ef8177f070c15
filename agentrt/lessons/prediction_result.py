"""What was expected beside what happened."""

from __future__ import annotations

from typing import NamedTuple

from ..views.html import Content, Markup, div, p, span, strong
from .box import frame_box

__all__ = ["Answer", "PredictionResult"]

Answer = float | str
EXPECTED, HAPPENED = "#8A94A6", "#0072B2"
LONGEST_BAR = 60  # per cent of the line


class PredictionResult(NamedTuple):
    """What somebody expected, and what happened.

    Args:
        expected: The prediction; None where nobody made one.
        happened: What was measured or seen.
        unit: What a number counts.

    >>> PredictionResult(40, 50, "letters")
    <you expected 40 letters, it was 50 letters: off by 20 %>
    """

    expected: Answer | None
    happened: Answer
    unit: str = ""

    def __repr__(self) -> str:
        return f"<{self._sentence()}>"

    def _sentence(self) -> str:
        happened = describe_answer(self.happened, self.unit)
        if self.expected is None:
            return f"you wrote down no prediction, it was {happened}"
        return f"you expected {describe_answer(self.expected, self.unit)}, it was {happened}: {self.verdict()}"

    def verdict(self) -> str:
        """How near the prediction came, in words."""
        if self.expected == self.happened:
            return "as you expected"
        if isinstance(self.expected, str) or isinstance(self.happened, str) or self.expected is None:
            return "not what you expected"
        if not self.happened:
            return f"off by {describe_answer(abs(self.expected), self.unit)}"
        return f"off by {abs(self.expected - self.happened) / abs(self.happened):.0%}".replace("%", " %")

    def _repr_html_(self) -> str:
        if self.expected is None:
            return frame_box(
                p("You wrote down no prediction. It was ", strong(describe_answer(self.happened, self.unit)), ".")
            )
        return frame_box(
            self._line("you expected", self.expected, EXPECTED),
            self._line("it was", self.happened, HAPPENED),
            p(self.verdict().capitalize(), "."),
        )

    def _line(self, words: str, answer: Answer, tone: str) -> Markup:
        parts: list[Content] = [span(words, style="display:inline-block;width:8em")]
        if not isinstance(self.expected, str) and not isinstance(self.happened, str):
            longest = max(abs(self.expected or 0), abs(self.happened)) or 1
            width = LONGEST_BAR * abs(float(answer)) / longest
            style = f"display:inline-block;height:1em;width:{width:.1f}%;background:{tone};vertical-align:-.1em"
            parts += [span(style=style), " "]
        return div(*parts, strong(describe_answer(answer, self.unit)), style="margin:4px 0")


def describe_answer(answer: Answer, unit: str) -> str:
    """A number with its unit, or the words of a choice.

    >>> describe_answer(12345.678, "letters")
    '12,346 letters'
    >>> describe_answer(1, "letters"), describe_answer(72.7, "%")
    ('1 letter', '72.7 %')
    """
    if isinstance(answer, str):
        return answer
    digits = 0 if abs(answer) >= 100 or float(answer).is_integer() else 2
    number = f"{answer:,.{digits}f}"
    if digits and abs(answer) >= 0.01:
        number = number.rstrip("0")
    return f"{number} {unit.removesuffix('s') if number == '1' else unit}".rstrip()
