"""Which core runs: the one compiled from `_core.pyx` where this installation has it, else the one in Python.

AGENTRT_PURE=1 has the one in Python run everywhere. With AGENTRT_COMPILED=1 it is an error if the other can't run.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

__all__ = ["PURE", "core_name", "twin"]

F = TypeVar("F", bound=Callable[..., Any])
NAME = f"{__package__}._core"

PURE: dict[str, Callable[..., Any]] = {}  # the functions that have a twin, by name: it calls them for what is rare


def core_name() -> str:
    """Which core runs: "compiled", or "pure" for the one in Python."""
    return "pure" if _compiled_core() is None else "compiled"


def twin(function: F) -> F:
    """Return the function of the same name in the compiled core, where that runs; else the function itself.

    Raises:
        ImportError: AGENTRT_COMPILED=1 asks for the compiled core, and it can't run.
    """
    PURE[function.__name__] = function
    compiled = _compiled_core()
    chosen: F = function if compiled is None else getattr(compiled, function.__name__)
    return chosen


@cache
def _compiled_core() -> ModuleType | None:
    """The compiled core, imported at the first call; None where the core in Python runs."""
    if os.environ.get("AGENTRT_PURE") == "1":
        return None
    must = os.environ.get("AGENTRT_COMPILED") == "1"
    spec = find_spec(NAME)
    if spec is None or spec.origin is None:
        if must:
            raise ImportError(
                "AGENTRT_COMPILED=1 asks for the compiled core, and this installation has none: install agentrt again "
                "where there is a C compiler, or unset it"
            )
        return None
    try:
        _check_fit(Path(spec.origin))
        return import_module(NAME)
    except Exception as error:  # whatever is wrong with it, the core in Python runs
        if must:
            raise
        warnings.warn(f"the compiled core is not used, the one in Python runs: {error}", RuntimeWarning, stacklevel=3)
        return None


def _check_fit(built: Path) -> None:
    """Raise ImportError for what would go wrong only later: another source, a Python without the interpreter's lock."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise ImportError("it needs the lock of the interpreter (GIL), which this free-threaded Python does without")
    sources = sorted(built.parent.glob("_*.p[xy][ix]"))
    checksum = sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()  # hatch_build.py has it compiled in
    if sources and checksum.encode() not in built.read_bytes():  # an installation may leave out the sources
        raise ImportError(f"{built.name} was compiled from another source than lies beside it: run `pip install -e .`")
