"""What to do about failures: a pure decision, in Erlang's words."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import msgspec

from .schema.numbers import count, refuse, seconds

__all__ = ["Policy", "Response", "Rule", "Strategy", "Supervision", "decide", "respond"]


class Policy(StrEnum):
    """What happens once a runtime fails too often."""

    CONTINUE = "continue"
    RESTART = "restart"
    STOP = "stop"
    ESCALATE = "escalate"


PolicyName = Literal["continue", "restart", "stop", "escalate"]


class Supervision(msgspec.Struct, frozen=True):
    """`intensity` failures within `period` seconds (manager's clock) trip the `policy`.

    `continue`: nothing but the count. `restart`: the initial state again, the mailbox kept. `stop`: status FAILED, the
    mailbox kept, until `recover()`. `escalate`: the runtime's group decides; without a group it is `stop`.
    The default, 5 in 60 s and `continue`, never stops anything.

    >>> Supervision(policy="stop").intensity
    5
    """

    policy: Policy = Policy.CONTINUE
    intensity: int = 5
    period: float = 60.0

    if TYPE_CHECKING:

        def __init__(
            self, policy: Policy | PolicyName = Policy.CONTINUE, intensity: int = 5, period: float = 60.0
        ) -> None: ...

    def __post_init__(self) -> None:
        _use_word(self, "policy", Policy)
        _check_intensity(self, least=1)

    @classmethod
    def of(cls, value: Supervision | Policy | PolicyName | None) -> Supervision:
        """Read a policy, a Supervision, or None for the default."""
        if isinstance(value, Supervision):
            return value
        return cls() if value is None else cls(policy=value)


def decide(supervision: Supervision, failures: Sequence[float], now: float) -> Policy:
    """What to do, given when the last failures happened (the newest included). Pure.

    >>> decide(Supervision("stop", intensity=2, period=10), [0, 1], now=1) is Policy.STOP
    True
    >>> decide(Supervision("stop", intensity=2, period=10), [0, 20], now=20) is Policy.CONTINUE
    True
    """
    recent = sum(1 for at in failures if now - at <= supervision.period)
    return supervision.policy if recent >= supervision.intensity else Policy.CONTINUE


class Strategy(StrEnum):
    """Whom the failure of one child concerns."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


StrategyName = Literal["one_for_one", "one_for_all", "rest_for_one"]


class Rule(msgspec.Struct, frozen=True):
    """How a group answers the failure of a child. `intensity` restarts within `period` seconds are made, not one more.

    `strategy` says who is concerned: the child alone, all children, or the child and those that joined after it.
    `policy` says what happens to them: `restart`, `stop`, `continue` (nothing), `escalate` (to the parent, at once).
    The restart after the last one allowed is not made: the group escalates.

    >>> Rule(strategy="one_for_all").intensity
    5
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    policy: Policy = Policy.RESTART
    intensity: int = 5
    period: float = 60.0

    if TYPE_CHECKING:

        def __init__(
            self,
            strategy: Strategy | StrategyName = Strategy.ONE_FOR_ONE,
            policy: Policy | PolicyName = Policy.RESTART,
            intensity: int = 5,
            period: float = 60.0,
        ) -> None: ...

    def __post_init__(self) -> None:
        _use_word(self, "strategy", Strategy)
        _use_word(self, "policy", Policy)
        _check_intensity(self, least=0)


def _use_word(record: Supervision | Rule, name: str, words: type[StrEnum]) -> None:
    """Replace a field of a new record by the member of the enum that it names."""
    given = getattr(record, name)
    try:
        msgspec.structs.force_setattr(record, name, words(given))
    except ValueError:
        raise refuse(name, given, f"one of {', '.join(words)}") from None


def _check_intensity(record: Supervision | Rule, least: int) -> None:
    count("intensity", record.intensity, least=least)
    msgspec.structs.force_setattr(record, "period", seconds("period", record.period, positive=True))


class Response(msgspec.Struct, frozen=True):
    """What a group does about one failure: whom it restarts and whom it stops, in start order, or that it escalates."""

    restart: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    escalate: bool = False


def respond(rule: Rule, children: Sequence[str], failed: str, failures: Sequence[float], now: float) -> Response:
    """The answer to the failure of `failed`, given the children in start order and when the last failures happened.

    The newest failure is among `failures`. Pure.

    >>> respond(Rule("rest_for_one"), ["a", "b", "c"], "b", [0], now=0).restart
    ('b', 'c')
    >>> respond(Rule(intensity=1), ["a"], "a", [0, 1], now=1).escalate
    True
    """
    if rule.policy is Policy.CONTINUE:
        return Response()
    if rule.policy is Policy.ESCALATE:
        return Response(escalate=True)
    concerned = _concerned_children(rule.strategy, tuple(children), failed)
    if rule.policy is Policy.STOP:
        return Response(stop=concerned)
    if sum(1 for at in failures if now - at <= rule.period) > rule.intensity:
        return Response(escalate=True)
    return Response(restart=concerned)


def _concerned_children(strategy: Strategy, children: tuple[str, ...], failed: str) -> tuple[str, ...]:
    if strategy is Strategy.ONE_FOR_ALL:
        return children
    if strategy is Strategy.REST_FOR_ONE:
        return children[children.index(failed) :]
    return (failed,)
