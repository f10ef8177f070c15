"""What passes between a manager's process and that of a view: length-prefixed msgpack frames of plain data.

The reader says hello, is welcomed or refused, and then asks; each request has one answer. It asks for what happened
since a cursor and for the reads that its views use, and may give one command. Whatever comes is decoded by type, so
both sides take only what they know; states and payloads travel as `agentrt.schema.outline` has them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from ..activity import Activity, Lane
from ..errors import ConfigurationError
from ..events import Event, Outcome, Record
from ..frames import StackFrame
from ..schema.outline import Bounds, clean, outline, restore
from .failures import FailureRecord, error_of, failure_of
from .source import Reply

__all__ = [
    "LENGTH",
    "LONGEST_ANSWER",
    "LONGEST_HELLO",
    "LONGEST_REQUEST",
    "VERSION",
    "FeedAnswer",
    "Fork",
    "Hello",
    "Order",
    "ProtocolError",
    "Read",
    "Refused",
    "Request",
    "Row",
    "Settled",
    "Welcome",
    "decode_greeting",
    "encode_frame",
    "encode_hello",
    "read_answer",
    "read_hello",
    "read_request",
    "read_welcome",
    "record_of",
    "row_of",
    "rows_of",
]

VERSION = 1
LENGTH = struct.Struct("!I")
LONGEST_HELLO = 1 << 12  # bytes
LONGEST_REQUEST = 4 << 20
LONGEST_ANSWER = 64 << 20
TRACED = 10  # failures of one answer that come with their traceback: the newest
OF_RECORD = Bounds(most=60, widest=20, deepest=5, longest=400)


class ProtocolError(ValueError):
    """What came is nothing that the other side would send."""


# ---- greetings: their form stays the same in all versions


class Hello(msgspec.Struct, tag="agentrt-hello", frozen=True):
    """The first frame of a reader. `role`: "viewer" can give no commands. `token`: needed on TCP."""

    version: int
    role: str = "operator"
    token: str = ""


class Fork(msgspec.Struct, frozen=True):
    """Where a manager was branched off from another one, see `BranchPoint`."""

    name: str
    sequence: int
    start: int
    wall: datetime


class Welcome(msgspec.Struct, tag="agentrt-welcome", frozen=True):
    """The answer. `instance` is another one whenever the manager is another one. `limit`: how many records it keeps.

    `fork`: what it was branched off from, if it was. A reader that does not know the field leaves it out.
    """

    version: int
    name: str
    instance: str
    pid: int
    limit: int = 20_000
    fork: Fork | None = None


class Refused(msgspec.Struct, tag="agentrt-refused", frozen=True):
    """The answer to whom nothing is offered, and why; the connection ends."""

    version: int
    why: str


# ---- requests and answers


class Read(msgspec.Struct, array_like=True, frozen=True):
    """A read of `Source` by name. `seen`: the reader has the answer, and wants it again only if it may have changed."""

    number: int
    name: str
    arguments: list[Any] = []
    seen: bool = False


class Order(msgspec.Struct, array_like=True, frozen=True):
    """A command, and who gives it. `ticket`: it is for the agents' loop, and its reply comes later, by this number."""

    name: str
    id: str
    who: str | None
    arguments: dict[str, Any]
    ticket: int | None = None


class Request(msgspec.Struct, array_like=True, frozen=True):
    """What a reader asks for. Without a `cursor` it wants no records."""

    cursor: int | None = None
    reads: list[Read] = []
    order: Order | None = None


# Of plain data, so without cycles: the garbage collector of the agents need not look at them.
class ActivityRow(msgspec.Struct, array_like=True, tag=0, frozen=True, gc=False):
    """An activity, as a record."""

    id: int
    runtime: str
    payload: Any
    priority: bool
    created: float
    timeout: float | None
    not_before: float | None
    source: str | None
    parent: int | None
    correlation: int | None
    key: str | None


class OutcomeRow(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """An outcome, as a record."""

    sequence: int
    id: int
    runtime: str
    priority: bool
    kind: str
    created: float
    started: float | None
    finished: float
    state: Any
    reply: Any
    failure: FailureRecord | None
    attempts: int


class EventRow(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """An event, as a record. `stack` and `error` are parts of its detail that views read the members of."""

    sequence: int
    runtime: str
    at: float
    kind: str
    who: str | None
    detail: Any
    stack: list[StackFrame] | None = None
    error: FailureRecord | None = None


Row = ActivityRow | OutcomeRow | EventRow


class Settled(msgspec.Struct, array_like=True, frozen=True):
    """What came of a command on the agents' loop."""

    ticket: int
    reply: Reply | None = None
    failure: FailureRecord | None = None


class FeedAnswer(msgspec.Struct, array_like=True, frozen=True):
    """The answer to a request.

    Args:
        at: The manager's clock, in seconds.
        wall: The date and time that this reading stands for.
        speed: Seconds on that clock for a real one.
        blocked: Real seconds for which the agents' loop has not turned; 0 if it does.
        pause: Real seconds after which the reader may ask again.
        cursor: The cursor to use next.
        missed: How many records were let go, or were too many to send.
        rows: The records.
        reads: The answers to the reads by number; one that has been seen and is as it was is left out.
        reply: What came of the command.
        failure: Why it was refused.
        settled: What came of earlier commands on the agents' loop.
    """

    at: float
    wall: datetime
    speed: float
    blocked: float = 0.0
    pause: float = 0.1
    cursor: int = 0
    missed: int = 0
    rows: list[Row] = []
    reads: dict[int, msgspec.Raw] = {}
    reply: Reply | None = None
    failure: FailureRecord | None = None
    settled: list[Settled] = []


_encoder = msgspec.msgpack.Encoder()
_hello = msgspec.msgpack.Decoder(Hello)
_greeting = msgspec.msgpack.Decoder(Welcome | Refused)
_request = msgspec.msgpack.Decoder(Request)
_answer = msgspec.msgpack.Decoder(FeedAnswer)


def encode_frame(value: Any) -> bytes:
    """A frame without its length. What UTF-8 can't hold of a text, as half of a character in an id, is written out."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        if isinstance(value, FeedAnswer):
            value = msgspec.structs.replace(value, rows=_clean_all(msgspec.to_builtins(value.rows)))
            return _encoder.encode(value)
        return _encoder.encode(_clean_all(msgspec.to_builtins(value)))


def _clean_all(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_clean_all(key): _clean_all(each) for key, each in value.items()}
    return [_clean_all(each) for each in value] if isinstance(value, list | tuple) else value


def _decode_frame(decoder: Any, data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"no such frame: {str(error)[:200]}") from None


def read_hello(data: bytes) -> Hello:
    """Raises `ProtocolError`, as all of these."""
    found: Hello = _decode_frame(_hello, data)
    return found


def encode_hello(role: str, token: str = "") -> bytes:
    """The first frame of a reader."""
    return encode_frame(Hello(VERSION, role, token))


def decode_greeting(data: bytes) -> Welcome | Refused:
    """The answer to a hello."""
    found: Welcome | Refused = _decode_frame(_greeting, data)
    return found


def read_welcome(data: bytes) -> Welcome:
    """The answer to a hello. Raises `ConfigurationError` with the reason if it is a refusal."""
    found = decode_greeting(data)
    if isinstance(found, Refused):
        raise ConfigurationError(found.why)
    return found


def read_request(data: bytes) -> Request:
    """The request of a reader."""
    found: Request = _decode_frame(_request, data)
    return found


def read_answer(data: bytes) -> FeedAnswer:
    """The answer to a request."""
    found: FeedAnswer = _decode_frame(_answer, data)
    return found


# ---- records


def rows_of(records: Sequence[Record]) -> list[Row]:
    """Records as rows; the newest failures with their tracebacks."""
    rows = [row_of(record) for record in records]
    left = TRACED
    for place in range(len(rows) - 1, -1, -1):
        row = rows[place]
        if isinstance(row, OutcomeRow) and row.failure is not None:
            rows[place] = row_of(records[place], traced=True)
            left -= 1
            if not left:
                break
    return rows


def row_of(record: Any, traced: bool = False, bounds: Bounds = OF_RECORD) -> Row:
    """A record as a row."""
    if isinstance(record, Activity):
        return ActivityRow(
            record.id, record.runtime, outline(record.payload, bounds), record.lane is Lane.PRIORITY, record.created,
            record.timeout, record.not_before, record.source, record.parent, record.correlation, record.key,
        )  # fmt: skip
    if isinstance(record, Outcome):
        failure = None if record.error is None else failure_of(record.error, traced)
        return OutcomeRow(
            record.sequence, record.id, record.runtime, record.priority, record.kind, record.created, record.started,
            record.finished, outline(record.state, bounds), outline(record.reply, bounds), failure, record.attempts,
        )  # fmt: skip
    return _event_row(record, traced)


def _event_row(event: Event, traced: bool) -> EventRow:
    detail, stack, error = event.detail, None, None
    if isinstance(detail, dict):
        detail = dict(detail)
        if isinstance(detail.get("error"), BaseException):
            error = failure_of(detail.pop("error"), traced)
        if isinstance(detail.get("stack"), list):
            stack = [frame for frame in detail.pop("stack") if isinstance(frame, StackFrame)]
    return EventRow(event.sequence, event.runtime, event.at, event.kind, event.who, outline(detail), stack, error)


def record_of(row: Row) -> Record:
    """A row as the record. Raises `ProtocolError`."""
    try:
        return _record_of(row)
    except ValueError as error:
        raise ProtocolError(str(error)) from None


def _record_of(row: Row) -> Record:
    if isinstance(row, ActivityRow):
        lane = Lane.PRIORITY if row.priority else Lane.STANDARD
        return Activity(
            row.id, row.runtime, restore(row.payload), lane, row.created, row.timeout, row.not_before, row.source,
            row.parent, row.correlation, row.key,
        )  # fmt: skip
    if isinstance(row, OutcomeRow):
        error = None if row.failure is None else error_of(row.failure)
        return Outcome(
            row.sequence, row.id, row.runtime, row.priority, row.kind, row.created, row.started, row.finished,
            restore(row.state), restore(row.reply), error, row.attempts,
        )  # fmt: skip
    detail = restore(row.detail)
    if isinstance(detail, dict) and row.stack is not None:
        detail["stack"] = row.stack
    if isinstance(detail, dict) and row.error is not None:
        detail["error"] = error_of(row.error)
    return Event(row.sequence, row.runtime, row.at, row.kind, row.who, detail)
