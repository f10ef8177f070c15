"""OpenQuestion: what a workflow asks with `ctx.pause`, and the answers that wait."""

from __future__ import annotations

from typing import Any

__all__ = ["OpenQuestion", "settle_request"]


class OpenQuestion:
    """What a workflow asks, until its runtime goes on.

    The runtime is paused at once, so that whoever finds the activity done finds that too. It is recorded, stored and
    kept when the activity is done, and taken back when that fails. An activity that answers ends the pause when it is
    done, unless it asks in its turn.
    """

    __slots__ = ("answers", "asks", "done", "is_early", "is_open", "next", "why")

    def __init__(self, done: int) -> None:
        self.asks: int | None = None  # the id of the activity that asks; None once that is over
        self.why = ""
        self.is_early = False  # whether the pause is there for that one only, and not recorded yet
        self.is_open = False  # whether the runtime is paused for what was asked
        self.answers: list[int] = []  # the ids of those that wait
        self.next: int | None = None  # the one that was let through at the last look
        self.done = done  # how many activities of the runtime were done at the last look


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
    question.is_open, question.is_early = True, False
    entry.set_question(question)
    question.asks = None  # last: a call that is interrupted before is completed by the next one
