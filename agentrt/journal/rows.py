"""What a log holds: one row of bytes for each fact, in order. A write becomes one or several of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..activity import Activity, Lane, UntrackedActivity, may_hold_others
from ..errors import JournalError
from ..schema.record_types import record_fields
from .codec import Codec
from .protocol import (
    UNCHANGED,
    Accepted,
    Changed,
    Committed,
    Created,
    EffectDone,
    LetterClosed,
    LetterKept,
    Removed,
    Write,
)
from .split import StateWriter
from .stored_types import find_class, name_of

__all__ = [
    "AcceptedRow", "CommitRow", "EffectRow", "FieldsRow", "LetterClosedRow", "RemovedRow", "RowWriter", "RuntimeRow",
    "checksum", "decode_row", "encode_row", "make_activity",
]  # fmt: skip

OWN_FIELDS = set(Activity.__struct_fields__)


class RuntimeRow(msgspec.Struct, array_like=True, tag=1, gc=False):
    """Settings of a runtime; None where they stay. `counts` and `order` are there where history was let go."""

    runtime: str
    created: float | None = None
    limits: bytes | None = None
    paused: bool | None = None
    workflow: str | None = None
    version: int | None = None
    supervision: bytes | None = None
    state: bytes | None = None
    counts: dict[str, int] | None = None
    order: list[bytes] | None = None
    keys: dict[str, tuple[int, float]] | None = None
    new: bool = False

    @property
    def begins(self) -> bool:
        """Whether the runtime begins here, or begins again where history was let go. Its state is in the next row."""
        return self.new or (self.counts is not None and self.created is not None)


class FieldsRow(msgspec.Struct, array_like=True, tag=2, gc=False):
    """The fields of a large state that have changed, by their name as bytes. `head` says what they are fields of."""

    runtime: str
    head: str
    values: dict[bytes, bytes]
    gone: list[bytes]
    whole: bool  # nothing of before counts


class AcceptedRow(msgspec.Struct, array_like=True, tag=3, gc=False):
    """An activity. `again` is set where the row was moved: it is counted once."""

    runtime: str
    activity: int
    payload: bytes
    lane: bool  # whether it is the priority lane
    created: float
    timeout: float | None = None
    not_before: float | None = None
    source: str | None = None
    parent: int | None = None
    correlation: int | None = None
    key: str | None = None
    key_until: float | None = None
    rank: float | None = None
    more: tuple[str, bytes] | None = None  # a custom type: its name and its own fields
    again: bool = False


class CommitRow(msgspec.Struct, array_like=True, tag=4, gc=False):
    """The end of one attempt. `fate` is None if it is tried again."""

    runtime: str
    activity: int
    fate: str | None
    at: float
    state: bytes | None = None
    reply: bytes | None = None
    error: str = ""
    supervision: bytes | None = None
    not_before: float | None = None
    attempts: int = 1
    again: bool = False


class EffectRow(msgspec.Struct, array_like=True, tag=5, gc=False):
    """A side effect that was done."""

    runtime: str
    activity: int
    name: str
    value: bytes


class LetterClosedRow(msgspec.Struct, array_like=True, tag=6, gc=False):
    """A dead letter that is no longer there, and what became of it: "resent", "discarded", or "kept" after all."""

    runtime: str
    activity: int
    fate: str = ""


class RemovedRow(msgspec.Struct, array_like=True, tag=7, gc=False):
    """A runtime that is no longer there, with its last counts."""

    runtime: str
    counts: dict[str, int] = {}


Row = RuntimeRow | FieldsRow | AcceptedRow | CommitRow | EffectRow | LetterClosedRow | RemovedRow
encode_row = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


def decode_row(position: int, record: Any, crc: Any) -> Row:
    """The row of a log.

    Raises:
        JournalError: It is not what was written there.
    """
    if type(record) is not bytes or crc != checksum(position, record):
        raise JournalError(f"row {position} of the journal is damaged: its checksum is wrong")
    try:
        row: Row = _decode(record)
    except msgspec.MsgspecError as error:
        raise JournalError(f"row {position} of the journal can't be read: {error}") from None
    return row


def checksum(position: int, record: bytes) -> int:
    """The checksum of a row: of what it says and of where it stands.

    >>> checksum(1, b"a") == checksum(2, b"a")
    False
    """
    return zlib.crc32(record, position & 0xFFFFFFFF)


class RowWriter:
    """Makes rows of writes. What it remembers of large states follows the order in which it is called."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.states = StateWriter(codec)

    def rows(self, writes: tuple[Write, ...]) -> list[Row]:
        """The rows of several writes; `JournalError` for a value that can't be stored, and nothing is remembered."""
        write = writes[0] if len(writes) == 1 else None
        if type(write) is Accepted:  # half of what a manager writes, and nothing is remembered of it
            return [self._accepted_row(write)]
        self.states.begin()
        try:
            if type(write) is Committed:  # the other half
                return self._commit_rows(write)
            return [row for write in writes for row in self._rows(write)]
        except BaseException:
            self.states.roll_back()
            raise

    def _rows(self, write: Write) -> Iterable[Row]:
        if type(write) is Committed:
            return self._commit_rows(write)
        if type(write) is Accepted:
            return [self._accepted_row(write)]
        return self._other_rows(write)

    def _other_rows(self, write: Write) -> Iterator[Row]:
        if type(write) is Created:
            yield from self._created_rows(write)
        elif type(write) is Changed:
            yield from self._changed_rows(write)
        elif type(write) is EffectDone:
            value = self.codec.encode(write.value, f"the effect {write.name!r}")
            yield EffectRow(write.runtime, write.activity, write.name, value)
        elif type(write) is LetterClosed:
            yield LetterClosedRow(write.runtime, write.activity, write.fate)
        elif type(write) is LetterKept:
            yield from self._letter_rows(write)
        else:
            assert type(write) is Removed
            self.states.forget(write.runtime)
            yield RemovedRow(write.runtime, write.counts)

    def _created_rows(self, write: Created) -> Iterator[Row]:
        self.states.forget(write.runtime)
        limits = self._optional(write.limits, "the limits")
        yield RuntimeRow(write.runtime, write.at, limits, False, write.workflow, write.version, new=True)
        yield from self._state_rows(write.runtime, write.state)

    def _changed_rows(self, write: Changed) -> Iterator[Row]:
        yield RuntimeRow(
            write.runtime,
            limits=self._optional(write.limits, "the limits"),
            paused=write.paused,
            workflow=write.workflow,
            version=write.version,
            supervision=self._optional(write.supervision, "the supervision"),
        )
        if write.state is not UNCHANGED:
            yield from self._state_rows(write.runtime, write.state)

    def _state_rows(self, runtime: str, state: Any) -> Iterator[Row]:
        data = self.states.write(runtime, state)
        if isinstance(data, bytes):
            yield RuntimeRow(runtime, state=data)
        elif data is not None:
            yield FieldsRow(runtime, *data)

    def _commit_rows(self, write: Committed) -> list[Row]:
        data = None if write.state is UNCHANGED else self.states.write(write.runtime, write.state)
        found: list[Row] = []
        if isinstance(data, tuple):
            found.append(FieldsRow(write.runtime, *data))
            data = None
        reply = None if write.reply is UNCHANGED else self.codec.encode(write.reply, "the reply")
        supervision = self._optional(write.supervision, "the supervision")
        commit = CommitRow(
            write.runtime, write.activity, write.fate, write.at, data, reply, write.error, supervision, write.not_before
        )
        found.append(commit)
        if write.sent:
            found += map(self._accepted_row, write.sent)
        return found

    def _letter_rows(self, write: LetterKept) -> Iterator[Row]:
        activity = write.activity
        yield LetterClosedRow(activity.runtime, activity.id, "kept")
        yield msgspec.structs.replace(self._accepted_row(Accepted(activity=activity)), again=True)
        yield CommitRow(activity.runtime, activity.id, "dead", write.at, error=write.reason, again=True)

    def _optional(self, value: Any, what: str) -> bytes | None:
        return None if value is UNCHANGED else self.codec.encode(value, what)

    def _accepted_row(self, write: Accepted) -> AcceptedRow:
        activity = write.activity
        return AcceptedRow(
            activity.runtime,
            activity.id,
            self.codec.encode(activity.payload, "the payload"),
            activity.lane is Lane.PRIORITY,
            activity.created,
            activity.timeout,
            activity.not_before,
            activity.source,
            activity.parent,
            activity.correlation,
            activity.key,
            write.key_until,
            write.rank,
            None if type(activity) in (Activity, UntrackedActivity) else self._more(activity),
        )

    def _more(self, activity: Activity[Any]) -> tuple[str, bytes]:
        """The class of a custom type of activity, and its own fields."""
        name = name_of(type(activity))
        if name is None:
            raise JournalError(
                f"{type(activity).__qualname__} is not found by its name: define it at the top of a module"
            )
        own = [field for field in record_fields(type(activity)) or () if field not in OWN_FIELDS]
        return name, self.codec.encode({field: getattr(activity, field) for field in own}, "the activity")


def make_activity(codec: Codec, row: AcceptedRow) -> Activity[Any]:
    """The activity of a row."""
    payload = codec.decode(row.payload, "the payload")
    if row.more is None:
        cls: Any = Activity if may_hold_others(type(payload)) else UntrackedActivity
    else:
        cls = find_class(row.more[0], codec.modules)
    if not issubclass(cls, Activity):
        raise JournalError(f"the journal names {cls.__qualname__} as an activity, which it is not")
    more = {} if row.more is None else codec.decode(row.more[1], "the activity")
    activity: Activity[Any] = cls(
        id=row.activity,
        runtime=row.runtime,
        payload=payload,
        lane=Lane.PRIORITY if row.lane else Lane.STANDARD,
        created=row.created,
        timeout=row.timeout,
        not_before=row.not_before,
        source=row.source,
        parent=row.parent,
        correlation=row.correlation,
        key=row.key,
        **more,
    )
    return activity
