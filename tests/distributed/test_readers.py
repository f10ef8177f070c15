"""Whoever looks at a node: greeted once, answered from then on."""

from collections.abc import Iterator

import pytest

from agentrt import RuntimeManager
from agentrt.distributed import readers
from agentrt.distributed.link import UnreachableError
from agentrt.distributed.readers import Readers
from agentrt.feed.wire import (
    VERSION,
    Hello,
    Order,
    Refused,
    Request,
    Welcome,
    decode_greeting,
    encode_frame,
    read_answer,
)
from tests.support import add

HELLO = encode_frame(Hello(VERSION))


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread", name="node-1", offer=False) as manager:
        yield manager


def test_a_reader_is_greeted_and_answered(manager: RuntimeManager) -> None:
    looking = Readers(manager, "first life")
    greeting = decode_greeting(looking.answer("anna", HELLO))
    assert isinstance(greeting, Welcome)
    assert (greeting.name, greeting.instance) == ("node-1", "first life")
    manager.create("a", 0, add)
    assert [row.kind for row in read_answer(looking.answer("anna", encode_frame(Request(0)))).rows] == ["created"]


def test_a_viewer_gives_no_command(manager: RuntimeManager) -> None:
    looking = Readers(manager, "first life")
    manager.create("a", 0, add)
    looking.answer("anna", encode_frame(Hello(VERSION, "viewer")))
    order = Order("pause", "a", "anna", {})
    answer = read_answer(looking.answer("anna", encode_frame(Request(None, [], order))))
    assert answer.failure is not None
    assert not manager["a"].paused


def test_what_makes_no_sense_here_is_not_answered(manager: RuntimeManager) -> None:
    looking = Readers(manager, "second life")
    with pytest.raises(UnreachableError, match="no such frame"):  # the first life knew this reader
        looking.answer("anna", encode_frame(Request(7)))
    assert isinstance(decode_greeting(looking.answer("ben", encode_frame(Hello(VERSION + 1)))), Refused)


def test_the_one_that_has_asked_for_nothing_for_longest_makes_room(
    manager: RuntimeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MOST_READERS", 2)
    looking = Readers(manager, "first life")
    for reader in ("anna", "ben"):
        looking.answer(reader, HELLO)
    looking.answer("anna", encode_frame(Request(0)))
    looking.answer("carl", HELLO)
    looking.answer("anna", encode_frame(Request(0)))
    with pytest.raises(UnreachableError):
        looking.answer("ben", encode_frame(Request(0)))
