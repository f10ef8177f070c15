"""OpenQuestion: what a workflow asks with `ctx.pause`, and the answers that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..receipt import Receipt

__all__ = ["OpenQuestion", "settle_request"]


class OpenQuestion:
    """What a workflow asks, until its runtime goes on.

    The runtime is paused at once, so that whoever finds the activity done finds that too. It is recorded, stored and
    kept when the activity is done, and taken back when that fails. An activity that answers ends the pause when it is
    done, unless it asks in its turn.
    """

    __slots__ = ("answers", "asks", "by_workflow", "done", "is_early", "is_open", "next", "why")

    def __init__(self, done: int) -> None:
        self.asks: int | None = None  # the id of the activity that asks; None once that is over
        self.why = ""
        self.is_early = False  # whether the pause is there for that one only, and not recorded yet
        self.is_open = False  # whether the runtime is paused for what was asked
        self.by_workflow = False  # whether it is, and not by a command
        self.answers: list[Receipt] = []  # of those that wait
        self.next: Receipt | None = None  # of the one that was let through at the last look
        self.done = done  # how many activities of the runtime were done at the last look

    def is_next(self, activity: Any) -> bool:
        """Whether an activity is the answer that was let through at the last look."""
        return self.next is not None and activity is not None and activity.id == self.next.id

    def is_answered(self, done: int) -> bool:
        """Whether the answer that was let through is done, where so many activities of the runtime are done now."""
        if self.next is None or self.next in self.answers or not self.is_open:
            return False
        outcome = self.next.value  # that of a durable runtime comes when it is stored
        return done > self.done if outcome is None else outcome.kind == "done"


def settle_request(entry: Any) -> None:
    """Keep the pause that an activity has asked for, if it is done. Any thread; the lock is held."""
    question: OpenQuestion | None = entry.question
    if question is None or question.asks is None or entry.current is not None:
        return
    if entry.done == question.done or entry.ended is not None:
        entry.forget_request()
        return
    if entry.paused and not question.is_early:
        entry.resume()
        entry.record_event("resumed")
    entry.pause()
    entry.record_event("paused", {"activity": question.asks, "why": question.why})
    question.is_open, question.by_workflow, question.is_early = True, True, False
    entry.set_question(question)
    question.asks = None  # last: a call that is interrupted before is completed by the next one
