"""The limits of a runtime: one record, checked in one place, so that `create`, a knob and the mailbox agree."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Literal, TypedDict

import msgspec

from .errors import ConfigurationError
from .schema.annotations import annotation_problem
from .supervision import Policy, PolicyName, Supervision

__all__ = ["Backoff", "LimitOptions", "Limits", "Overflow"]


class Overflow(StrEnum):
    """What a full lane does with one more. Dropping is opt-in, counted, and resolves the dropped receipt."""

    WAIT = "wait"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


class Backoff(msgspec.Struct, frozen=True):
    """Seconds before the n-th retry: `first * factor ** (n - 1)`, at most `most`, times 1 +- `jitter` (0 to 1).

    >>> Backoff(first=1, factor=2, jitter=0).before(3, random.Random(1))
    4.0
    """

    first: float = 0.1
    factor: float = 2.0
    most: float = 30.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value, most = getattr(self, name), 1.0 if name == "jitter" else math.inf
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
                raise ConfigurationError(f"{name} is {value!r}; it must be a number from 0 to {most:g}")

    def before(self, retry: int, chance: random.Random) -> float:
        """Seconds to wait before retry number `retry` (1 is the first)."""
        wait = min(self.most, self.first * self.factor ** min(retry - 1, 64))
        return wait * (1 + self.jitter * (2 * chance.random() - 1))


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime may hold and how long it may take. Times in seconds on the manager's clock, sizes in bytes.

    Attributes:
        priority_capacity: How many activities may wait in the priority lane.
        standard_capacity: How many activities may wait in the standard lane.
        overflow: What a full lane does with one more.
        fairness: One standard activity is taken after so many priority ones in a row; None is strict priority.
        timeout: How long an activity may be processed; None for no limit.
        grace: How long a cancelled workflow may go on before the runtime counts as stuck.
        retries: How often a failed activity is tried again.
        backoff: How long to wait before each retry.
        accepts: The type of payload, where the workflow's annotation does not say it; None for that annotation.
        blocking: Whether the workflow, a plain `def`, runs in a worker thread.
        isolation: `"process"` runs the workflow in another process, and takes what comes back for data;
            `"process-pickle"` unpickles it, so that code of that process can run in this one. None runs it in this one.
        supervision: What happens when the runtime fails too often.
        key_window: How long the key of a send is remembered.
        copy_state: Whether a state that can be changed in place is copied before anybody outside reads it.
        max_payload: A send with a larger payload is refused; an estimate of what the objects keep alive.
        max_state: An activity that would make a larger state fails; estimated the same way.
        rate: How many activities are accepted in a second, a second's worth at once; beyond it a lane counts as full.
        deadline: How long an activity may wait in its lane; then it is timed out instead of processed.
        memory: The bytes that one activity may use, with `isolation="process"`.
        cpu: The processor's seconds that one activity may use, with `isolation="process"`.

    `rate` and `deadline` are given to `create` and stay.
    """

    priority_capacity: int = 1000
    standard_capacity: int = 1000
    overflow: Overflow = Overflow.WAIT
    fairness: int | None = 8
    timeout: float | None = None
    grace: float = 1.0
    retries: int = 0
    backoff: Backoff = Backoff()
    accepts: Any = None
    blocking: bool = False
    isolation: str | None = None
    supervision: Supervision = Supervision()
    key_window: float = 300.0
    copy_state: bool = True
    max_payload: int | None = None
    max_state: int | None = None
    rate: float | None = None
    deadline: float | None = None
    memory: int | None = None
    cpu: float | None = None

    @classmethod
    def of(cls, given: LimitOptions) -> Limits:
        """Check and complete keyword arguments.

        Raises:
            ConfigurationError: A name or a value is wrong; the message says what would do.
        """
        unknown = sorted(set(given) - set(cls.__struct_fields__))
        if unknown:
            raise ConfigurationError(
                f"unknown limit {unknown[0]!r}; there are {', '.join(sorted(cls.__struct_fields__))}"
            )
        return cls(**{name: check(name, value) for name, value in given.items()})

    def with_(self, name: str, value: Any) -> Limits:
        """The same limits with one changed."""
        return msgspec.structs.replace(self, **{name: check(name, value)})


OverflowName = Literal["wait", "drop_oldest", "drop_newest"]


class LimitOptions(TypedDict, total=False):
    """The limits as keyword arguments of `create`, as a type checker and an editor see them. See `Limits`.

    Some take a shorter form: `overflow` and `supervision` a word, `backoff` the seconds before the first retry.
    """

    priority_capacity: int
    standard_capacity: int
    overflow: Overflow | OverflowName
    fairness: int | None
    timeout: float | None
    grace: float
    retries: int
    backoff: Backoff | float
    accepts: Any
    blocking: bool
    isolation: Literal["process", "process-pickle"] | None
    supervision: Supervision | Policy | PolicyName | None
    key_window: float
    copy_state: bool
    max_payload: int | None
    max_state: int | None
    rate: float | None
    deadline: float | None
    memory: int | None
    cpu: float | None


def check(name: str, value: Any) -> Any:
    """Return the value of one limit in its final form, or raise `ConfigurationError`."""
    rule = _RULES.get(name)
    return value if rule is None else rule(name, value)


def check_capacity(name: str, value: Any) -> int:
    """Return the bound of a lane, or raise `ConfigurationError` unless it is a positive whole number."""
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number of at least 1")
    return value


def check_fairness(name: str, value: Any) -> int | None:
    """Return the fairness, or raise `ConfigurationError` unless it is a positive whole number or None."""
    if value is not None and (type(value) is not int or value < 1):
        raise ConfigurationError(f"{name} is {value!r}; give a whole number of at least 1, or None for strict")
    return value


def _seconds(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value) or value <= 0:
        raise ConfigurationError(f"{name} is {value!r}; it must be seconds above 0" + _or_none(name))
    return float(value)


def _or_none(name: str) -> str:
    return ", or None for no limit" if Limits.__annotations__[name].endswith("None") else ""


def _optional_seconds(name: str, value: Any) -> float | None:
    return None if value is None else _seconds(name, value)


def _bytes(name: str, value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number of bytes, or None for no limit")
    return value


def _rate(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ConfigurationError(f"rate is {value!r}; it must be activities per second above 0, or None for no limit")
    return float(value)


def _retries(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{name} is {value!r}; it must be a whole number of at least 0")
    return value


def _overflow(name: str, value: Any) -> Overflow:
    try:
        return Overflow(value)
    except ValueError:
        raise ConfigurationError(f"overflow is {value!r}; it must be one of {', '.join(Overflow)}") from None


def _backoff(name: str, value: Any) -> Backoff:
    if isinstance(value, Backoff):
        return value
    return Backoff(first=_seconds(name, value))


def _accepts(name: str, value: Any) -> Any:
    why = annotation_problem(value)
    if why is not None:
        raise ConfigurationError(f"accepts can't be checked: {why}; give a type, such as int or list[int], or several")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; it must be True or False")
    return value


ISOLATIONS = ("process", "process-pickle")


def _isolation(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value in ISOLATIONS):
        raise ConfigurationError(
            f"isolation is {value!r:.80}; it must be None, 'process', or 'process-pickle', with which code of the "
            "other process can run in this one"
        )
    return value


def _supervision(name: str, value: Any) -> Supervision:
    return Supervision.of(value)


_RULES: dict[str, Callable[[str, Any], Any]] = {
    "priority_capacity": check_capacity,
    "standard_capacity": check_capacity,
    "fairness": check_fairness,
    "timeout": _optional_seconds,
    "deadline": _optional_seconds,
    "cpu": _optional_seconds,
    "max_payload": _bytes,
    "max_state": _bytes,
    "memory": _bytes,
    "rate": _rate,
    "grace": _seconds,
    "key_window": _seconds,
    "retries": _retries,
    "overflow": _overflow,
    "backoff": _backoff,
    "accepts": _accepts,
    "blocking": _flag,
    "copy_state": _flag,
    "isolation": _isolation,
    "supervision": _supervision,
}
