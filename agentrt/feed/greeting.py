"""How a reader and a manager's offer get to know each other: the versions, the token, what the reader may do."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Protocol

from .answers import Answers
from .branch_point import find_branch_point
from .entrance import Role
from .pulse import Pulse
from .wire import VERSION, Fork, Hello, Refused, Welcome, encode_frame, read_hello

if TYPE_CHECKING:
    import asyncio

    from ..discovery import ManagerRecord
    from ..events import Ring
    from .source import Source

__all__ = ["OfferedManager", "greet"]


class OfferedManager(Protocol):
    """A manager, as its offer sees it."""

    name: str
    ring: Ring
    loop: asyncio.AbstractEventLoop

    @property
    def source(self) -> Source:
        """What is read and steered."""


class Greeted(Protocol):
    """An offer, as the greeting sees it."""

    record: ManagerRecord
    instance: str
    evaluator: bool  # whether readers may have expressions worked out

    @property
    def manager(self) -> OfferedManager:
        """The manager."""


def greet(offer: Greeted, frame: bytes) -> tuple[Answers | None, bytes]:
    """Answer a hello. Returns who answers from now on, None if it is refused, and the frame to send.

    Raises:
        ProtocolError: It is no hello.
    """
    hello = read_hello(frame)
    why = _refusal(offer, hello)
    if why:
        return None, encode_frame(Refused(VERSION, why))
    manager = offer.manager
    pulse = Pulse(manager.loop)
    role = Role(hello.role)
    answers = Answers(manager.source, manager.ring, role, pulse.blocked_for, lambda: offer.evaluator)
    point = find_branch_point(manager.source)
    fork = None if point is None else Fork(point.name, point.sequence, point.start, point.wall)
    welcome = Welcome(VERSION, offer.record.name, offer.instance, os.getpid(), manager.ring.limit, fork)
    return answers, encode_frame(welcome)


def _refusal(offer: Greeted, hello: Hello) -> str:
    if offer.record.token and not hmac.compare_digest(
        hello.token.encode("utf-8", "replace"), offer.record.token.encode()
    ):
        return "the token is wrong"
    if hello.version != VERSION:
        return (
            f"the manager {offer.record.name!r} (process {offer.record.pid}) speaks version {VERSION} of the feed, "
            f"this reader version {hello.version}: use the same version of agentrt for both"
        )
    return "" if hello.role in list(Role) else f"there is no role {hello.role[:50]!r}"
