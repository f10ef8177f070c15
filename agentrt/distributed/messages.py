"""What nodes send each other: numbered items in batches. The bytes are msgpack; payloads and outcomes are pickles.

The nodes of one cluster run code for each other anyway, so a pickle from one of them is no more than that. Nobody else
reaches them: the engine (Ray, with its token) says who may.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "AcceptedItem",
    "ActivityItem",
    "AnswerItem",
    "Batch",
    "CommandItem",
    "Item",
    "MovedItem",
    "OutcomeItem",
    "Received",
    "RefusedItem",
    "TransferredItem",
    "decode",
    "encode",
]


class ActivityItem(msgspec.Struct, array_like=True, tag=1, gc=False):
    """An activity for a runtime of the receiver. `number` is the sender's. A payload of bytes is a pickle of it."""

    number: int
    runtime: str
    payload: bytes | int | float | bool | None
    priority: bool = False
    timeout: float | None = None
    delay: float | None = None
    key: str | None = None
    source: str | None = None
    parent: int | None = None
    correlation: int | None = None
    is_one_way: bool = False  # nobody can ask what came of it: the receipt is gone
    is_stored: bool = False  # its sender has it in an outbox, and sends it until it hears what came of it
    epoch: int = 0  # the number of the last move of the runtime that its sender knew of


class AcceptedItem(msgspec.Struct, array_like=True, tag=2, gc=False):
    """These offers of the receiver wait in their lanes, and are stored where the node has a journal."""

    numbers: list[int]


class RefusedItem(msgspec.Struct, array_like=True, tag=3, gc=False):
    """An offer of the receiver was not accepted."""

    number: int
    error: bytes


class OutcomeItem(msgspec.Struct, array_like=True, tag=4, gc=False):
    """What came of an offer of the receiver."""

    number: int
    outcome: bytes


class CommandItem(msgspec.Struct, array_like=True, tag=5, gc=False):
    """Something to do that is no activity: create, pause, terminate."""

    number: int
    name: str
    arguments: bytes


class AnswerItem(msgspec.Struct, array_like=True, tag=6, gc=False):
    """What came of a command of the receiver: its value, or the error that it raised."""

    number: int
    value: bytes
    failed: bool = False


class MovedItem(msgspec.Struct, array_like=True, tag=7, gc=False):
    """An offer of the receiver was not accepted: its runtime is on that node now, since the move of this number."""

    number: int
    node: str
    epoch: int


class TransferredItem(msgspec.Struct, array_like=True, tag=8, gc=False):
    """Offers of the receiver that waited have gone with their runtime: their outcomes come from that life of a node."""

    numbers: list[int]
    node: str
    life: str


Item = ActivityItem | AcceptedItem | RefusedItem | OutcomeItem | CommandItem | AnswerItem | MovedItem | TransferredItem


class Batch(msgspec.Struct, array_like=True, gc=False):
    """Items in the order in which they were sent.

    Args:
        receiver: The name of the node that is to take it.
        for_life: Which life of it; another one takes nothing of it. Empty until one has answered: then it has no items.
        sender: The name of the sender.
        life: Which life of the sender: one that has started again counts from 1 again.
        first: The number of the first item among all of this link.
        items: The items.
        taken: How many items of the way back the sender has taken in all, of that life of the receiver.
    """

    receiver: str
    for_life: str
    sender: str
    life: str
    first: int
    items: list[Item]
    taken: int = 0


class Received(msgspec.Struct, array_like=True, gc=False):
    """The answer to a batch.

    Args:
        life: Which life of the receiver answers.
        count: How many items of this link it has taken in all.
        first: The number of the first item that comes with the answer, among all of the way back.
        items: What comes with the answer.
        sender: Which life of the sender has sent the batch; empty for any.
    """

    life: str
    count: int
    first: int = 1
    items: list[Item] = []
    sender: str = ""


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.decode
