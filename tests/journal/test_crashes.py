"""`kill -9` at any moment, power loss at any moment, and files that are damaged in any way.

`AGENTRT_KILLS=100 AGENTRT_DAMAGES=400 AGENTRT_POWER_LOSSES=2000` does it as often as the promise was tested.
"""

import itertools
import os
import random
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from agentrt import Activity, JournalError
from agentrt.journal import Accepted, Committed, Created, SQLiteJournal, check_journal, repair_journal
from tests.harness.kill import run_and_kill
from tests.journal.crash_child import CHAIN, open_journal

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("AGENTRT_KILLS", "10"))
DAMAGES = int(os.environ.get("AGENTRT_DAMAGES", "60"))
POWER_LOSSES = int(os.environ.get("AGENTRT_POWER_LOSSES", "150"))
PAGE, SECTOR, HEADER = 4096, 512, 32


def check_books(place: str, accepted: set[int], done: dict[str, list[int]]) -> None:
    """Nothing that was said to be stored is lost, nothing is done twice, and the order is kept."""
    with open_journal(place) as journal:
        found: dict[str, Any] = {name: journal.find(name) for name in CHAIN}
        waiting = {name: [each.activity.id for each in journal.waiting(name)] for name in CHAIN}
        for name in CHAIN:
            counts, (count, last) = found[name].counts, journal.state(name)
            assert counts.get("done", 0) == count  # no commit is lost or doubled
            assert counts.get("accepted", 0) == count + len(waiting[name])  # the books add up
            assert waiting[name] == sorted(waiting[name])
            assert all(number > last for number in waiting[name])  # the order is kept
            assert not set(done[name]) & set(waiting[name])
            assert not done[name] or last >= done[name][-1]
            assert done[name] == sorted(set(done[name]))
        for before, after in itertools.pairwise(CHAIN):
            assert found[after].counts.get("accepted", 0) == journal.state(before)[0]
        last = journal.state("a")[1]
        lost = {number for number in accepted if number > last} - set(waiting["a"])
        assert lost == set()


@pytest.mark.slow
@pytest.mark.timeout(600 + 20 * KILLS)
def test_nothing_acknowledged_is_lost_or_doubled_whenever_it_is_killed(file: Path) -> None:
    kill_and_check(str(file))


def kill_and_check(place: str) -> None:
    """Kill the program again and again at any moment, and check the books after each time."""
    chance = random.Random(KILLS)
    command = [sys.executable, "-m", "tests.journal.crash_child", place]
    accepted: set[int] = set()
    done: dict[str, list[int]] = defaultdict(list)
    for turn in range(KILLS):
        lines = chance.choice([1, 2, 100, chance.randrange(1, 2000)]) if turn else 500
        read_lines(run_and_kill(command, lines), accepted, done)
        check_books(place, accepted, done)
    assert accepted


def read_lines(lines: list[list[str]], accepted: set[int], done: dict[str, list[int]]) -> None:
    """Note what the program said."""
    for what, *rest in lines:
        if what == "accepted":
            accepted.add(int(rest[1]))
        elif what == "done":
            done[rest[0]].append(int(rest[1]))


# ---- damaged files


def large(n: int) -> dict[str, Any]:
    return {f"field {place}": (place, "x" * 300) for place in range(n)}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Any]:
    """The same journal: closed, crashed with all in the write-ahead log, and crashed after that was moved in part."""
    folder = tmp_path_factory.mktemp("whole")
    file = folder / "agents.db"
    journal = SQLiteJournal(file)
    journal.append(Created(runtime="a", state=0, limits={"x": 1.5}), Created(runtime="b", state=large(40)))
    for number in range(1, 300):
        journal.append(Accepted(activity=Activity(id=number, runtime="a", payload=f"payload {number}" * 9)))
        if number % 3:
            journal.append(Committed(runtime="a", activity=number, state=number, reply="r" * 50))
        if number % 20 == 0:
            journal.append(Committed(runtime="b", activity=0, state={**large(40), "field 7": number}))
    expected = contents(journal)
    crashed = copy(file, folder / "crashed")
    journal._call(lambda: journal._database.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
    journal.append(Committed(runtime="b", activity=0, state=large(40)))
    journal.append(Committed(runtime="b", activity=0, state={**large(40), "field 7": 280}))
    journal.runtimes()
    moved = copy(file, folder / "moved")
    journal.close()
    closed = copy(file, folder / "closed")
    for each in (crashed, moved, closed):
        with SQLiteJournal(copy(each, folder / f"opened {each.parent.name}")) as whole:
            assert states(contents(whole)) == states(expected)
    return [crashed, moved, closed], expected


def copy(file: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in file.parent.glob(f"{file.name}*"):
        shutil.copy(path, folder)
    return folder / file.name


def contents(journal: SQLiteJournal) -> Any:
    """All that can be read of a journal."""
    return [
        (each, journal.state(each.id), [(one.activity.id, one.activity.payload) for one in journal.waiting(each.id)])
        for each in journal.runtimes()
    ]


def states(found: Any) -> Any:
    return [(each.id, each.limits, state, waiting) for each, state, waiting in found]


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def truncate_pages(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) // PAGE * PAGE :]


def swap(data: bytearray, chance: random.Random) -> None:
    one, other = (chance.randrange(max(1, len(data) // PAGE)) * PAGE for _ in range(2))
    data[one : one + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[one : one + PAGE]


def blank(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data)) // 512 * 512
    data[start : start + chance.choice([512, PAGE])] = bytes(len(data[start : start + 512]))


DAMAGE = (flip, truncate, truncate_pages, swap, blank)


@pytest.mark.slow
@pytest.mark.timeout(600 + 2 * DAMAGES)
def test_a_damaged_file_gives_an_error_or_all_and_never_a_wrong_value(samples: Any, tmp_path: Path) -> None:
    files, expected = samples
    chance, refused = random.Random(5), 0
    for number in range(DAMAGES):
        file = copy(files[number % len(files)], tmp_path / str(number))
        wal = file.with_name(file.name + "-wal")
        victim = chance.choice([each for each in (file, wal) if each.exists() and each.stat().st_size])
        damage, data = DAMAGE[number % len(DAMAGE)], bytearray(victim.read_bytes())
        damage(data, chance)
        victim.write_bytes(data)
        what = f"{number}: {damage.__name__} of {victim.name} in {files[number % len(files)].parent.name}"
        try:
            with SQLiteJournal(copy(file, tmp_path / f"{number} opened")) as journal:
                found = contents(journal)
        except JournalError:
            refused += 1
            check_salvage(file, expected, what)
        else:
            assert states(found) == states(expected), what
    assert refused > DAMAGES // 4


def check_salvage(file: Path, expected: Any, what: str) -> None:
    """A damaged file is reported as such, and what can be saved is nothing that never was."""
    before = file.read_bytes()
    assert not check_journal(file).is_whole, what
    target = file.with_name("repaired.db")
    try:
        repair_journal(file, target)
    except JournalError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert file.read_bytes() == before, what
    if refusal:
        assert "nothing can be read, and no new file was written" in refusal, what
        assert not target.exists(), what
        return
    with SQLiteJournal(target) as journal:
        for each in journal.runtimes():
            for waiting in journal.waiting(each.id):
                number = waiting.activity.id
                assert waiting.activity.payload == f"payload {number}" * 9, what
            if each.id == "a" and each.created is not None:
                assert journal.state("a") in range(300), what
            elif each.id == "b" and each.created is not None and journal._index.runtimes["b"].fields:
                number = journal.state("b").pop("field 7")
                assert number in [(7, "x" * 300), *range(300)], what


# ---- power loss: of what was written after the last fsync, any part is on the disk, in any order


def on_disk(journal: SQLiteJournal) -> tuple[bytes, bytes, bytes]:
    """The file, its write-ahead log and its mark, between two transactions: all that was acknowledged is synced."""
    place = journal._database.place
    return journal._call(lambda: tuple(each.read_bytes() for each in place.files()))  # type: ignore[return-value]


def lose(before: bytes, after: bytes, chance: random.Random) -> bytes:
    """Bytes as they may be after a loss of power: of the sectors that were written, some are there, or torn."""
    longest = max(len(before), len(after))
    image = bytearray(before.ljust(chance.choice([longest, chance.randint(len(before), longest)]), b"\0"))
    share = chance.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    for start in range(0, min(len(image), len(after)), SECTOR):
        if chance.random() < share:
            end = start + (SECTOR if chance.random() < 0.95 else chance.randrange(SECTOR))
            part = after[start : min(end, len(image))]
            image[start : start + len(part)] = part
    return bytes(image)


def lose_log(before: bytes, after: bytes, chance: random.Random) -> bytes:
    """The same of a write-ahead log. Where it begins anew, SQLite syncs its header before it writes anything else."""
    if before[:HEADER] == after[:HEADER]:
        return lose(before, after, chance)
    if chance.random() < 0.2:
        torn = chance.randint(0, HEADER)
        return after[:torn] + before[torn:]
    return lose(after[:HEADER] + before[HEADER:], after, chance)


def write_acknowledged(file: Path, many: int, chance: random.Random) -> list[tuple[bytes, bytes, bytes]]:
    """What is on the disk after each of some acknowledged writes; the write-ahead log begins anew all the time."""
    with SQLiteJournal(file) as journal:
        journal._call(lambda: journal._database.connection.execute("PRAGMA wal_autocheckpoint=12").fetchall())
        journal.append(Created(runtime="a", state=0))
        found = [on_disk(journal)]
        for number in range(1, many + 1):
            payload = f"{number} " * chance.choice([1, 10, 1000, 5000])
            writes: list[Any] = [Accepted(activity=Activity(id=number, runtime="a", payload=payload))]
            if number > 1:
                writes.append(Committed(runtime="a", activity=number - 1, state=number - 1))
            journal.append(*writes)
            found.append(on_disk(journal))
    return found


@pytest.mark.slow
@pytest.mark.timeout(600 + POWER_LOSSES)
def test_what_was_acknowledged_is_there_after_a_loss_of_power(tmp_path: Path) -> None:
    chance = random.Random(POWER_LOSSES)
    disks = write_acknowledged(tmp_path / "agents.db", 60, chance)
    more = began_anew = 0
    for turn in range(POWER_LOSSES):
        number = chance.randrange(len(disks) - 1)
        (file, wal, mark), (next_file, next_wal, _) = disks[number : number + 2]
        if file != next_file and chance.random() < 0.5:  # it was lost while the log was moved, which is synced before
            file, wal = lose(file, next_file, chance), next_wal
        else:
            wal = lose_log(wal, next_wal, chance)
        began_anew += wal[:HEADER] != disks[0][1][:HEADER]
        target = tmp_path / str(turn) / "agents.db"
        target.parent.mkdir()
        for path, data in ((target, file), (target.with_name("agents.db-wal"), wal)):
            path.write_bytes(data)
        target.with_name("agents.db-owner").write_bytes(mark)
        with SQLiteJournal(target) as journal:
            found = list(journal.waiting("a"))
            last = found[0].activity.id if found else 0
            assert last in (number, number + 1), turn
            assert not found or found[0].activity.payload.split(" ")[0] == str(last)
            assert journal.state("a") == max(0, last - 1)
            assert journal.find("a").counts.get("accepted", 0) == last  # type: ignore[union-attr]
        more += last > number
        shutil.rmtree(target.parent)
    assert 0 < more < POWER_LOSSES
    assert began_anew
