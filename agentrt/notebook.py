"""In a notebook: showing a runtime or a manager, and a blocking call in a cell. The only place of nest_asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["block", "show"]

T = TypeVar("T")


def block(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run to completion on a loop that is running already: only for `loop="current"`, and only when asked for.

    It makes tasks slower and nested waits end last-in-first-out; a manager on its own thread needs none of it.
    """
    import nest_asyncio

    nest_asyncio.apply(loop)
    return loop.run_until_complete(work)


def show(item: Any, include: Any = None, exclude: Any = None) -> Any:
    """The mime bundle of a runtime or a manager: a live view, or a picture and text where live is not to be had."""
    from .views.card import repr_mimebundle

    return repr_mimebundle(item, include, exclude)
