"""What `create` says about the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

__all__ = ["Durability", "Upgrade"]

Upgrade = Callable[[Any, int], Any] | Mapping[int, Callable[[Any], Any]]


class Durability(msgspec.Struct, frozen=True):
    """What `create` says about the journal; see there."""

    resume: bool = True
    version: int = 1
    upgrade: Upgrade | None = None
