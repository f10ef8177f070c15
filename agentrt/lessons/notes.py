"""What a learner has predicted, in a file beside the notebook, so that it is there after the kernel was restarted."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from ..logs import log_safely
from .prediction_result import Answer

__all__ = ["Notes"]

logger = logging.getLogger(__name__)
FILE = "predictions.json"


class Notes:
    """A small file of questions and answers.

    Args:
        path: The file; it is made when the first answer is kept.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     notes = Notes(pathlib.Path(folder) / "predictions.json")
    ...     notes.keep("How many?", 12)
    ...     notes.find("How many?")
    12
    """

    def __init__(self, path: str | os.PathLike[str] = FILE) -> None:
        self.path = Path(path)

    def find(self, question: str) -> Answer | None:
        """Return what was answered, or None."""
        return self._read().get(question)

    def keep(self, question: str, answer: Answer | None) -> None:
        """Write an answer down; None takes it out.

        Raises:
            OSError: The file can't be written.
        """
        answers = self._read()
        if answer is None:
            answers.pop(question, None)
        else:
            answers[question] = answer
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(json.dumps(answers, indent=1, ensure_ascii=False), encoding="utf-8")
        new.replace(self.path)

    def _read(self) -> dict[str, Answer]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            note = "%s can't be read, so what was predicted earlier is not known"
            log_safely(logger, note, self.path, error=error, level=logging.WARNING)
            return {}
        return found if isinstance(found, dict) else {}
