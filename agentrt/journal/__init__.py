"""The journal: what was accepted survives. It stands on its own: a plain asyncio program can use it too.

>>> from agentrt import Activity
>>> journal = MemoryJournal()
>>> journal.append(Created(runtime="counter", state=0))
>>> journal.append(Accepted(activity=Activity(id=1, runtime="counter", payload=5)))
>>> journal.append(Committed(runtime="counter", activity=1, state=5))
>>> journal.state("counter"), journal.find("counter").counts
(5, {'accepted': 1, 'done': 1})
"""

from .codec import Codec
from .memory import MemoryJournal, MemoryLog
from .protocol import (
    UNCHANGED,
    Accepted,
    Changed,
    Committed,
    Created,
    EffectDone,
    Journal,
    LetterClosed,
    Removed,
    StoredLetter,
    StoredRuntime,
    WaitingActivity,
    Write,
)
from .retention import Retention
from .salvage import Findings, check_journal, repair_journal
from .sqlite import SQLiteJournal
from .stored_types import register

__all__ = [
    "UNCHANGED",
    "Accepted",
    "Changed",
    "Codec",
    "Committed",
    "Created",
    "EffectDone",
    "Findings",
    "Journal",
    "LetterClosed",
    "MemoryJournal",
    "MemoryLog",
    "Removed",
    "Retention",
    "SQLiteJournal",
    "StoredLetter",
    "StoredRuntime",
    "WaitingActivity",
    "Write",
    "check_journal",
    "register",
    "repair_journal",
]
