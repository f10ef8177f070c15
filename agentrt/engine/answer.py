"""How a runtime that is paused gets an answer and goes on."""

from __future__ import annotations

from typing import Any

from ..activity import Lane
from ..receipt import Receipt
from .commands import move
from .entry_state import EntryState
from .question import OpenQuestion, settle_request

__all__ = ["await_answer", "settle"]

Entry = EntryState[Any, Any]


def await_answer(entry: Entry, receipt: Receipt) -> None:
    """Let what was sent pass the pause, before all else, and end the pause once it is done. Any thread.

    Where the runtime is not paused, and nothing is asked, there is nothing to do.
    """
    with entry.host.lock:
        settle_request(entry)
        question = entry.question
        if receipt.value is not None or entry.closed or not (entry.paused or question):
            return
        question = question or OpenQuestion(entry.done)
        question.is_open = question.is_open or (entry.paused and not question.is_early)
        question.answers.append(receipt.id)
        entry.set_question(question)
        if question.is_open:
            entry.allow_next(True)
        entry.unpark()


def settle(entry: Entry) -> None:
    """Decide what became of a question, before the next activity is taken. The loop's thread.

    One activity at most was processed since the last look. By the count of those that are done it is known whether that
    one is, also while its receipt waits for the journal.
    """
    with entry.host.lock:
        question = entry.question
        if question is None:
            return
        question.answers = [id for id in question.answers if entry.mailbox.where(id) is not None]
        is_answered = question.next is not None and question.next not in question.answers
        if is_answered and question.is_open and entry.done > question.done:
            entry.resume()
            entry.record_event("resumed")
        question.next = None
        settle_request(entry)
        question.done = entry.done
        if not question.is_open:
            if entry.question is question:
                entry.end_question()
            return
        question.next = next(iter(question.answers), None)
        entry.allow_next(question.next is not None)
        entry.mailbox.prefer_priority()
        first = entry.mailbox.peek()
    if question.next is not None and (first is None or first.id != question.next):
        move(entry, question.next, lane=Lane.PRIORITY, first=True)
