"""Either core in one process: functions that have a twin are put in place of each other."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentrt import manager
from agentrt.engine import loop_host
from agentrt.engine.core import NAME, PURE, _check_fit
from agentrt.engine.entry import RuntimeEntry

OWNERS: tuple[Any, ...] = (RuntimeEntry, loop_host.LoopHost, loop_host, manager)


def core_is_built() -> bool:
    """Whether the compiled core is there and not an old one, whichever runs."""
    spec = importlib.util.find_spec(NAME)
    if spec is None or spec.origin is None:
        return False
    try:
        _check_fit(Path(spec.origin))
    except ImportError:
        return False
    return True


needs_core = pytest.mark.skipif(
    not core_is_built(), reason="the compiled core is not built here: python hatch_build.py"
)
BOTH = ("pure", pytest.param("compiled", marks=needs_core))


@contextmanager
def core(name: str) -> Iterator[None]:
    """Have the core of this name run in here."""
    functions = PURE if name == "pure" else vars(importlib.import_module(NAME))
    swapped = [(owner, each) for each in PURE for owner in OWNERS if each in vars(owner)]
    assert len(swapped) == len(PURE)
    originals = [vars(owner)[each] for owner, each in swapped]
    try:
        for owner, each in swapped:
            setattr(owner, each, functions[each])
        yield
    finally:
        for (owner, each), original in zip(swapped, originals, strict=True):
            setattr(owner, each, original)
