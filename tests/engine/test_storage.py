"""What durable runtimes hand to their journal: each hears whether its own is stored."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from agentrt import JournalError, RuntimeManager
from agentrt.journal import SQLiteJournal
from agentrt.journal import writer as writers
from tests.support import add


def test_a_disk_that_fails_in_the_middle_has_stored_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored is not said to be lost, although what came with it in one turn of the loop is."""

    async def main() -> list[bool]:
        journal = SQLiteJournal(tmp_path / "agents.db")
        async with RuntimeManager(journal, loop="current") as manager:
            runtime = manager.create("a", 0, add)
            runtime.pause()
            await runtime.send(0)
            monkeypatch.setattr(writers, "MOST_HERE", 2)
            transactions = count()

            def check_files() -> None:
                if next(transactions):
                    raise JournalError("the disk is full")

            monkeypatch.setattr(journal._database.place, "check_files", check_files)
            receipts = [runtime.send_nowait(n) for n in (1, 2, 3, 4)]
            await receipts[0].stored()
        return [await is_stored(receipt) for receipt in receipts]

    assert asyncio.run(main()) == [True, True, False, False]
    with SQLiteJournal(tmp_path / "agents.db") as journal:
        assert [each.activity.payload for each in journal.waiting("a")] == [0, 1, 2]


async def is_stored(receipt: object) -> bool:
    try:
        await receipt.stored()  # type: ignore[attr-defined]
    except JournalError:
        return False
    return True
