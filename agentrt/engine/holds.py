"""Holds: what keeps a runtime from taking the next activity, and what lets one pass."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..activity import Activity
from .fields import EntryFields
from .mailbox import PrioritizedMailbox
from .protocols import Host
from .question import OpenQuestion

__all__ = ["NOBODY", "Holds"]

NOBODY: frozenset[str] = frozenset()  # whose decision is awaited; one for all, as each `frozenset()` is an object


class Holds(EntryFields):
    """The pause, the steps and the waits of an entry. Any thread may call it; the lock is held."""

    __slots__ = ()

    host: Host
    mailbox: PrioritizedMailbox
    breakpoints: Any
    failures: deque[float] | None
    done: int
    current: Activity[Any] | None
    question: OpenQuestion | None
    awaits: frozenset[str]
    paused: bool
    failed: bool
    held: bool
    parked: bool
    steps: int

    @property
    def is_halted(self) -> bool:
        """Whether a command, its workflow, its supervisor, its group or a move keeps it from taking more."""
        return self.paused or self.failed or bool(self.awaits)

    @property
    def is_gated(self) -> bool:
        """Whether something is asked before each activity."""
        return bool(self.breakpoints) or self.question is not None

    def go_on(self) -> bool:
        """Let an activity that is stopped inside go on; whether there was one."""
        return self.breakpoints is not None and self.breakpoints.go_on()

    # ---- pause and steps. Each is set together with `held`: nothing can interrupt it in between.

    def pause(self) -> None:
        """Take nothing more after the current activity."""
        self.paused = self.held = True

    def pause_by_command(self) -> bool:
        """Pause it, or make the pause of its workflow that of a command; whether it was not paused before."""
        question = self.question
        is_new = not self.paused or (question is not None and question.is_early)
        if is_new:
            self.pause()
        if question is not None:
            self.steps = 0 if question.is_open else self.steps  # no answer passes it
            question.is_open = question.is_early = False
        return is_new

    def resume(self) -> bool:
        """Go on after a pause; False if an answer runs, with which it ends. What is asked is decided with it."""
        question = self.question
        if question is not None and question.is_next(self.current):
            self.go_on()
            return False
        kept = question if question is not None and (question.asks is not None or question.answers) else None
        held = self.failed or bool(self.awaits) or bool(self.breakpoints) or kept is not None
        self.paused, self.steps, self.question, self.held = False, 0, kept, held
        if question is not None:
            question.is_open = False
        if kept is not None and kept.asks is not None:
            self.paused = self.held = kept.is_early = True
        self.go_on()
        return True

    def allow_steps(self, n: int) -> int:
        """Let `n` more of what waits through a pause; how many there are now."""
        self.steps = min(self.steps + n, len(self.mailbox))
        return self.steps

    def allow_next(self, allowed: bool) -> None:
        """Let the next one of what waits through a pause, or none."""
        self.steps = int(allowed)

    def use_step(self) -> bool:
        """Whether one more may be taken while paused; uses up the permission."""
        if self.failed or self.awaits or self.steps <= 0 or not len(self.mailbox):
            return False
        self.steps -= 1
        return True

    def park(self) -> bool:
        """End the processing while the runtime is held, but stay scheduled: no send wakes it; False if it goes on."""
        if not self.is_halted or (self.steps > 0 and len(self.mailbox) and not (self.failed or self.awaits)):
            return False
        self.steps = self.steps if self.awaits else 0
        self.parked = True
        return True

    def unpark(self) -> None:
        """Start the processing again, if it was parked and may go on."""
        if self.parked and not self.awaits and (not self.is_halted or self.steps > 0):
            self.host.wake(self)
            self.parked = False  # last: a call that is interrupted before it is completed by the next one

    def lift_pause(self) -> None:
        """Nothing holds it any longer."""
        self.paused, self.awaits, self.question, self.held, self.steps = False, NOBODY, None, False, 0
        self.go_on()

    # ---- others that hold it

    def recover(self) -> None:
        """Take activities again after its supervisor stopped it."""
        self.failed, self.failures, self.held = False, None, self.paused or bool(self.awaits) or self.is_gated
        if self.question is not None and self.question.is_open:
            self.allow_next(bool(self.question.answers))

    def await_decision(self, about: str) -> None:
        """Take nothing more until its group, which is on several nodes, or a move has decided."""
        self.awaits, self.held = self.awaits | {about}, True

    def end_wait(self, about: str) -> None:
        """That is decided."""
        left = self.awaits - {about}
        self.awaits, self.held = left, self.paused or self.failed or bool(left) or self.is_gated
        self.unpark()

    # ---- what its workflow asks

    def request_pause(self, id: int, why: str) -> None:
        """An activity asks: the runtime is paused once that one is done."""
        question = self.question or OpenQuestion(self.done)
        question.is_early = question.is_early or not self.paused
        question.asks, question.why = id, why
        self.question, self.paused, self.held = question, True, True

    def forget_request(self) -> None:
        """The activity that asks has failed, for now or for good."""
        question = self.question
        if question is not None and question.asks is not None:
            paused = self.paused and not question.is_early
            question.asks, question.is_early = None, False
            self.paused, self.held = paused, True  # by the question, which the next look ends

    def set_question(self, question: OpenQuestion) -> None:
        """Look at this question before each activity, until it is over."""
        self.question, self.held = question, True

    def end_question(self) -> None:
        """Look at it no longer."""
        self.question, self.held = None, self.is_halted or bool(self.breakpoints)

    def withdraw_question(self) -> bool:
        """Forget what its workflow asks; whether that had paused it."""
        question = self.question
        if question is None:
            return False
        self.forget_request()
        had_paused = question.is_open and question.by_workflow
        if had_paused:
            self.paused, self.steps = False, 0
        self.end_question()
        self.unpark()
        return had_paused
