"""What goes from one node to another comes back equal, or says why it can't be sent."""

import enum
import threading
from typing import Any

import msgspec
import pytest

from agentrt.activity import Activity
from agentrt.distributed import packing
from agentrt.distributed.messages import ActivityItem
from agentrt.distributed.packing import pack, pack_error, pack_outcome, unpack, unpack_error, unpack_outcome
from agentrt.errors import ConfigurationError, MailboxFullError, ProcessingError
from agentrt.events import Outcome


class Color(enum.IntEnum):
    RED = 1


class Fragile(Exception):
    """It can be pickled, and not made again."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason}: {code}")


def outcome(**values: Any) -> Outcome:
    known = {"kind": "done", "created": 1.0, "started": 2.0, "finished": 3.0, "state": 5, **values}
    return Outcome(9, 7, "a", True, **known)


@pytest.mark.parametrize(
    "made",
    [
        outcome(),
        outcome(reply="yes"),
        outcome(reply=None),
        outcome(state={"left": (1, 2)}, reply=[3]),
        outcome(state=lambda: 1, reply=2),
    ],
)
def test_an_outcome_comes_back(made: Outcome) -> None:
    found = unpack_outcome(pack_outcome(made))
    assert found.value == made.value
    assert (found.reply is msgspec.UNSET) == (made.reply is msgspec.UNSET)
    assert (found.sequence, found.id, found.runtime, found.lane, found.kind) == (9, 7, "a", "priority", "done")
    assert (found.created, found.started, found.finished) == (1.0, 2.0, 3.0)


def test_an_error_comes_back_with_its_cause() -> None:
    error = ProcessingError("it failed", runtime="a", activity=3)
    error.__cause__ = ValueError("no good")
    found = unpack_outcome(pack_outcome(outcome(kind="failed", error=error))).error
    assert isinstance(found, ProcessingError)
    assert (found.runtime, found.activity, repr(found.__cause__)) == ("a", 3, "ValueError('no good')")


def test_a_cause_that_can_not_be_made_again_comes_in_words() -> None:
    error = MailboxFullError("full")
    error.__cause__ = Fragile(3, "broken")
    found = unpack_error(pack_error(error))
    assert type(found) is MailboxFullError
    assert str(found.__cause__) == "Fragile: broken: 3"


def test_any_other_exception_is_a_processing_error() -> None:
    found = unpack_error(pack_error(KeyError("x")))
    assert type(found) is ProcessingError
    assert str(found) == "KeyError: 'x'"


def test_a_reply_that_can_not_be_sent_is_a_failure_that_says_so() -> None:
    found = unpack_outcome(pack_outcome(outcome(reply=threading.Lock())))
    assert found.kind == "failed"
    assert isinstance(found.error, ConfigurationError)
    assert "the outcome can't be sent to another node, as it can't be pickled" in str(found.error)
    assert (found.error.runtime, found.error.activity) == ("a", 7)


def test_functions_of_a_cell_are_sent_by_value() -> None:
    factor = 3
    assert unpack(pack(lambda number: factor * number, "the workflow"))(2) == 6


def test_what_can_not_be_pickled_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the payload can't be sent to another node"):
        pack(threading.Lock(), "the payload")


def test_what_is_too_large_is_refused_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGEST", 1_000)
    with pytest.raises(ConfigurationError, match=r"the state is 2,0\d\d bytes, and no more than 1,000 go"):
        pack(b"x" * 2_000, "the state")


def test_activities_travel_without_their_receipts() -> None:
    found = packing.without_receipts([Activity(id=1, payload=2, receipt=object())])
    assert found[0].receipt is None
    assert found[0].payload == 2


@pytest.mark.parametrize(
    "payload", [0, -5, 1 << 63, -(1 << 63), 0.5, True, None, "\ud800", b"", "a", (1, 2), Color.RED]
)
def test_a_payload_arrives_as_it_was(payload: object) -> None:
    sent = msgspec.msgpack.encode(ActivityItem(1, "a", packing.pack_payload(payload)))
    arrived = packing.unpack_payload(msgspec.msgpack.decode(sent, type=ActivityItem).payload)
    assert (type(arrived), arrived) == (type(payload), payload)
