"""The messages that Panel writes to a page: none is left behind."""

from __future__ import annotations

from typing import Any

from panel.io import document

__all__ = ["write_all_messages"]

_panels_own = document._dispatch_msgs


async def _write_messages(doc: Any) -> None:
    """Write what waits to be written to the pages of a session.

    Panel starts a task of this for each message, and a mark says that there are some. The task of an earlier message
    takes the mark away as soon as its own is written. A task that begins right after that finds no mark, and leaves its
    message where it is until something else is written: on a quiet page for ever.
    """
    document._WRITE_BLOCK[doc] = True  # where nothing waits, Panel takes it away again
    await _panels_own(doc)


def write_all_messages() -> None:
    """Have Panel write each message that it is given. Once for a process; again does nothing."""
    document._dispatch_msgs = _write_messages
