"""How long a runtime stays at its line: it may wait there, or pass it again and again."""

from __future__ import annotations

from ...debugger import Whereabouts
from .source import is_own

__all__ = ["Stay"]

LONG = 1.0  # real seconds after which a stay is a stay, however often the line was passed before
MOST = 100  # lines of an activity that are remembered

Lines = tuple[tuple[str, int], ...]


class Stay:
    """What has been seen of the place of the current activity, look by look."""

    def __init__(self) -> None:
        self.activity: int | None = None
        self.wait: tuple[Lines, int] | None = None  # the lines of the user's functions, and what the last one awaits
        self.since = 0.0
        self.passed: set[Lines] = set()  # lines at which it has been seen in another wait

    def look(self, found: Whereabouts, second: float) -> float | None:
        """Look again.

        Args:
            found: Where it is.
            second: A real second on the agents' clock.

        Returns:
            For how many seconds it has been seen in this wait; None if it comes back there again and again.
        """
        own = [frame for frame in found.frames if is_own(frame)]
        lines = tuple((frame.file, frame.line) for frame in own)
        activity = None if found.activity is None else found.activity.id
        wait = (lines, own[-1].awaits if own else 0)
        if activity != self.activity:
            self.activity, self.wait, self.since = activity, wait, found.at
            self.passed.clear()
        elif wait != self.wait:
            if self.wait is not None and len(self.passed) < MOST:
                self.passed.add(self.wait[0])
            self.wait, self.since = wait, found.at
        stayed = found.at - self.since
        return None if lines in self.passed and stayed < LONG * second else stayed
