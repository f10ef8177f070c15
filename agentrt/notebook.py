"""In a notebook: showing a runtime or a manager, and a blocking call in a cell. The only place of nest_asyncio."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from .engine.loop_thread import running_loop

__all__ = ["block", "hear_stop", "show"]

T = TypeVar("T")


def block(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run to completion on a loop that is running already: only for `loop="current"`, and only when asked for.

    It makes tasks slower and nested waits end last-in-first-out; a manager on its own thread needs none of it.
    """
    import nest_asyncio

    nest_asyncio.apply(loop)
    return loop.run_until_complete(work)


def hear_stop() -> None:
    """Let the stop button end a cell that awaits.

    ipykernel leaves word of the signal in its loop, but does not wake it, and the cell goes on until something else
    does (its issue 881). A loop that handles some signal is woken by every signal.
    """
    loop = running_loop()
    if loop is None or threading.current_thread() is not threading.main_thread():
        return
    with suppress(NotImplementedError, AttributeError):  # Windows, and loops that have no signals
        loop.add_signal_handler(signal.SIGURG, int)


def show(item: Any, include: Any = None, exclude: Any = None) -> Any:
    """The mime bundle of a runtime or a manager: a live view, or a picture and text where live is not to be had."""
    from .views.notebook.card import repr_mimebundle

    return repr_mimebundle(item, include, exclude)
