"""Open a lesson in JupyterLab."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import MissingPackageError
from .catalogue import Lesson

__all__ = ["open_lesson"]


def open_lesson(lesson: Lesson, folder: Path, browser: bool = True) -> int:
    """Copy a lesson into a folder and open it in JupyterLab, until that ends.

    Args:
        lesson: Which one.
        folder: Where the copy lies. One that is there already is opened as it is.
        browser: Whether to open a browser; else the link is only printed.

    Returns:
        The exit code of JupyterLab.

    Raises:
        MissingPackageError: JupyterLab is not installed.
        OSError: The folder can't be written.
    """
    if find_spec("jupyterlab") is None:
        raise MissingPackageError(
            "opening a lesson needs jupyterlab, which is not installed: pip install jupyterlab, "
            f"or open {lesson.path} with what you have"
        )
    copy = lesson.copy(folder)
    print(f"Lesson {lesson.number}, {lesson.title}: {copy}", flush=True)
    # Given as a file, JupyterLab would open it only in a browser that it starts, and print a link to nothing.
    options = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{copy.name}"]
    options += [] if browser else ["--no-browser"]
    with subprocess.Popen([sys.executable, "-m", "jupyterlab", *options]) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has sent it to JupyterLab as well, which asks and ends by itself
            return process.wait()
