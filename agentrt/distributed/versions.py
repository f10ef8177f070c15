"""Versions: all processes of a cluster run the same Python and agentrt, as they send each other objects."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import NamedTuple

from ..errors import ConfigurationError

__all__ = ["Versions", "check_versions", "read_versions"]


class Versions(NamedTuple):
    """What a process runs."""

    python: str
    agentrt: str

    def __str__(self) -> str:
        return f"Python {self.python} with agentrt {self.agentrt}"


def read_versions() -> Versions:
    """What this process runs."""
    return Versions(f"{sys.version_info.major}.{sys.version_info.minor}", version("agentrt"))


def check_versions(nodes: Mapping[str, Versions]) -> None:
    """Raise `ConfigurationError` if a node does not run what this process does.

    Args:
        nodes: What each node runs, by its name.
    """
    own = read_versions()
    others = [f"{node} {found}" for node, found in nodes.items() if found != own]
    if others:
        raise ConfigurationError(
            f"this process runs {own}, and {'; '.join(others)}: what they send each other can't be read everywhere. "
            "Use the same versions on all machines"
        )
