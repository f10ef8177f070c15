"""Where the code of an activity is, and a debugger for workflows: breakpoints, steps, expressions, another try."""

from __future__ import annotations

from .breakpoint import Breakpoint
from .breakpoints import Breakpoints, breakpoints
from .place import WAITS, How, Wait, Whereabouts, where, whereabouts
from .stop import Stop, StopKind

__all__ = [
    "WAITS", "Breakpoint", "Breakpoints", "How", "Stop", "StopKind", "Wait", "Whereabouts", "breakpoints", "where",
    "whereabouts",
]  # fmt: skip
