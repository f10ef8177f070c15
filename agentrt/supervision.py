"""What to do about failures: a pure decision, in Erlang's words."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from .errors import ConfigurationError

__all__ = ["Policy", "Supervision", "decide"]


class Policy(StrEnum):
    """What happens once a runtime fails too often."""

    CONTINUE = "continue"
    RESTART = "restart"
    STOP = "stop"
    ESCALATE = "escalate"


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

    def __post_init__(self) -> None:
        try:
            msgspec.structs.force_setattr(self, "policy", Policy(self.policy))
        except ValueError:
            raise ConfigurationError(f"policy is {self.policy!r}; it must be one of {', '.join(Policy)}") from None
        if not isinstance(self.intensity, int) or self.intensity < 1 or not self.period > 0:
            raise ConfigurationError("intensity must be a whole number of at least 1, period seconds above 0")

    @classmethod
    def of(cls, value: Supervision | str | None) -> Supervision:
        """A policy's name, a Supervision, or None for the default."""
        if isinstance(value, Supervision):
            return value
        return cls() if value is None else cls(policy=value)  # type: ignore[arg-type]


def decide(supervision: Supervision, failures: Sequence[float], now: float) -> Policy:
    """What to do, given when the last failures happened (the newest included). Pure.

    >>> decide(Supervision("stop", intensity=2, period=10), [0, 1], now=1) is Policy.STOP
    True
    >>> decide(Supervision("stop", intensity=2, period=10), [0, 20], now=20) is Policy.CONTINUE
    True
    """
    recent = sum(1 for at in failures if now - at <= supervision.period)
    return supervision.policy if recent >= supervision.intensity else Policy.CONTINUE
