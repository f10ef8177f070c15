"""The work, the same for every peer: a small immutable message, an int as the state, one addition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

STANDARD, URGENT = 1, 0


class StructMessage(msgspec.Struct, frozen=True, gc=False):
    id: int
    payload: int
    lane: str = "standard"
    created: float = 0.0


@dataclass(frozen=True)
class DataMessage:
    id: int
    payload: int
    lane: str = "standard"
    created: float = 0.0


class Kind(NamedTuple):
    """A kind of message; `make(id, payload)` makes one."""

    name: str
    make: Callable[[int, int], Any]


SENDERS = 100  # of what is durable
STRUCT = Kind("struct", StructMessage)
DATACLASS = Kind("dataclass", DataMessage)
KINDS = (STRUCT, DATACLASS)


async def add(activity: Any, state: int) -> int:
    return state + activity.payload


async def add_inner(activity: Any, state: int) -> int:
    """As `add`, for a message that is the payload of an activity."""
    return state + activity.payload.payload


async def pause_and_add(activity: Any, state: int) -> int:
    """As `add`, but it suspends once."""
    await asyncio.sleep(0)
    return state + activity.payload


async def pause_and_add_inner(activity: Any, state: int) -> int:
    await asyncio.sleep(0)
    return state + activity.payload.payload


def check(state: int, expected: int) -> None:
    """Raise AssertionError if not all of the work was done."""
    if state != expected:
        raise AssertionError(f"the state is {state}; {expected} activities were sent")
