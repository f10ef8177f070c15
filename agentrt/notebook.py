"""In a notebook: how a cell shows a handle, is interrupted, or blocks. The only module that uses nest_asyncio."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .engine.loop_thread import running_loop
from .errors import MissingPackageError
from .magic import add_magic
from .optional import explain_missing

__all__ = ["displayable", "mime_bundle", "prepare_shell", "run_within", "wake_loop_on_signals"]

T = TypeVar("T")


def run_within(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Block until a coroutine is done on a loop that is running already; only for `loop="current"`.

    From then on tasks are slower on that loop, and nested calls return last in, first out. A manager with a thread of
    its own does not need it.
    """
    with explain_missing("to block on a loop that runs already needs"):
        import nest_asyncio

    nest_asyncio.apply(loop)
    return loop.run_until_complete(work)


def wake_loop_on_signals() -> None:
    """Let the stop button interrupt a cell that awaits.

    ipykernel schedules the interruption on its loop, but does not wake the loop, so that the cell runs on until
    something else wakes it (ipykernel issue 881). A loop that handles any signal is woken by every signal.
    """
    loop = running_loop()
    if loop is None or threading.current_thread() is not threading.main_thread():
        return
    with suppress(NotImplementedError, AttributeError):  # Windows, and loops that have no signals
        loop.add_signal_handler(signal.SIGURG, int)


def prepare_shell() -> None:
    """Have `%agentrt` work in the notebook that runs here."""
    shell = sys.modules["IPython"].get_ipython()
    if hasattr(shell, "register_magic_function"):
        add_magic(shell)


def mime_bundle(item: Any, include: Any = None, exclude: Any = None) -> Any:
    """Return what IPython shows for a runtime or a manager: a live view, or a static picture and a text.

    Where the views can't be imported: a text that says what is missing.
    """
    try:
        with explain_missing("its view needs"):
            from .views.notebook.card import repr_mimebundle
    except MissingPackageError as error:
        return {"text/plain": f"{item!r}\n({error})"}
    return repr_mimebundle(item, include, exclude)


def displayable(item: Any) -> Any:
    """Return what marimo shows for a runtime or a manager: a live view, or a text that says what is missing."""
    try:
        with explain_missing("its view needs"):
            from .views.notebook.card import display
    except MissingPackageError as error:
        return f"{item!r}\n({error})"
    return display(item)
