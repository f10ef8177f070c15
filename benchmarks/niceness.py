"""The priority of other processes: what `nice` means is not the same everywhere."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["make_nice"]


def make_nice(pid: int, niceness: int) -> None:
    """Give a process and its descendants this niceness, against all others.

    Linux compares the niceness of two processes only within one session, and gives each session an equal share
    (`sched_autogroup`): a browser with a session of its own takes half of the machine, whatever its niceness is.
    """
    with suppress(psutil.Error):  # it has ended
        _make_all_nice([psutil.Process(pid), *psutil.Process(pid).children(recursive=True)], niceness)


def _make_all_nice(processes: list[psutil.Process], niceness: int) -> None:
    for process in processes:
        with suppress(psutil.Error, OSError):
            process.nice(niceness)
            if os.getsid(process.pid) != os.getsid(0):
                Path(f"/proc/{process.pid}/autogroup").write_text(str(niceness))
