"""Either core in one process: functions that have a twin are put in place of each other."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import agentrt
from agentrt import manager
from agentrt.engine import loop_host
from agentrt.engine.core import PURE
from agentrt.engine.entry import RuntimeEntry

OWNERS: tuple[Any, ...] = (RuntimeEntry, loop_host.LoopHost, loop_host, manager)


def core_is_built() -> bool:
    """Whether the compiled core is there, whichever one runs."""
    folder = Path(agentrt.__file__).parent / "engine"
    return any(path.suffix in (".so", ".pyd") for path in folder.glob("_core.*"))


needs_core = pytest.mark.skipif(
    not core_is_built(), reason="the compiled core is not built here: python hatch_build.py"
)
BOTH = ("pure", pytest.param("compiled", marks=needs_core))


@contextmanager
def core(name: str) -> Iterator[None]:
    """Have the core of this name run in here."""
    functions = PURE if name == "pure" else vars(importlib.import_module("agentrt.engine._core"))
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
