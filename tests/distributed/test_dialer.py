"""The driver's end: an answer or a sentence why not, and how far the clocks are apart."""

from datetime import UTC, datetime, timedelta

import pytest

from agentrt.distributed.dialer import SAMPLES, ClockDifference, NodeConnection, NodeDialer
from agentrt.distributed.link import UnreachableError
from agentrt.errors import ConfigurationError
from agentrt.feed.connection import ConnectionEnded
from agentrt.feed.wire import VERSION, FeedAnswer, Refused, Request, Welcome, encode_frame

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """One that is set."""

    at = 0.0

    def now(self) -> float:
        return self.at

    def wall(self, at: float) -> datetime:
        return NOON + timedelta(seconds=at)


def answer_at(at: float, wall: float) -> FeedAnswer:
    return FeedAnswer(at, NOON + timedelta(seconds=wall), 1.0)


def test_the_quickest_exchange_says_how_far_clocks_are_apart() -> None:
    clock = Clock()
    difference = ClockDifference(clock)
    assert difference.best is None
    clock.at = 10.4
    difference.note(10.0, 0.4, answer_at(4.0, 13.2))  # in the middle it was 10.2 here
    assert difference.best == pytest.approx((0.2, 6.2, 3.0))
    clock.at = 20.1
    difference.note(20.0, 0.1, answer_at(14.0, 23.0))
    assert difference.best == pytest.approx((0.05, 6.05, 2.95))
    for _ in range(SAMPLES):  # what is older does not count any more
        clock.at = 31.0
        difference.note(30.0, 1.0, answer_at(14.5, 30.5))
    assert difference.best == pytest.approx((0.5, 16.0, 0.0))


def connection(*frames: bytes) -> NodeConnection:
    left = list(frames)
    return NodeConnection("node-2", lambda node, reader, data: left.pop(0), ClockDifference(Clock()))


WELCOME = encode_frame(Welcome(VERSION, "node-2", "a life", 1))


def test_an_answer_comes_over_the_engine() -> None:
    found = connection(WELCOME, encode_frame(answer_at(3.0, 3.0)))
    assert found.welcome.instance == "a life"
    assert found.ask(Request(0)).at == 3.0
    with pytest.raises(ConnectionEnded, match="what 'node-2' answers makes no sense"):
        connection(WELCOME, b"nonsense").ask(Request(0))
    with pytest.raises(ConfigurationError, match="another version"):
        connection(encode_frame(Refused(VERSION, "it speaks another version")))


def test_a_node_that_does_not_answer_is_asked_again_later() -> None:
    silent = [True]

    def read_feed(node: str, reader: str, data: bytes) -> bytes:
        if silent[0]:
            raise UnreachableError("its process has ended")
        return WELCOME

    dialer = NodeDialer("node-2", read_feed, ClockDifference(Clock()))
    with pytest.raises(ConnectionEnded, match="the process of 'node-2' does not answer: its process has ended"):
        dialer.connect()
    assert dialer.reconnect(0.0) is None
    silent[0] = False
    found = dialer.reconnect(0.0)
    assert found is not None
    assert found.welcome.name == "node-2"
