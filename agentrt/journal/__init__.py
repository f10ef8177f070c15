"""The journal: what was accepted survives. It stands on its own: a plain asyncio program can use it too.

>>> from agentrt import Activity
>>> journal = MemoryJournal()
>>> journal.append(Created(runtime="counter", state=0))
>>> journal.append(Accepted(activity=Activity(id=1, runtime="counter", payload=5)))
>>> journal.append(Committed(runtime="counter", activity=1, state=5))
>>> journal.state("counter"), journal.find("counter").counts
(5, {'accepted': 1, 'done': 1})

In a program with a loop, `put` waits until it is on the disk. Writes that come together share one commit:

>>> import asyncio, tempfile
>>> async def work(journal, number):
...     await journal.put(Accepted(activity=Activity(id=number, runtime="counter", payload=number)))
...     await journal.put(Committed(runtime="counter", activity=number, state=number))
>>> async def main(path):
...     with SQLiteJournal(path) as journal:
...         await journal.put(Created(runtime="counter", state=0))
...         await asyncio.gather(*(work(journal, number) for number in range(1, 11)))
...     with SQLiteJournal(path) as journal:  # after a restart, or a crash
...         return journal.find("counter").counts, list(journal.waiting("counter"))
>>> with tempfile.TemporaryDirectory() as folder:
...     asyncio.run(main(f"{folder}/agents.db"))
({'accepted': 10, 'done': 10}, [])
"""

from .codec import Codec
from .memory import MemoryJournal, MemoryLog
from .postgres import PostgresJournal, copy_journal
from .protocol import (
    UNCHANGED,
    Accepted,
    Changed,
    Committed,
    Created,
    EffectDone,
    Journal,
    LetterClosed,
    LetterKept,
    Removed,
    StoredLetter,
    StoredRuntime,
    StoredWhole,
    Unreadable,
    WaitingActivity,
    Write,
)
from .reader import JournalReader
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
    "JournalReader",
    "LetterClosed",
    "LetterKept",
    "MemoryJournal",
    "MemoryLog",
    "PostgresJournal",
    "Removed",
    "Retention",
    "SQLiteJournal",
    "StoredLetter",
    "StoredRuntime",
    "StoredWhole",
    "Unreadable",
    "WaitingActivity",
    "Write",
    "check_journal",
    "copy_journal",
    "register",
    "repair_journal",
]
