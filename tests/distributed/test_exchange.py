"""A batch is answered a few turns after it came, to another thread or on the loop; its errors are told, and a loop that
does nothing."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentrt.distributed import exchange
from agentrt.distributed.exchange import TURNS, exchange_here, exchange_on
from agentrt.distributed.link import UnreachableError
from agentrt.distributed.messages import AcceptedItem, Batch, Item, Received, decode
from agentrt.testing import run

BATCH = Batch("b", "life of b", "a", "life of a", 1, [AcceptedItem([1]), AcceptedItem([2])])


class Given:
    """What goes with the answer: an item, some turns of the loop after the batch came."""

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.looks = 0

    @property
    def fresh(self) -> int:
        self.looks += 1
        return 10 if self.looks > self.turns else 0

    def take_for_answer(self) -> tuple[int, list[Item]]:
        return 7, [AcceptedItem([3])] if self.looks > self.turns else []


class Taking:
    def __init__(self, given: Any = None, error: Exception | None = None) -> None:
        self.given, self.error = given, error

    def open_answer(self, batch: Batch) -> Any:
        return self.given

    def take_batch(self, batch: Batch) -> Received:
        if self.error is not None:
            raise self.error
        return Received("life of b", len(batch.items))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(60)
    made.close()


@pytest.fixture(params=["here", "on another thread"])
def ask(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Callable[[Any], bytes]:
    if request.param == "here":
        return lambda taking: run(exchange_here(taking, BATCH))
    return lambda taking: exchange_on(loop, taking, BATCH)


@pytest.mark.parametrize("turns", [0, 2, TURNS - 1])
def test_the_answer_brings_what_there_is_a_few_turns_later(ask: Callable[[Any], bytes], turns: int) -> None:
    given = Given(turns)
    assert decode(ask(Taking(given)), type=Received) == Received("life of b", 2, 7, [AcceptedItem([3])])
    assert given.looks == turns + 1


def test_it_waits_for_no_more_than_some_turns(ask: Callable[[Any], bytes]) -> None:
    given = Given(1_000)
    assert decode(ask(Taking(given)), type=Received) == Received("life of b", 2, 7, [])
    assert given.looks == TURNS


def test_where_nothing_may_go_with_it_the_answer_is_there_at_once(ask: Callable[[Any], bytes]) -> None:
    assert decode(ask(Taking()), type=Received) == Received("life of b", 2)


def test_an_error_is_that_of_who_asks(ask: Callable[[Any], bytes]) -> None:
    given = Given(0)
    with pytest.raises(ZeroDivisionError):
        ask(Taking(given, ZeroDivisionError()))


def test_an_answer_that_cannot_be_written_is_an_error_of_who_asks(ask: Callable[[Any], bytes]) -> None:
    given: Any = Given(0)
    given.take_for_answer = lambda: (1, [object()])
    with pytest.raises(TypeError):
        ask(Taking(given))


def test_a_closed_loop_is_not_reached() -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    with pytest.raises(UnreachableError, match="the loop of 'b' is closed"):
        exchange_on(closed, Taking(), BATCH)


def test_a_loop_that_does_nothing_is_not_reached(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(exchange, "PATIENCE", 0.01)
    loop.call_soon_threadsafe(goes_on.wait)
    with pytest.raises(UnreachableError, match=r"the loop of 'b' has done nothing for 0\.01 s"):
        exchange_on(loop, Taking(), BATCH)
    goes_on.set()
