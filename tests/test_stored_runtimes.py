"""stored_runtimes.py: a manager with a file, on a thread of its own."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agentrt import (
    Activity,
    ConfigurationError,
    JournalError,
    ManagerClosedError,
    RuntimeManager,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from agentrt.journal import Retention, SQLiteJournal
from tests.harness.wait import PATIENCE, wait_until
from tests.support import add, collect


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


def test_a_path_is_all_it_takes(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        assert manager.run(manager.create("sum", 0, add).ask(5)) == 5
        assert [each.id for each in manager.journal.runtimes()] == ["sum"]
        assert f"<SQLiteJournal {file}" in repr(manager)
    assert f"<SQLiteJournal {file} closed>" in repr(manager)
    with RuntimeManager(journal=str(file)) as manager:
        runtime = manager.create("sum", 0, add)
        assert (runtime.resumed, runtime.state) == (True, 5)
        assert runtime.send_nowait(1).result(PATIENCE).state == 6


def test_what_was_sent_right_before_the_end_is_stored(file: Path) -> None:
    with RuntimeManager(journal=SQLiteJournal(file, keep=Retention(records=1000))) as manager:
        runtime = manager.create("list", (), collect)
        runtime.pause()
        for each in range(100):
            runtime.send_nowait(each)
    with RuntimeManager(journal=file) as manager:
        assert [each.payload for each in manager.create("list", (), collect).mailbox_items()] == list(range(100))


def test_receipts_are_decided_at_the_end(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        runtime = manager.create("list", (), collect)
        receipts = [runtime.send_nowait(each) for each in range(200)]
    assert all(each.outcome is not None for each in receipts)
    done = [each for each in receipts if each.outcome.ok]
    with RuntimeManager(journal=file) as manager:
        runtime = manager.create("list", (), collect)
        assert runtime.state[: len(done)] == tuple(range(len(done)))
        manager.run(runtime.ask("last"))
        assert runtime.state == (*range(200), "last")


def test_a_second_manager_hears_who_holds_the_file(file: Path) -> None:
    with RuntimeManager(journal=file), pytest.raises(JournalError, match=str(os.getpid())):
        RuntimeManager(journal=file)
    RuntimeManager(journal=file).close()


def test_a_manager_that_can_not_be_made_lets_go_of_the_file(file: Path) -> None:
    with pytest.raises(Exception, match="no event loop is running"):
        RuntimeManager(journal=file, loop="current")
    RuntimeManager(journal=file).close()


def test_a_manager_that_was_dropped_lets_go_of_the_file(file: Path) -> None:
    RuntimeManager(journal=file).create("sum", 0, add)
    wait_until(
        lambda: (
            gc.collect() is not None and not [each for each in threading.enumerate() if each.name == "agentrt-journal"]
        )
    )
    with RuntimeManager(journal=file) as manager:
        assert manager.create("sum", 0, add).resumed


def test_a_backup_is_taken_while_it_runs(file: Path, tmp_path: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        runtime = manager.create("sum", 0, add)
        for each in range(100):
            runtime.send_nowait(each)
        manager.run(runtime.ask(0))
        manager.journal.backup(tmp_path / "copy.db")
        assert manager.journal.size > 0
        manager.journal.compact()
        assert manager.run(runtime.ask(0)) == sum(range(100))
    with RuntimeManager(journal=tmp_path / "copy.db") as manager:
        assert manager.create("sum", 0, add).state == sum(range(100))


def test_threads_send_and_wait_until_it_is_stored(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        runtime = manager.create("sum", 0, add, standard_capacity=10_000)

        def work() -> None:
            for _ in range(50):
                manager.run(runtime.send(1))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(PATIENCE)
        assert manager.run(runtime.ask(0)) == 200
        assert manager.journal.find("sum").counts == {"accepted": 201, "done": 201}


def test_after_the_end_everything_is_refused(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        runtime = manager.create("sum", 0, add)
    with pytest.raises(ManagerClosedError):
        runtime.send_nowait(1)
    with pytest.raises(RuntimeTerminatedError):
        manager.send_nowait("sum", 1)


@pytest.mark.parametrize("upgrade", [5, {1: 5}])
def test_an_upgrade_that_is_no_function_is_refused(file: Path, upgrade: Any) -> None:
    with RuntimeManager(journal=file) as manager, pytest.raises(ConfigurationError, match=r"upgrade is .* a function"):
        manager.create("a", 0, add, upgrade=upgrade)


def test_an_id_that_nobody_knows_stays_unknown(file: Path) -> None:
    with RuntimeManager(journal=file) as manager, pytest.raises(RuntimeNotFoundError, match="no runtime has the id"):
        manager.send_nowait("nobody", 1)


def test_the_clock_goes_on(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        before = manager.clock.now()
        assert abs(before - time.time()) < 60
        manager.run(manager.create("sum", 0, add).ask(1))
    with RuntimeManager(journal=file) as manager:
        assert manager.clock.now() >= before


def test_a_process_that_was_forked_writes_nothing(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        runtime = manager.create("sum", 0, add)
        manager.run(runtime.ask(1))
        child = os.fork()
        if child == 0:
            try:
                runtime.send_nowait(1)
            except ManagerClosedError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert manager.run(runtime.ask(1)) == 2


def test_workflows_in_threads_and_processes_are_durable_too(file: Path) -> None:
    def slow(activity: Activity[int], state: int) -> int:
        return state + activity.payload

    for _ in range(2):
        with RuntimeManager(journal=file) as manager:
            blocking = manager.create("blocking", 0, slow, blocking=True)
            manager.run(blocking.ask(1))
            state = blocking.state
    assert state == 2


def test_an_agent_of_a_cell_goes_on(file: Path) -> None:
    def cell(manager: RuntimeManager) -> Any:
        @manager.agent("counter", state=0)
        async def counter(activity: Activity[int], state: int) -> int:
            return state + activity.payload

        return counter

    with RuntimeManager(journal=file) as manager:
        manager.run(cell(manager).ask(1))
        assert manager.run(cell(manager).ask(1)) == 2
    with RuntimeManager(journal=file) as manager:
        assert manager.run(cell(manager).ask(1)) == 3


async def in_a_loop(file: Path) -> int:
    async with RuntimeManager(journal=file, loop="current") as manager:
        runtime = manager.create("sum", 0, add)
        await asyncio.gather(*(runtime.ask(1) for _ in range(20)))
        return int(runtime.state)


def test_on_the_loop_that_runs(file: Path) -> None:
    assert [asyncio.run(in_a_loop(file)) for _ in range(3)] == [20, 40, 60]


FULL = """
import asyncio, resource, sys
from agentrt import Activity, JournalError, RuntimeManager

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def collect(activity: Activity[tuple[int, str]], state: tuple[int, ...]) -> tuple[int, ...]:
    return (*state, activity.payload[0])

async def main():
    async with RuntimeManager(journal=sys.argv[1], loop="current") as manager:
        runtime = manager.create("list", (), collect)
        await runtime.ask((0, ""))
        limit(600_000)
        receipts, number, refused = [], 0, None
        while refused is None and number < 1000:
            number += 1
            try:
                receipts.append(runtime.send_nowait((number, "x" * 5000)))
            except JournalError as error:
                refused = error
            if number % 10 == 0:
                await asyncio.sleep(0.01)
        assert refused is not None
        done = [each for each in receipts if each.outcome is not None]
        assert 0 < len(done) < len(receipts), (len(done), len(receipts))
        limit(resource.RLIM_INFINITY)
        for each in receipts:
            await each
        assert runtime.state == tuple(range(number)), runtime.state
        await runtime.ask((number, ""))
    async with RuntimeManager(journal=sys.argv[1], loop="current") as manager:
        assert manager.create("list", (), collect).state == tuple(range(number + 1))
    print("went on after", refused)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_refuses_sends_loses_nothing_and_goes_on(file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, timeout=PATIENCE)
    assert "went on after 'list' accepts nothing now" in done.stdout, done.stderr[-2000:]


READ_ONLY = """
import asyncio, os, sys
from pathlib import Path
from agentrt import Activity, JournalError, RuntimeManager

if os.geteuid() == 0:  # who may write everywhere
    os.chown(sys.argv[1], 65534, 65534)
    os.setuid(65534)
file = Path(sys.argv[1]) / "agents.db"

def add(activity: Activity[int], state: int) -> int:
    return state + activity.payload

async def ask(meanwhile=lambda: None):
    async with RuntimeManager(journal=file, loop="current") as manager:
        runtime = manager.create("sum", 0, add)
        meanwhile()
        return await runtime.ask(1)

def refuse(of_file, of_folder):
    set_modes(of_file, of_folder)
    try:
        asyncio.run(ask())
    except JournalError as error:
        print(error)
    set_modes(0o644, 0o755)

def set_modes(of_file, of_folder):
    file.chmod(of_file)
    file.parent.chmod(of_folder)

assert asyncio.run(ask()) == 1
refuse(0o444, 0o755)
refuse(0o644, 0o555)
assert [each.name for each in file.parent.iterdir()] == ["agents.db"]
assert asyncio.run(ask(lambda: set_modes(0o444, 0o555))) == 2  # what is open stays so
set_modes(0o644, 0o755)
assert asyncio.run(ask()) == 3
print("went on")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs modes of files")
def test_what_is_read_only_is_refused_and_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, folder], capture_output=True, text=True, timeout=PATIENCE
        )
    assert f"can't be written: {folder}/agents.db is read-only for this user" in done.stdout, done.stderr[-2000:]
    assert f"can't be written: {folder} is read-only for this user" in done.stdout
    assert done.stdout.endswith("went on\n"), done.stderr[-2000:]


def test_a_folder_that_is_gone_for_a_while_loses_nothing(tmp_path: Path) -> None:
    folder, away = tmp_path / "here", tmp_path / "away"
    folder.mkdir()
    with RuntimeManager(journal=folder / "agents.db") as manager:
        runtime = manager.create("list", (), collect)
        manager.run(runtime.ask(0))
        folder.rename(away)
        receipt = runtime.send_nowait(1)
        wait_until(lambda: manager.journal.error is not None, what="the journal notices it")
        with pytest.raises(JournalError, match=r"'list' accepts nothing now: .* is gone"):
            runtime.send_nowait(2)
        assert receipt.outcome is None
        away.rename(folder)
        assert receipt.result(PATIENCE).state == (0, 1)
        assert manager.run(runtime.ask(3)) == (0, 1, 3)
    with RuntimeManager(journal=folder / "agents.db") as manager:
        assert manager.create("list", (), collect).state == (0, 1, 3)


def test_a_file_that_another_program_has_locked_is_refused_until_it_lets_go(file: Path) -> None:
    with RuntimeManager(journal=file) as manager:
        manager.run(manager.create("sum", 0, add).ask(1))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalError, match="is held by another process"):
        RuntimeManager(journal=file)
    other.close()
    with RuntimeManager(journal=file) as manager:
        assert manager.run(manager.create("sum", 0, add).ask(1)) == 2


def test_a_clock_that_was_set_back_delays_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RuntimeManager(journal=SQLiteJournal(file, keep=Retention(age=3600))) as manager:
        runtime = manager.create("list", (), collect)
        manager.run(runtime.ask(0))
        before = manager.clock.now()  # what comes next is stored, with a later time
        runtime.send_nowait(1, delay=0.2)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    with RuntimeManager(journal=SQLiteJournal(file, keep=Retention(age=3600))) as manager:
        assert manager.clock.now() >= before
        runtime = manager.create("list", (), collect)
        assert manager.run(runtime.ask(2))[0] == 0
        wait_until(lambda: runtime.fates().done == 3, what="what was delayed is done")
    with RuntimeManager(journal=file) as manager:
        assert set(manager.create("list", (), collect).state) == {0, 1, 2}
