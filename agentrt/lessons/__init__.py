"""What the lessons are made of: a prediction to make before a run, and an exercise with a check and a hint.

They work without ipywidgets too: `Prediction` is the only one that needs it, and is imported when it is asked for.

>>> from agentrt.lessons import Exercise
>>> double = Exercise("Write a function that doubles.", lambda f: None if f(2) == 4 else "2 became something else")
>>> double.check(lambda number: number + 1)
<not yet: 2 became something else>
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalogue import Lesson, find_lesson, lessons
from .exercise import Assessment, Exercise
from .prediction_result import PredictionResult

if TYPE_CHECKING:
    from .prediction import Prediction

__all__ = ["Assessment", "Exercise", "Lesson", "Prediction", "PredictionResult", "find_lesson", "lessons"]


def __getattr__(name: str) -> object:
    if name == "Prediction":
        from ..optional import explain_missing

        with explain_missing("a prediction needs"):
            from .prediction import Prediction
        return Prediction
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
