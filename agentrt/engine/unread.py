"""Records that nobody has read yet: the compiled core keeps them in a form of its own until somebody does."""

from __future__ import annotations

from typing import Any

from ..events import held_parts
from .core import twin

__all__ = ["held_by", "read_records"]


@twin
def read_records(records: list[Any]) -> list[Any]:
    """Replace in a list what is no record yet by the record that it stands for, and return the list.

    The core in Python makes each record when it happens: there is nothing to replace.
    """
    return records


@twin
def held_by(records: list[Any]) -> list[Any]:
    """What records keep alive that is not their own, of those that nobody has read too."""
    return held_parts(records)
