"""The driver's end of what is shown of a node: a connection over the engine, and how far its clock is from this one."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from ..feed.connection import ConnectionEnded
from ..feed.entrance import Role
from ..feed.wire import FeedAnswer, ProtocolError, Request, encode_frame, encode_hello, read_answer, read_welcome
from .link import UnreachableError

__all__ = ["ClockDifference", "Measured", "NodeConnection", "NodeDialer", "ReadFeed"]

ReadFeed = Callable[[str, str, bytes], bytes]  # node, reader, frame: see `Engine.read_feed`
SAMPLES = 32  # exchanges of which the quickest counts


class LocalTime(Protocol):
    """The clock here."""

    def now(self) -> float:
        """Seconds on the clock."""

    def wall(self, at: float) -> datetime:
        """The date and time of a reading."""


class Measured(NamedTuple):
    """How far a clock is from the one here.

    Args:
        error: Seconds by which this may be wrong: half of what the exchange took.
        seconds: What is added to a reading there to make it one of the agents' clock here.
        wall: Seconds by which the date and time there are ahead of those here.
    """

    error: float
    seconds: float
    wall: float


class ClockDifference:
    """How far the clock of a node is from the one here, by the quickest of the last exchanges (Cristian, 1989).

    Args:
        clock: The clock here.
    """

    def __init__(self, clock: LocalTime) -> None:
        self._clock = clock
        self._samples: deque[Measured] = deque(maxlen=SAMPLES)

    @property
    def best(self) -> Measured | None:
        """The most exact one; None before the first exchange."""
        return min(self._samples, default=None)

    def note(self, before: float, took: float, answer: FeedAnswer) -> None:
        """Take an exchange.

        Args:
            before: The clock here when it began.
            took: Real seconds that it took.
            answer: What came.
        """
        middle = (before + self._clock.now()) / 2
        wall = (answer.wall - self._clock.wall(middle)).total_seconds()
        self._samples.append(Measured(took / 2, middle - answer.at, wall))


class NodeConnection:
    """A connection to a node. Not for several threads at once.

    Args:
        node: The name of the node.
        read_feed: Has it answer a frame.
        difference: Is given each exchange.

    Raises:
        ConnectionEnded: It does not answer.
        ConfigurationError: It speaks another version.
    """

    def __init__(self, node: str, read_feed: ReadFeed, difference: ClockDifference) -> None:
        self._node = node
        self._read_feed = read_feed
        self._difference = difference
        self._reader = secrets.token_hex(8)
        self.welcome = read_welcome(self._exchange(encode_hello(Role.OPERATOR.value)))

    def ask(self, request: Request) -> FeedAnswer:
        """Ask and wait for the answer. Contract: `agentrt.feed.link.Answering.ask`."""
        before, started = self._difference._clock.now(), time.monotonic()
        data = self._exchange(encode_frame(request))
        took = time.monotonic() - started
        try:
            answer = read_answer(data)
        except ProtocolError as error:
            raise ConnectionEnded(f"what {self._node!r} answers makes no sense: {error}") from None
        self._difference.note(before, took, answer)
        return answer

    def _exchange(self, data: bytes) -> bytes:
        try:
            return self._read_feed(self._node, self._reader, data)
        except UnreachableError as error:
            raise ConnectionEnded(f"the process of {self._node!r} does not answer: {error}") from None

    def close(self) -> None:
        """Nothing is held for it here; the node lets go of it when others come."""


class NodeDialer:
    """Connects to a node, in whatever process it is.

    Args:
        node: The name of the node.
        read_feed: Has it answer a frame.
        difference: Is given each exchange.
    """

    def __init__(self, node: str, read_feed: ReadFeed, difference: ClockDifference) -> None:
        self.name = node
        self._read_feed = read_feed
        self._difference = difference

    def connect(self) -> NodeConnection:
        """Connect for the first time. Contract: `agentrt.feed.link.Dialer.connect`."""
        return NodeConnection(self.name, self._read_feed, self._difference)

    def reconnect(self, answered: float) -> NodeConnection | None:
        """Connect to the node as it runs now. Contract: `agentrt.feed.link.Dialer.reconnect`."""
        try:
            return self.connect()
        except ConnectionEnded:
            return None
