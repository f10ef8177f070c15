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
from .schema.numbers import LONGEST, count, number, optional_seconds, refuse, seconds
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
        checked = (
            seconds("first", self.first, endless=False),
            number("factor", self.factor, "a number of at least 0"),
            seconds("most", self.most),
            number("jitter", self.jitter, "a number from 0 to 1", 0.0, 1.0),
        )
        for name, value in zip(self.__struct_fields__, checked, strict=True):
            msgspec.structs.force_setattr(self, name, value)

    def before(self, retry: int, chance: random.Random) -> float:
        """Seconds to wait before retry number `retry` (1 is the first)."""
        wait = min(self._base_wait(retry - 1), self.most, LONGEST / 2)  # so that jitter can't double it beyond that
        return wait * (1 + self.jitter * (2 * chance.random() - 1))

    def _base_wait(self, times: int) -> float:
        """The first wait after it has grown so many times; infinite where no float is large enough."""
        try:
            return self.first * self.factor**times if self.first else 0.0
        except OverflowError:
            return math.inf


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
    return count(name, value, least=1)


def check_fairness(name: str, value: Any) -> int | None:
    """Return the fairness, or raise `ConfigurationError` unless it is a positive whole number or None."""
    if value is None:
        return None
    return count(name, value, least=1, what="a whole number of at least 1, or None for strict priority")


def _seconds(name: str, value: Any) -> float:
    return seconds(name, value, positive=True)


def _optional_seconds(name: str, value: Any) -> float | None:
    return optional_seconds(name, value, positive=True)


def _cpu(name: str, value: Any) -> float | None:
    return optional_seconds(name, value, positive=True, endless=False)


def _bytes(name: str, value: Any) -> int | None:
    if value is None:
        return None
    return count(name, value, least=1, what="a whole number of bytes, or None for no limit")


def _rate(name: str, value: Any) -> float | None:
    if value is None:
        return None
    return number(name, value, "activities per second above 0, or None for no limit", above=True)


def _retries(name: str, value: Any) -> int:
    return count(name, value)


def _overflow(name: str, value: Any) -> Overflow:
    try:
        return Overflow(value)
    except ValueError:
        raise refuse(name, value, f"one of {', '.join(Overflow)}") from None


def _backoff(name: str, value: Any) -> Backoff:
    if isinstance(value, Backoff):
        return value
    return Backoff(first=seconds(name, value, positive=True, endless=False))


def _accepts(name: str, value: Any) -> Any:
    why = annotation_problem(value)
    if why is not None:
        raise ConfigurationError(f"accepts can't be checked: {why}; give a type, such as int or list[int], or several")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise refuse(name, value, "True or False")
    return value


ISOLATIONS = ("process", "process-pickle")


def _isolation(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value in ISOLATIONS):
        what = "None, 'process', or 'process-pickle', with which code of the other process can run in this one"
        raise refuse(name, value, what)
    return value


def _supervision(name: str, value: Any) -> Supervision:
    return Supervision.of(value)


_RULES: dict[str, Callable[[str, Any], Any]] = {
    "priority_capacity": check_capacity,
    "standard_capacity": check_capacity,
    "fairness": check_fairness,
    "timeout": _optional_seconds,
    "deadline": _optional_seconds,
    "cpu": _cpu,
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
