"""The lessons: notebooks with a number and a name, which are copied to where somebody works on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigurationError

__all__ = ["Lesson", "find_lesson", "lessons"]

# In a wheel they lie beside this file, in the repository beside the package.
FOLDERS = (Path(__file__).parent / "notebooks", Path(__file__).parents[2] / "notebooks")


class Lesson(NamedTuple):
    """One lesson.

    Args:
        number: Its place among the lessons, from 1.
        name: What it is called on the command line.
        title: Its heading.
        path: The notebook that agentrt has; see `copy`.
    """

    number: int
    name: str
    title: str
    path: Path

    def copy(self, folder: Path) -> Path:
        """Copy the notebook into a folder. One that is there already, with what was done in it, stays as it is.

        Raises:
            OSError: The folder can't be written.
        """
        target = folder / self.path.name
        if not target.exists():
            shutil.copyfile(self.path, target)
        return target


def lessons() -> list[Lesson]:
    """All lessons, in their order.

    >>> lessons()[0].title
    'Your first agent'
    """
    folder = next((folder for folder in FOLDERS if folder.is_dir()), None)
    return [] if folder is None else [_read_lesson(path) for path in sorted(folder.glob("[0-9]*.ipynb"))]


def _read_lesson(path: Path) -> Lesson:
    number, _, name = path.stem.partition("_")
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    return Lesson(int(number), name, first.partition("\n")[0].lstrip("# "), path)


def find_lesson(wanted: str) -> Lesson:
    """Return a lesson by its number or by the beginning of its name.

    Raises:
        ConfigurationError: None or several are called that; the message lists what there is.

    >>> find_lesson("1").name, find_lesson("first").number
    ('first_agent', 1)
    """
    there = lessons()
    key = wanted.strip().lower().replace(" ", "_").replace("-", "_")
    found = [lesson for lesson in there if str(lesson.number) == key.lstrip("0") or lesson.name.startswith(key)]
    if len(found) != 1 or not key:
        names = ", ".join(f"{lesson.number} {lesson.name}" for lesson in found or there)
        raise ConfigurationError(f"there is no single lesson {wanted!r}; choose one of {names}")
    return found[0]
