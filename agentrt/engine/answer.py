"""How a runtime that is paused gets an answer and goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..activity import Lane
from ..errors import AgentError
from ..receipt import Receipt
from .commands import move
from .entry_state import EntryState
from .question import OpenQuestion, settle_request

__all__ = ["await_answer", "resume_on_answer", "settle"]

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
        question.answers.append(receipt)
        entry.set_question(question)
        if question.is_open:
            entry.allow_next(True)
        entry.unpark()


def resume_on_answer(entry: Entry) -> None:
    """End the pause if the answer is done, before others have a turn of the loop. The loop's thread.

    One activity at most was processed since the last look. By the count of those that are done it is known whether that
    one is, also while its receipt waits for the journal.
    """
    with entry.host.lock:
        question = entry.question
        if question is None:
            return
        _prune_answers(entry, question)
        if question.is_answered(entry.done):
            entry.resume()
            entry.record_event("resumed")


def settle(entry: Entry) -> None:
    """Decide what became of a question, before the next activity is taken. The loop's thread."""
    with entry.host.lock:
        question = entry.question
        if question is None:
            return
        resume_on_answer(entry)
        settle_request(entry)
        question.next, question.done = None, entry.done  # last: what is interrupted before is done again
        if question.is_open:
            entry.allow_next(False)
        elif entry.question is question and not question.answers:
            entry.end_question()
    if question.is_open:
        _let_pass(entry, question)


def _let_pass(entry: Entry, question: OpenQuestion) -> None:
    """Have the first answer that is still in time be the next activity."""
    for receipt in tuple(question.answers):
        with suppress(AgentError):  # another thread has dropped it
            if entry.mailbox.where(receipt.id) is not Lane.PRIORITY or _first(entry) != receipt.id:
                move(entry, receipt.id, lane=Lane.PRIORITY, first=True)
        entry.mailbox.prefer_priority()
        entry.mailbox.next_lane()  # what is past its deadline comes to its end here
        with entry.host.lock:
            _prune_answers(entry, question)
            if _first(entry) == receipt.id and receipt in question.answers:
                question.next = receipt
                entry.allow_next(True)
                return


def _first(entry: Entry) -> int | None:
    """The id of what is taken next."""
    entry.mailbox.prefer_priority()
    first = entry.mailbox.peek()
    return None if first is None else first.id


def _prune_answers(entry: Entry, question: OpenQuestion) -> None:
    """Forget the answers that wait no longer. The lock is held."""
    question.answers = [each for each in question.answers if entry.mailbox.where(each.id) is not None]
