"""Faults that a scenario is explored with: at most one in each schedule, at any place where it makes a difference."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, get_args

import msgspec

from ...schema.numbers import refuse

__all__ = ["Fault", "check_faults", "offer_duplicate", "offer_lost_timer"]

Fault = Literal["crash", "duplicate", "lost_timer"]


def check_faults(faults: Any) -> tuple[str, ...]:
    """The names of the faults, one or several of them."""
    names = (faults,) if isinstance(faults, str) else faults
    known = get_args(Fault)
    if not isinstance(names, Iterable) or not set(names := tuple(names)) <= set(known):
        raise refuse("faults", faults, f"any of {', '.join(map(repr, known))}")
    return tuple(dict.fromkeys(names))


def offer_duplicate(trial: Any, entry: Any, activity: Any) -> None:
    """An activity that was accepted may be delivered a second time, as by a sender that has not heard of the first."""
    trial.offer_fault(("duplicate", activity.id), f"{entry.id} again", partial(_deliver_again, trial, entry, activity))


def _deliver_again(trial: Any, entry: Any, activity: Any) -> None:
    if entry.is_refusing:
        return
    receipt = entry.new_receipt(entry.host.number())
    trial.opened.add(receipt.id)  # nobody waits for its error
    with entry.host.lock:
        entry.enqueue(msgspec.structs.replace(activity, id=receipt.id, receipt=receipt, key=None))


def offer_lost_timer(trial: Any, entry: Any, activity: Any) -> None:
    """The timer of a delayed activity may be lost: it is never due."""
    trial.offer_fault(("lost_timer", activity.id), f"{entry.id} loses a timer", partial(_lose, entry, activity.id))


def _lose(entry: Any, id: int) -> None:
    entry.note_command()
    entry.mailbox.lose_timer(id)
