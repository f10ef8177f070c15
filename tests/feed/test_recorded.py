"""recorded.py: a journal file as a view sees it. What it has in common with other sources is in test_source.py."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agentrt import Activity, AgentError, JournalError, Lane, RuntimeManager
from agentrt.errors import AccessDeniedError
from agentrt.feed.recorded import ENDED, RecordedSource
from agentrt.feed.several import SeveralSource
from agentrt.feed.source import COMMANDS
from agentrt.journal import (
    Accepted,
    Changed,
    Committed,
    Created,
    LetterClosed,
    Retention,
    SQLiteJournal,
    register,
)
from agentrt.journal.stored_types import _classes, _registrations
from agentrt.limits import Limits
from agentrt.snapshot import Status
from agentrt.views.server.content import ManagerPage
from agentrt.views.server.server import start
from tests.harness.screenshot import is_blank, shoot
from tests.harness.shown import loaded, serving
from tests.harness.wait import wait_until


@dataclass(frozen=True)
class Flight:
    number: int
    carrier: str = "UA <b>"


Open = Callable[[Path], RecordedSource]


@pytest.fixture
def open_file() -> Iterator[Open]:
    opened: list[RecordedSource] = []

    def open_file(path: Path) -> RecordedSource:
        opened.append(RecordedSource(path))
        return opened[-1]

    yield open_file
    for each in opened:
        each.close()


def accept(number: int, runtime: str, payload: Any = 0, **more: Any) -> Accepted:
    return Accepted(activity=Activity(id=number, runtime=runtime, payload=payload, created=100.0, **more))


def fill(path: Path) -> None:
    """A gate that is paused with a full mailbox, one that failed, one that is done, and dead letters."""
    register(Flight, name="gone:Flight")
    with SQLiteJournal(path) as journal:
        limits = {"timeout": 60.0, "standard_capacity": 40}
        journal.append(Created(runtime="gate", state=(Flight(1),), at=90.0, limits=limits, workflow="board"))
        journal.append(Created(runtime="broken", state=0, at=90.0), Created(runtime="fine", state=3, at=90.0))
        journal.append(*(accept(number, "gate", Flight(number)) for number in range(1, 6)))
        journal.append(accept(6, "gate", Flight(6), lane=Lane.PRIORITY), accept(7, "gate", Flight(7), not_before=900.0))
        journal.append(
            accept(8, "broken", "x"), accept(9, "fine", 1), accept(10, "fine", "lost"), accept(11, "fine", 2)
        )
        journal.append(Committed(runtime="broken", activity=8, fate="failed", at=101.0, error="ValueError: no <gate>"))
        journal.append(Committed(runtime="fine", activity=9, at=102.0, state=4))
        for number in (10, 11):
            journal.append(Committed(runtime="fine", activity=number, fate="dead", at=103.0, error="its runtime ended"))
        journal.append(
            LetterClosed(runtime="fine", activity=11, fate="discarded"), Changed(runtime="gate", paused=True)
        )
    _classes.pop(_registrations.pop(Flight).name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agents.db"
    fill(path)
    return path


def test_runtimes_are_shown_as_they_are_stored(file: Path, open_file: Open) -> None:
    source = open_file(file)
    assert (source.name, list(source.runtimes), list(source.ended)) == ("agents.db", ["gate", "broken", "fine"], [])
    gate, broken, fine = source.snapshots(metrics=True)
    assert (gate.status, gate.depth, gate.capacity, gate.workflow) == (Status.PAUSED, (1, 6), (1000, 40), "code board")
    assert gate.state == ({"number": 1, "carrier": "UA <b>"},), "its class is not here: plain"
    assert [None if each is None else each.id for each in gate.first] == [6, 1]
    assert (gate.metrics.priority.accepted, gate.metrics.standard.accepted) == (1, 6)
    assert (broken.status, broken.error_at, str(broken.error.__cause__)) == (Status.ERROR, 101.0, "no <gate>")
    assert (fine.status, fine.state, fine.fates.done, fine.fates.dead) == (Status.IDLE, 4, 1, 2)
    assert source.settings("gate").limits == Limits(timeout=60.0, standard_capacity=40)
    assert source.fates().adds_up
    assert (source.fates().accepted, source.fates().pending, source.size) == (11, 7, file.stat().st_size)


def test_its_clock_stands_where_the_file_was_last_written(file: Path, open_file: Open) -> None:
    os.utime(file, (1_000_000_000, 1_000_000_000))
    source = open_file(file)
    assert (source.now(), source.speed) == (103.0, 0.0)
    assert source.wall(103.0).timestamp() == 1_000_000_000
    assert source.wall(100.0).timestamp() == 1_000_000_000 - 3
    assert source.wall(1e300).year == 9999
    written = f"{source.wall(103.0):%Y-%m-%d at %H:%M:%S}"
    assert source.standing().recorded == f"the file agents.db as it was last written, on {written}"


def test_dead_letters_and_what_became_of_others(file: Path, open_file: Open) -> None:
    source = open_file(file)
    letters = source.dead_letters()
    assert [(each.activity.id, each.reason, each.at) for each in letters.items] == [(10, "its runtime ended", 103.0)]
    ledger = source.ledger()
    assert (ledger.dead, ledger.here, ledger.resent, ledger.discarded, ledger.let_go) == (2, 1, 0, 1, 0)


def test_every_command_is_refused_with_why(file: Path, open_file: Open) -> None:
    source = open_file(file)
    before = source.frame().cursor
    for name in sorted(COMMANDS):
        for give in (source.command, source.submit):
            with pytest.raises(AccessDeniedError) as refused:
                give(name, "gate")
            assert str(refused.value) == (
                f"This is {source.standing().recorded}: nobody runs it, and nothing here can {name.replace('_', ' ')}."
            )
    assert source.frame(before).records == []


def test_records_that_the_journal_has_let_go_are_counted(tmp_path: Path, open_file: Open) -> None:
    path = tmp_path / "agents.db"
    with SQLiteJournal(path, keep=Retention(records=50)) as journal:
        journal.append(Created(runtime="a", state=0))
        for number in range(1, 600):
            journal.append(accept(number, "a"), Committed(runtime="a", activity=number, state=number))
        journal.runtimes()
    source = open_file(path)
    frame = source.frame()
    assert frame.missed
    assert len(frame.records) + frame.missed == frame.cursor
    assert source.snapshot("a").fates.done == 599


def test_who_attaches_gets_all_there_is_once(file: Path, open_file: Open) -> None:
    source = open_file(file)
    frames: list[Any] = []
    detach = source.attach(frames.append)
    wait_until(lambda: bool(frames))
    detach()
    [frame] = frames
    assert (frame.first, frame.changed, frame.cursor) == (True, {"gate", "broken", "fine"}, len(frame.records))


def test_it_stands_beside_others(file: Path, open_file: Open) -> None:
    one = open_file(file)
    both = SeveralSource([one, one], prefixes=["", "other/"])
    assert both.standing().recorded == f"{one.standing().recorded} and {one.standing().recorded}"
    assert not both.capabilities
    assert both.snapshot("other/gate").depth == (1, 6)


def add(activity: Any, state: Any) -> Any:
    return state + activity.payload


def test_the_file_of_a_manager_is_shown_as_the_manager_was(tmp_path: Path, open_file: Open) -> None:
    with RuntimeManager(loop="thread", journal=tmp_path / "agents.db", offer=False) as manager:
        manager.create("sum", 0, add, timeout=3.0).send_nowait(2).result(60)
        manager["sum"].timeout = 4.0
        manager.create("stopped", 0, add, retries=0, supervision="stop")
        while manager["stopped"].status is not Status.FAILED:
            with suppress(AgentError):
                manager["stopped"].send_nowait("x").result(60)
        gone = manager.create("gone", 0, add)
        gone.pause()
        gone.send_nowait(1)
        manager.run(gone.terminate())
        at, wall = manager.clock.now(), manager.clock.wall(manager.clock.now())
    os.utime(tmp_path / "agents.db", (1_000_000_000, 1_000_000_000))
    source = open_file(tmp_path / "agents.db")
    assert (list(source.runtimes), list(source.ended)) == (["sum", "stopped"], ["gone"])
    assert (source.snapshot("sum").state, source.settings("sum").limits.timeout) == (2, 4.0)
    stopped, ended = source.snapshot("stopped"), source.snapshot("gone")
    assert (stopped.status, type(stopped.error.__cause__).__name__) == (Status.FAILED, "TypeError")
    assert (ended.status, ended.state) == (Status.TERMINATED, ENDED)
    assert (source.settings("gone"), source.mailbox("gone").total) == (None, 0)
    [letter] = source.dead_letters().items
    assert letter.reason.startswith("'gone' was terminated before activity")
    assert abs((source.wall(at) - wall).total_seconds()) < 0.01, "its clock counts from 1970 on"


@pytest.mark.parametrize(
    "limits", [{"timeout": -3.0, "wings": 2, "retries": 1}, Limits(retries=1), {"given": {}, "now": {"retries": 1}}]
)
def test_limits_that_can_not_be_read_have_their_defaults(tmp_path: Path, open_file: Open, limits: Any) -> None:
    path = tmp_path / "agents.db"
    with SQLiteJournal(path) as journal:
        journal.append(Created(runtime="a", state=0, limits=limits), Created(runtime="b", state=0, limits=[1]))
    source = open_file(path)
    assert source.settings("a").limits == Limits(retries=1)
    assert source.settings("b").limits == Limits()


def test_a_file_that_is_held_is_not_shown(tmp_path: Path) -> None:
    with SQLiteJournal(tmp_path / "agents.db"), pytest.raises(JournalError, match="is held by process"):
        RecordedSource(tmp_path / "agents.db")


def test_a_page_asks_a_file_for_its_summary_only(file: Path, open_file: Open) -> None:
    source = open_file(file)
    summary = ManagerPage(source).summary()
    assert summary["runtimes"] == 3
    assert json.dumps(summary)


# ---- in a browser


@pytest.fixture
def page_of(file: Path, open_file: Open) -> Iterator[str]:
    """The link of the dashboard of the file."""
    page = ManagerPage(open_file(file))
    page.listed = False
    with serving(start(page)) as server:
        yield server.url


def open_at(page: Page, link: str, address: str) -> None:
    page.goto(link.replace("/?", f"/{address}?"))
    loaded(page)


def fingerprint(file: Path) -> tuple[str, int, list[str]]:
    """The content and the time of a file, and what lies beside it."""
    return hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns, sorted(os.listdir(file.parent))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_say_what_they_show(page_of: str, file: Path, scheme: str, new_page: Callable[..., Page]) -> None:
    before = fingerprint(file)
    page = new_page(color_scheme=scheme, viewport={"width": 1440, "height": 1800})
    open_at(page, page_of, "")
    expect(page.get_by_text("This is the file agents.db as it was last written, on")).to_be_visible()
    expect(page.get_by_text("Nobody runs it: nothing changes here, and buttons are off.")).to_be_visible()
    expect(page.get_by_text("When an activity was started is not stored.")).to_be_visible()
    expect(page.get_by_role("button", name="Pause all")).to_be_disabled()
    expect(page.get_by_text("1 of 3 runtimes had failures in the last minute")).to_be_visible()
    expect(page.get_by_text("ValueError: no <gate>")).to_be_visible()
    expect(page.get_by_text("4 activities ended in the last minute")).to_be_visible()
    assert not is_blank(shoot(page, f"file-fleet-{scheme}"))
    open_at(page, page_of, "runtime/gate")
    expect(page.get_by_text("This is the file agents.db as it was last written, on")).to_be_visible()
    expect(page.get_by_text("5 of 40 waiting")).to_be_visible()
    expect(page.get_by_text("{'number': 6, 'carrier': 'UA <b>'}")).to_be_visible()
    expect(page.get_by_text("not due yet")).to_be_visible()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_disabled()
    assert not is_blank(shoot(page, f"file-runtime-{scheme}"))
    open_at(page, page_of, "activity/9")
    expect(page.get_by_text("It waited or was processed for 2 s; the state after it is committed.")).to_be_visible()
    expect(page.get_by_text("and processing: when it was started is not stored")).to_be_visible()
    open_at(page, page_of, "dead-letters")
    expect(page.get_by_text("2 dead-lettered so far = 1 here + 0 sent again + 1 discarded.")).to_be_visible()
    expect(page.get_by_text("its runtime ended")).to_be_visible()
    assert not is_blank(shoot(page, f"file-dead-letters-{scheme}"))
    page.goto("about:blank")  # its server ends first
    assert fingerprint(file) == before
