"""How far the journal is, in words: what is stored, how much waits for that, and why nothing can be stored."""

from __future__ import annotations

from ..feed.source import JournalStanding
from .html import Markup, fragment
from .text import byte_size, duration, quantity, safe_text

__all__ = ["SOON", "is_behind", "is_unsettled", "journal_problem", "journal_sentence"]

SOON = 0.1  # real seconds: a disk that takes less is not worth a word


def journal_sentence(journal: JournalStanding) -> Markup:
    """Whether everything is stored, how much waits for that and for how long, and how large the journal is.

    >>> print(journal_sentence(JournalStanding("agents.db", 12_345_678, pending=3, lag=0.001)))
    Everything is stored within 0.1 s in agents.db (12.3 MB).
    >>> print(journal_sentence(JournalStanding("agents.db", 1_200, pending=2_000, lag=2.5)))
    2,000 writes wait to be stored, for up to 2.5 s. The journal agents.db takes 1.2 kB.
    """
    name, size = safe_text(journal.name, 60), byte_size(journal.size)
    if is_behind(journal):
        waiting = f"{quantity(journal.pending, 'write')} {'waits' if journal.pending == 1 else 'wait'} to be stored"
        return fragment(waiting, f", for up to {duration(journal.lag)}. The journal {name} takes {size}.")
    return fragment(f"Everything is stored within {SOON:g} s in ", name or "memory", f" ({size}).")


def is_behind(journal: JournalStanding) -> bool:
    """Whether something waits to be stored for longer than a disk should take."""
    return bool(journal.error) or (journal.pending > 0 and journal.lag >= SOON)


def is_unsettled(journal: JournalStanding | None) -> bool:
    """Whether what is said of it changes soon, without a record."""
    return journal is not None and (journal.pending > 0 or bool(journal.error))


def journal_problem(journal: JournalStanding | None) -> str:
    """What is wrong with it, in one sentence; empty if nothing is."""
    if journal is None or not journal.error:
        return ""
    return f"Nothing can be stored, and nothing is accepted until it can: {journal.error}."
