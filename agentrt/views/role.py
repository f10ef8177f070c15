"""Every command that a view gives, under the role of its page. A disabled button protects nothing: each is checked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ..errors import AgentError
from ..feed.entrance import Role, check_role, entrance
from ..feed.source import COMMANDS, Reply, Source

__all__ = ["Commands", "Role"]

KNOBS = ("timeout", "retries", "priority_capacity", "standard_capacity", "overflow", "fairness", "paused")


class Commands:
    """The commands of a page on a source, with the role of the page. Any thread.

    `command` and `submit` raise what is wrong. The others return whether it was done; a refusal, by the role or by the
    runtime, is passed to `tell(text, wrong)` as one line, and nothing has changed. `who` is recorded with each command.
    `evaluator`: whether expressions may be worked out, which can do whatever the program can.
    """

    def __init__(
        self,
        source: Source,
        *,
        role: Role = Role.OPERATOR,
        who: str = "notebook",
        tell: Callable[[str, bool], Any] | None = None,
        evaluator: bool = True,
    ) -> None:
        self.source = source
        self.evaluator = evaluator
        self.role = role
        self.who = who
        self.tell = tell or (lambda text, wrong: None)

    def report_to(self, tell: Callable[[str, bool], Any]) -> Commands:
        """The same commands, whose refusals are passed to `tell(text, wrong)`."""
        return Commands(self.source, role=self.role, who=self.who, tell=tell, evaluator=self.evaluator)

    @property
    def may_steer(self) -> bool:
        """Whether commands of this page are carried out: the role allows it, and the source can."""
        return self.role is Role.OPERATOR and bool(COMMANDS & self.source.capabilities)

    @property
    def may_evaluate(self) -> bool:
        """Whether expressions that are typed on this page are worked out."""
        return self.may_steer and self.evaluator

    def check(self, what: str) -> None:
        """Raise `AccessDeniedError` unless this page may steer."""
        check_role(self.role, self.source, what)

    # ---- commands of the source

    def command(self, name: str, id: str = "", /, **arguments: Any) -> Reply:
        """`Source.command` under this page's role. Raises `AccessDeniedError` and what the source raises."""
        with entrance(self.source, self.role, self.who, name, self.evaluator):
            return self.source.command(name, id, **arguments)

    def submit(self, name: str, id: str = "", /, **arguments: Any) -> Future[Reply]:
        """`Source.submit` under this page's role. Raises `AccessDeniedError` and `ManagerClosedError`."""
        with entrance(self.source, self.role, self.who, name, self.evaluator):
            return self.source.submit(name, id, **arguments)

    def do(self, what: str, act: Callable[[], Any]) -> bool:
        """Call `act()`, which gives commands, unless the role forbids it: `do("send to JFK", lambda: ...)`."""
        try:
            self.check(what)
            act()
        except AgentError as error:
            self.tell(str(error), True)
            return False
        self.tell("", False)
        return True

    # ---- by name

    def pause(self, id: str) -> bool:
        """Take nothing more after the activity that runs now."""
        return self._one("pause", id)

    def resume(self, id: str) -> bool:
        """Continue after a pause."""
        return self._one("resume", id)

    def step(self, id: str) -> bool:
        """Pause, and process the next waiting activity."""
        return self._one("step", id)

    def recover(self, id: str) -> bool:
        """Continue after the supervisor stopped it."""
        return self._one("recover", id)

    def terminate(self, id: str) -> bool:
        """End it now; what waits goes to the dead letters."""
        return self._one("terminate", id)

    def _one(self, name: str, id: str) -> bool:
        return self.do(f"{name} {id}", lambda: self.command(name, id))

    def pause_all(self) -> bool:
        """Pause every runtime that is not over."""
        return self.do("pause all", lambda: self.command("pause_all"))

    def resume_all(self) -> bool:
        """Resume every runtime that is not over."""
        return self.do("resume all", lambda: self.command("resume_all"))

    def toggle(self, id: str) -> bool:
        """Resume a runtime that is paused, pause it otherwise."""
        settings = self.source.settings(id)
        return (self.resume if settings is not None and settings.paused else self.pause)(id)

    def set(self, id: str, knob: str, value: Any) -> bool:
        """Set one limit of a runtime."""
        if knob not in KNOBS:
            raise ValueError(f"{knob!r} is not a knob; there are {', '.join(KNOBS)}")
        return self.do(f"change {knob.replace('_', ' ')}", lambda: self.command("set", id, name=knob, value=value))

    def speed(self, factor: float) -> bool:
        """Let the clock run faster or slower."""
        return self.do("change the speed", lambda: self.command("set_speed", speed=factor))
