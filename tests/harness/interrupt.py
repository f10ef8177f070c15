"""An exception from outside, as a signal handler or another thread may raise it, anywhere in the core.

CPython looks for one after each call, at each jump back and on entry to a function (`CHECK_EVAL_BREAKER`): those are
the bytecodes at which it is raised here. Between them, for instance in the exit of a `with`, none can come.
"""

from __future__ import annotations

import concurrent.futures._base
import dis
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import count, pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import agentrt

PACKAGE = str(Path(agentrt.__file__).parent)
MODULES = ("receipt", "events", "runtime", "manager", "runtime_map", "groups", "dead_letters", "snapshot")
PLACES = tuple(f"{PACKAGE}/{place}" for place in ("engine/", *(f"{module}.py" for module in MODULES)))
LIBRARY = (threading.__file__, concurrent.futures._base.__file__)  # of Python's own: what threads wait with


class Interrupted(BaseException):
    """What is raised."""


@cache
def checkpoints(code: CodeType) -> frozenset[int]:
    """The offsets of the instructions before which an exception from outside may come."""
    instructions = list(dis.get_instructions(code))
    checked = ("CALL", "JUMP_BACKWARD", "RESUME")
    # It is raised before the next instruction, where it would have come at the end of this one: only the same if both
    # have the same handler. What differs (a call as the last thing in a `with`) is left to the test with real signals.
    handlers = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    handler = {i.offset: next((e.target for e in handlers if e.start <= i.offset < e.end), None) for i in instructions}
    following = {a.offset: a.argval if a.opname.startswith("JUMP") else b.offset for a, b in pairwise(instructions)}
    return frozenset(
        following[a.offset]
        for a, _ in pairwise(instructions)
        if a.opname.startswith(checked) and handler[a.offset] == handler[following[a.offset]]
    )


class Interruption:
    """Raises once, at place number `at` that the traced thread passes in the core; says whether and where it did.

    Args:
        at: The number of the place, from 1 on.
        places: How the names of the files begin that have places; those of the core.
    """

    def __init__(self, at: int, places: tuple[str, ...] = PLACES) -> None:
        self.at = at
        self.places = places
        self.seen = 0
        self.where: str | None = None

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        """For `sys.settrace`."""
        if self.where is not None or not frame.f_code.co_filename.startswith(self.places):
            return None
        if frame.f_trace is None:  # Python 3.13 wants the function before the flags
            frame.f_trace = self.trace
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and frame.f_lasti in checkpoints(frame.f_code):
            self.seen += 1
            if self.seen == self.at:
                self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}, bytecode {frame.f_lasti}"
                raise Interrupted(self.where)
        return self.trace

    @contextmanager
    def here(self) -> Iterator[Interruption]:
        """Trace this thread; what is raised is caught."""
        before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # since Python 3.12 no frame is traced by opcode unless one was before
        sys.settrace(self.trace)
        try:
            yield self
        except Interrupted:
            pass
        finally:
            sys.settrace(before)


def everywhere(most: int = 100_000, places: tuple[str, ...] = PLACES) -> Iterator[Interruption]:
    """Interruptions at the first bytecode, the second and so on, until one finds nothing left to interrupt."""
    for at in count(1):
        interruption = Interruption(at, places)
        yield interruption
        if interruption.where is None:
            assert at > 5, "nothing was traced"
            return
        assert at < most


def is_free(lock: AbstractContextManager[Any], seconds: float = 10) -> bool:
    """Whether another thread can take a lock within these seconds; it gives it back."""
    taken = threading.Event()

    def take() -> None:
        with lock:
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    return taken.wait(seconds)
