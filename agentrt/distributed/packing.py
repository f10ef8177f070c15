"""Payloads, outcomes and errors as bytes, for another node of the same cluster."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
from msgspec import UNSET

from ..activity import Activity
from ..engine.pickling import dumps
from ..errors import AgentError, ConfigurationError, ProcessingError, describe_error
from ..events import Outcome
from ..snapshot import Snapshot

__all__ = [
    "LARGEST",
    "is_native",
    "pack",
    "pack_error",
    "pack_outcome",
    "pack_payload",
    "unpack",
    "unpack_error",
    "unpack_outcome",
    "unpack_payload",
    "without_receipts",
]

PLAIN = {int, str, float, bool, bytes, type(None)}
REPLY = Outcome.__struct_fields__.index("reply")  # the error comes after it
LARGEST = 64 << 20  # bytes of one payload, state or reply

NATIVE = {float, bool, type(None)}  # those of msgpack are packed with their batch
MOST = 1 << 63  # of an integer

unpack = pickle.loads


def is_native(payload: Any) -> bool:
    """Whether a payload is packed with its batch, as it is."""
    return type(payload) in NATIVE or (type(payload) is int and -MOST <= payload < MOST)


def pack_payload(payload: Any) -> bytes | float | None:
    """Pack a payload: a pickle, if msgpack has no such value. See `pack`."""
    return payload if is_native(payload) else pack(payload, "the payload")


def unpack_payload(data: bytes | float | None) -> Any:
    """The payload that was packed."""
    return pickle.loads(data) if type(data) is bytes else data


def pack(value: Any, what: str) -> bytes:
    """Pickle a value, classes and functions of a notebook by value.

    Args:
        value: Anything.
        what: What it is, for the message of an error: "the payload".

    Raises:
        ConfigurationError: It can't be pickled, or is too large for a message.
    """
    if type(value) in PLAIN:
        data = pickle.dumps(value, 5)
    else:
        try:
            data = dumps(value)
        except Exception as error:
            raise ConfigurationError(
                f"{what} can't be sent to another node, as it can't be pickled: {describe_error(error)}"
            ) from error
    if len(data) > LARGEST:
        raise ConfigurationError(
            f"{what} is {len(data):,} bytes, and no more than {LARGEST:,} go into one message: put it into a file or a "
            "store that all nodes reach (ray.put), and send the reference"
        )
    return data


def pack_outcome(outcome: Outcome) -> bytes:
    """The outcome of an activity. What can't be sent of it is a failure with that reason."""
    parts = _outcome_parts(outcome)
    if outcome.error is None and type(outcome.state) in PLAIN and type(outcome.value) in PLAIN:
        return pickle.dumps(parts, 5)
    try:
        return pack(parts, "the outcome")
    except ConfigurationError as refusal:
        refusal.runtime, refusal.activity = outcome.runtime, outcome.id
        return dumps(
            _outcome_parts(msgspec.structs.replace(outcome, kind="failed", state=None, reply=UNSET, error=refusal))
        )


def _outcome_parts(outcome: Outcome) -> tuple[Any, ...]:
    # Without the UNSET of a reply that was never made: to pickle it takes 250 us, as it is looked for in every module.
    error = None if outcome.error is None else pack_error(outcome.error)
    values = msgspec.structs.astuple(outcome)
    has_reply = outcome.reply is not UNSET
    return (*values[:REPLY], outcome.reply if has_reply else None, None, *values[REPLY + 2 :]), has_reply, error


def unpack_outcome(data: bytes) -> Outcome:
    """The outcome that was packed."""
    values, has_reply, error = pickle.loads(data)
    if not has_reply:
        values = (*values[:REPLY], UNSET, *values[REPLY + 1 :])
    outcome = Outcome(*values)
    return outcome if error is None else msgspec.structs.replace(outcome, error=unpack_error(error))


def pack_error(error: BaseException) -> bytes:
    """An error with its cause; the words of what can't be pickled and made again."""
    known = error if isinstance(error, AgentError) else ProcessingError(describe_error(error))
    cause = known.__cause__
    try:
        data = dumps((known, cause))
        pickle.loads(data)
    except Exception:
        data = dumps((known, None if cause is None else RuntimeError(describe_error(cause))))
    return data


def unpack_error(data: bytes) -> AgentError:
    """The error that was packed."""
    error, cause = pickle.loads(data)
    error.__cause__ = cause
    return error  # type: ignore[no-any-return]


def without_receipts(value: Any) -> Any:
    """A record without the receipts of its activities, which stay on their node."""
    if isinstance(value, Activity):
        return msgspec.structs.replace(value, receipt=None)
    if isinstance(value, Snapshot):
        first: Any = tuple(map(without_receipts, value.first))
        return msgspec.structs.replace(value, current=without_receipts(value.current), first=first)
    if isinstance(value, list):
        return list(map(without_receipts, value))
    return value
