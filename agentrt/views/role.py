"""Who may do what in a view, and every command a view gives. A disabled button protects nothing: the check is here."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from ..engine.commands import ACTOR
from ..errors import AccessDeniedError, AgentError

__all__ = ["Commands", "Role"]

KNOBS = ("timeout", "retries", "priority_capacity", "standard_capacity", "overflow", "fairness", "paused")


class Role(StrEnum):
    """What the holder of a page may do: look, or look and steer."""

    OPERATOR = "operator"
    VIEWER = "viewer"


class Commands:
    """Every command a view can give, with the role of its page. Each returns whether it was done.

    A command that is refused, by the role or by the runtime, is said in one line through `tell(text, wrong)` and leaves
    everything as it was. `who` goes on the record with each. Safe on any thread.
    """

    def __init__(
        self,
        manager: Any,
        *,
        role: Role = Role.OPERATOR,
        who: str = "notebook",
        tell: Callable[[str, bool], Any] | None = None,
    ) -> None:
        self.manager = manager
        self.role = role
        self.who = who
        self.tell = tell or (lambda text, wrong: None)

    @property
    def may_steer(self) -> bool:
        """Whether this page's commands are carried out."""
        return self.role is Role.OPERATOR

    def check(self, what: str) -> None:
        """Raise `AccessDeniedError` unless this page may steer."""
        if not self.may_steer:
            raise AccessDeniedError(f"This link is for looking only: to {what}, open the operator's link.")

    def pause(self, runtime: Any) -> bool:
        """Take nothing more after the activity that runs now."""
        return self.do(f"pause {runtime.id}", runtime.pause)

    def resume(self, runtime: Any) -> bool:
        """Go on."""
        return self.do(f"resume {runtime.id}", runtime.resume)

    def step(self, runtime: Any) -> bool:
        """Let one activity through."""
        return self.do(f"step {runtime.id}", runtime.step)

    def recover(self, runtime: Any) -> bool:
        """Go on after the supervisor stopped it."""
        return self.do(f"recover {runtime.id}", runtime.recover)

    def terminate(self, runtime: Any) -> bool:
        """End it now; what waits goes to the dead letters."""
        return self.do(f"terminate {runtime.id}", runtime.terminate)

    def pause_all(self) -> bool:
        """Pause every runtime that is not over."""
        return self.do("pause all", lambda: [each.pause() for each in self._going()])

    def resume_all(self) -> bool:
        """Resume every runtime that is not over."""
        return self.do("resume all", lambda: [each.resume() for each in self._going()])

    def set(self, runtime: Any, knob: str, value: Any) -> bool:
        """Turn one knob of a runtime."""
        if knob not in KNOBS:
            raise ValueError(f"{knob!r} is not a knob; there are {', '.join(KNOBS)}")
        return self.do(f"change {knob.replace('_', ' ')}", lambda: setattr(runtime, knob, value))

    def speed(self, factor: float) -> bool:
        """Let the manager's clock run faster or slower."""
        return self.do("change the speed", lambda: setattr(self.manager, "speed", factor))

    def do(self, what: str, act: Callable[[], Any]) -> bool:
        """Do anything else under the same check and record: `do("send to JFK", lambda: runtime.send_nowait(1))`."""
        token = ACTOR.set(self.who)
        try:
            self.check(what)
            act()
        except AgentError as error:
            self.tell(str(error), True)
            return False
        finally:
            ACTOR.reset(token)
        self.tell("", False)
        return True

    def _going(self) -> list[Any]:
        return [each for each in self.manager.runtimes() if each.status not in ("terminated", "failed")]
