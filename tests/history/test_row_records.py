"""row_records.py: a file says how everything stands at its end, whatever was let go, and in segments as well."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agentrt import AgentError, Backoff, RuntimeManager, Status
from agentrt.history.file_index import FileIndex
from agentrt.history.moment import Moment
from agentrt.history.replica import Replica
from agentrt.history.row_records import HistoryRecords, StoredChronicle
from agentrt.history.stored import StoredHistory
from agentrt.journal import Codec, Retention, SQLiteJournal
from agentrt.journal.log_copy import LogCopy
from agentrt.journal.rows import AcceptedRow, CommitRow, RuntimeRow, encode_row
from tests.history.shop import count_down
from tests.history.support import plain
from tests.history.test_file_index import write
from tests.support import add

pytestmark = pytest.mark.filterwarnings("ignore:the state of")


def keep_all(activity: Any, state: dict[str, int]) -> dict[str, int]:
    return {**state, f"key {activity.payload % 40}": activity.payload}


CODE: tuple[tuple[Any, Any], ...] = ((add, 0), (count_down, 3), (keep_all, {}))
COMMANDS = [
    "create", "create", "send", "send", "send", "fail", "fail", "urgent", "burst", "delay", "key", "pause", "resume",
    "terminate", "promote", "first", "drop", "edit", "limit", "settle",
]  # fmt: skip


class Day:
    """Random commands to a few runtimes of a durable manager."""

    def __init__(self, manager: RuntimeManager, seed: int) -> None:
        self.manager, self.chance = manager, random.Random(seed)
        self.live: dict[str, Any] = {}

    async def go(self) -> None:
        for _ in range(self.chance.randint(30, 120)):
            command = self.chance.choice(COMMANDS)
            if command == "create":
                self.create()
            elif self.live:
                with suppress(AgentError):  # a full lane, or it is processed already
                    await self.command(command, self.live[self.chance.choice(list(self.live))])
        for runtime in self.live.values():
            runtime.pause()
        await self.settle()

    def create(self) -> None:
        id, (code, state) = self.chance.choice("abcd"), self.chance.choice(CODE)
        if id not in self.live:
            options = {"retries": self.chance.choice([0, 0, 1, 2]), "standard_capacity": self.chance.choice([5, 1_000])}
            self.live[id] = self.manager.create(id, state, code, **options)

    async def command(self, command: str, runtime: Any) -> None:
        chance, items = self.chance, runtime.mailbox_items()
        match command:
            case "send" | "urgent":
                runtime.send_nowait(chance.randint(-4, 6), priority=command == "urgent")
            case "fail":
                runtime.send_nowait(-50, priority=chance.random() < 0.5)
            case "burst":
                for _ in range(chance.randint(2, 12)):
                    runtime.send_nowait(chance.randint(-1, 6), priority=chance.random() < 0.3)
            case "delay":
                runtime.send_nowait(1, delay=chance.choice([2e-6, 900]))  # the shorter is over before it is delivered
            case "key":
                runtime.send_nowait(1, key=chance.choice("xyz"))
            case "terminate":
                await runtime.terminate()
                del self.live[runtime.id]
            case "promote" | "first" | "drop" if items:
                getattr(runtime, command)(chance.choice(items).id)
            case "edit" if items:
                runtime.edit(chance.choice(items).id, chance.randint(0, 9))
            case "limit":
                runtime.timeout = chance.choice([None, 5.0, 9.0])
            case "pause" | "resume":
                getattr(runtime, command)()
            case "settle":
                await self.settle()

    async def settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)


def facts_of(runtime: Any) -> tuple[Any, ...]:
    return runtime.state, runtime.fates(), plain(runtime.mailbox_items()), runtime.status


def run_day(path: Path, seed: int) -> dict[str, Any]:
    """How what waits for nothing stands in the end; its file keeps few rows."""
    keep = Retention(records=random.Random(seed).choice([10, 30, 60]))
    with RuntimeManager(journal=SQLiteJournal(path, keep=keep)) as manager:
        day = Day(manager, seed)
        manager.run(day.go())
        seen = {id: facts_of(runtime) for id, runtime in day.live.items()}
    return seen


SEEDS = [*range(30), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(30, 150))]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_end_is_as_a_reader_saw_it(tmp_path, seed):
    seen = run_day(tmp_path / "agents.db", seed)
    for every in (0, 1, 3):
        history = StoredHistory(tmp_path / "agents.db", every=every)
        moment = Moment(history)
        assert set(moment.ids) == set(seen)
        for id, facts in seen.items():
            # That an activity is processed, or waits to be tried again, is not stored.
            assert facts[-1] is Status.PROCESSING or facts_of(moment[id]) == facts, (every, id)
        history.close()


def test_attempts_before_a_segment_count(tmp_path):
    with RuntimeManager(tmp_path / "agents.db") as manager:
        runtime = manager.create("a", 0, count_down, retries=2, backoff=Backoff(first=0.001))
        manager.run(runtime.send_nowait(-1).wait())
    whole, parts = (StoredHistory(tmp_path / "agents.db", every=every) for every in (0, 1))
    assert whole.chronicle.records[-1].attempts == 3
    for sequence in whole.chronicle.sequences:
        assert repr(parts.chronicle.record(sequence)) == repr(whole.chronicle.record(sequence))
    parts.close()


def accepted(activity: int, rank: float | None = None) -> AcceptedRow:
    return AcceptedRow("a", activity, Codec().encode(activity), False, 1.0, rank=rank)


def continued(**counts: int) -> RuntimeRow:
    return RuntimeRow("a", 1.0, workflow="3f2a", state=Codec().encode(0), counts=counts)


def stand_after(*rows: Any) -> Replica:
    """How the runtime stands after these rows, before which others were let go."""
    found = HistoryRecords(Codec(), enumerate(rows, 10))
    replica = StoredChronicle(found.records, found.numbers, 9).replica("a", 9 + len(rows))
    assert replica is not None
    return replica


def test_a_file_may_begin_between_the_two_rows_of_a_dead_letter(tmp_path):
    letter = CommitRow("a", 1, "dead", 1.0, again=True)
    rows = [letter, continued(accepted=1), accepted(2)]
    log = LogCopy(write(tmp_path / "agents.db", [encode_row(row) for row in rows]))
    assert FileIndex(log, every=1).starts == [1, 2]
    log.close()


def test_what_was_moved_and_then_let_go_is_where_it_was_moved_to():
    replica = stand_after(continued(accepted=2), accepted(5), accepted(3, rank=4.0))
    assert [each.id for each in replica.waiting()] == [3, 5]


def test_the_code_is_known_of_a_runtime_whose_activities_stand_before_its_settings():
    assert stand_after(accepted(2), continued(accepted=1)).workflow == "code 3f2a"


def test_what_was_edited_and_then_let_go_is_counted_once():
    replica = stand_after(continued(accepted=2), accepted(5), accepted(3), continued(accepted=2))
    assert replica.fates.accepted == 2
