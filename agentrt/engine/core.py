"""Which core runs: the one in Python or, where AGENTRT_COMPILED=1 asks for it, the one compiled from `_core.pyx`.

Without that variable the core in Python runs everywhere, so that a machine with a C compiler does what any other does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

__all__ = ["CORE", "PURE", "twin"]

F = TypeVar("F", bound=Callable[..., Any])


# AGENTRT_PURE=1 has the last word.
_is_asked_for = os.environ.get("AGENTRT_COMPILED") == "1" and os.environ.get("AGENTRT_PURE") != "1"
CORE = "compiled" if _is_asked_for else "pure"


PURE: dict[str, Callable[..., Any]] = {}  # the functions that have a twin, by name: it calls them for what is rare


def twin(function: F) -> F:
    """Return the function of the same name in the compiled core, where that runs; else the function itself.

    Raises:
        ImportError: The compiled core is asked for and there is none.
    """
    chosen: F = function if CORE == "pure" else getattr(_load(), function.__name__)
    PURE[function.__name__] = function
    return chosen


def _load() -> Any:
    name = f"{__package__}._core"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(
            "AGENTRT_COMPILED=1 asks for the compiled core, and this installation has none: install agentrt again "
            "where there is a C compiler, or unset it"
        ) from error
