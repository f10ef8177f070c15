"""An exercise of a lesson: a task, a check that says what is still wrong, and a hint that unfolds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import describe_error
from ..views.html import details, p, strong, summary
from .box import GOOD, OPEN, frame_box, show_code

__all__ = ["Assessment", "Exercise"]


class Assessment(NamedTuple):
    """What a check says of an answer.

    Args:
        passed: Whether the answer does what the task asks for.
        words: Why, or what is still wrong.
    """

    passed: bool
    words: str

    def __repr__(self) -> str:
        return f"<{'done' if self.passed else 'not yet'}: {self.words}>"

    def _repr_html_(self) -> str:
        glyph, word, tone = ("√", "Done", GOOD) if self.passed else ("…", "Not yet", OPEN)
        return frame_box(p(strong(f"{glyph} {word}: "), show_code(self.words)), tone=tone)


class Exercise:
    """A task for the one who learns. As the last expression of a cell it shows the task, with its hint folded.

    Args:
        task: What to do, in a sentence or two.
        check: Takes the answer, and returns what is still wrong with it, or None. What it raises is what is wrong.
        hint: What helps.
        praise: What is said of an answer that does it.

    >>> Exercise("Give an even number.", lambda number: "it is odd" if number % 2 else None).check(3)
    <not yet: it is odd>
    """

    def __init__(
        self, task: str, check: Callable[[Any], str | None], hint: str = "", praise: str = "it does what was asked for"
    ) -> None:
        self.task = task
        self.hint = hint
        self._check = check
        self._praise = praise

    def check(self, answer: Any) -> Assessment:
        """Try an answer. Any thread; what the answer raises is told, not raised.

        Args:
            answer: What the task asks for: a number, a function, a workflow.

        Returns:
            Whether it does what was asked for, and what is still wrong.
        """
        try:
            problem = self._check(answer)
        except Exception as error:
            problem = f"it raised {describe_error(error)}"
        return Assessment(problem is None, self._praise if problem is None else problem)

    def __repr__(self) -> str:
        return f"<Exercise: {self.task}>"

    def _repr_html_(self) -> str:
        hint = details(summary("A hint"), p(show_code(self.hint))) if self.hint else None
        return frame_box(p(strong("Your turn. "), show_code(self.task)), hint)
