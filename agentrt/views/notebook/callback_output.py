"""What the callback of a button prints, kept apart by thread: what cells print meanwhile stays under them."""

from __future__ import annotations

import sys
import threading
from io import StringIO
from typing import Any

import pyviz_comms

__all__ = ["CallbackOutput", "replace_stdout_capture"]

_captures: dict[int, list[StringIO]] = {}  # by thread; only that thread changes its list


class Router:
    """A `sys.stdout` that writes to the capture of the calling thread, where it has one."""

    def __init__(self, stdout: Any) -> None:
        self.stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stdout, name)

    def write(self, text: str) -> Any:
        """Write where this thread writes."""
        captures = _captures.get(threading.get_ident())
        return (captures[-1] if captures else self.stdout).write(text)


class CallbackOutput(list[str]):
    """The lines that a block prints in its own thread.

    Panel's own one replaces `sys.stdout` for all threads. Jupyter runs the callbacks of two views on two threads: when
    they overlap, the first one's replacement stays, and nothing that any cell prints is seen again.
    """

    def __enter__(self) -> CallbackOutput:
        if not isinstance(sys.stdout, Router):
            sys.stdout = Router(sys.stdout)
        self._text = StringIO()
        _captures.setdefault(threading.get_ident(), []).append(self._text)
        return self

    def __exit__(self, *args: object) -> None:
        captures = _captures[threading.get_ident()]
        captures.remove(self._text)
        if not captures:
            del _captures[threading.get_ident()]
        self.extend(self._text.getvalue().splitlines())


def replace_stdout_capture() -> None:
    """Let Panel use `CallbackOutput` for every callback."""
    pyviz_comms.StandardOutput = CallbackOutput
