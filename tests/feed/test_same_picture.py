"""A page looks the same, whether its manager runs in this process or in another one; and is drawn of a file too."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from agentrt import Activity, AgentError, RuntimeManager
from agentrt.feed.connection import find_manager
from agentrt.feed.recorded import RecordedSource
from agentrt.feed.remote import RemoteSource
from agentrt.feed.several import SeveralSource
from agentrt.journal import Accepted, Committed, Created, SQLiteJournal
from agentrt.views.app.address import OF_RUNTIME
from agentrt.views.app.dashboard import Dashboard
from agentrt.views.app.time_bar import TimeBar
from agentrt.views.feed import Feed
from agentrt.views.role import Commands
from tests.support import add
from tests.views.app.test_dashboard import texts


@dataclass(frozen=True)
class Flight:
    number: int
    carrier: str = "UA <b>"


def board(activity: Any, state: tuple[Flight, ...]) -> tuple[Flight, ...]:
    return (*state, activity.payload)


def broken(activity: Any, state: Any) -> Any:
    raise ValueError("no such <gate>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journal")


@pytest.fixture(scope="module")
def manager(folder):
    """With something of everything, and a clock that stands still."""
    with RuntimeManager(loop="thread", name="pictured", journal=folder / "agents.db") as manager:
        gate = manager.create("gate", (), board, accepts=Flight)
        for number in range(3):
            gate.send_nowait(Flight(number), priority=number == 1).result(60)
        gate.pause()
        for number in range(4):
            gate.send_nowait(Flight(number, "AA"), priority=number == 2)
        wrong = manager.create("broken", (1, "x"), broken, retries=1)
        with pytest.raises(AgentError):
            wrong.send_nowait({"deep": [1, {"er": None}]}).result(60)

        async def forward(activity, state, ctx):
            await ctx.send("sum", activity.payload)
            return state

        total = manager.create("sum", 0, add)
        manager.run(manager.create("first", 0, forward).ask(5))
        manager.run(total.ask(1))
        gone = manager.create("gone", 0, add)
        gone.pause()
        gone.send_nowait(7)
        manager.run(gone.terminate())
        manager.speed = 0
        manager.journal.runtimes()  # until everything is stored: the pages say how large the file is
        yield manager


def draw(source: Any, address: str) -> str:
    feed = Feed(source, schedule=lambda call: None, later=lambda seconds, call: None)
    shown = Dashboard(source, feed, Commands(source), root="./", paths=True)
    shown.draw(address)
    html = texts(shown.panel)
    feed.stop()
    html = re.sub(r"watching costs [^<]*", "", html)
    return re.sub(r"\.db \([\d.,]+ \w+\)", ".db", html)  # the journal's thread may write between two looks


PAGES = ["", "flow", "timeline", "dead-letters", "runtime/gone", "activity/3"]
PAGES += [f"{page}/{id}" for page in OF_RUNTIME for id in ("gate", "broken")]


@pytest.mark.slow
@pytest.mark.parametrize("address", [*PAGES, "activity/failed", "activity/waiting"])
def test_every_page_looks_the_same_from_another_process(manager, address):
    records = manager.source.frame().records
    failed = next(record.id for record in records if record.kind == "failed")
    waiting = manager.source.mailbox("gate").items[0].id
    address = address.replace("failed", str(failed)).replace("waiting", str(waiting))
    with RemoteSource(find_manager("pictured")) as remote:
        live = draw(manager.source, address)
        assert draw(remote, address) == live
        several = SeveralSource([remote], "pictured", [""])  # which has a sentence in place of a time bar
        bar, sentence = (TimeBar(source, lambda moment: None) for source in (remote, several))
        assert draw(several, address).replace(sentence.message.html, bar.live.html) == live
    assert len(live) > 200


@pytest.fixture(scope="module")
def recorded(manager, folder):
    manager.journal.backup(folder / "pictured.db")
    source = RecordedSource(folder / "pictured.db")
    yield source
    source.close()


@pytest.mark.slow
@pytest.mark.parametrize("address", [*PAGES, "activity/failed", "activity/waiting", "activity/9999"])
def test_every_page_is_drawn_of_a_moment_and_says_so(manager, address):
    source = manager.at().source
    failed = next(record.id for record in source.frame().records if record.kind == "failed")
    waiting = source.mailbox("gate").items[0].id
    html = draw(source, address.replace("failed", str(failed)).replace("waiting", str(waiting)))
    assert "This is the manager pictured as it stood on" in html
    assert "a view failed" not in html


@pytest.mark.slow
@pytest.mark.parametrize("address", [*PAGES, "activity/failed", "activity/waiting", "activity/9999"])
def test_every_page_is_drawn_of_a_file_and_says_so(recorded, address):
    failed = next(record.id for record in recorded.frame().records if record.kind == "failed")
    waiting = recorded.mailbox("gate").items[0].id
    html = draw(recorded, address.replace("failed", str(failed)).replace("waiting", str(waiting)))
    assert "This is the file pictured.db as it was last written" in html
    assert "looking only" not in html
    assert "a view failed" not in html


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("inject/gate", "Nothing can be sent: this is a file"),
        ("waits/gate", "How long activities waited is not stored"),
        ("theory/gate", "There is no prediction"),
        ("events/gate", "ended after"),
    ],
)
def test_what_a_file_does_not_tell_is_said(recorded, address, words):
    assert words in draw(recorded, address)


@pytest.mark.parametrize("address", ["", "flow", "timeline", "dead-letters"])
def test_an_empty_file_has_no_example_to_try(tmp_path, address):
    SQLiteJournal(tmp_path / "empty.db").close()
    source = RecordedSource(tmp_path / "empty.db")
    html = draw(source, address)
    source.close()
    assert "Nothing of this is in the file." in html
    assert "send_nowait" not in html


def test_an_empty_mailbox_of_a_file_has_no_example_to_try(recorded):
    html = draw(recorded, "mailbox/broken")
    assert "Nothing waits here." in html
    assert "send_nowait" not in html


def test_nothing_is_said_to_run_in_a_file(tmp_path):
    with SQLiteJournal(tmp_path / "fast.db") as journal:
        journal.append(Created(runtime="fast", state=0, at=5.0))
        for number in range(1, 6):
            activity = Activity(id=number, runtime="fast", payload=1, created=5.0)
            journal.append(Accepted(activity=activity), Committed(runtime="fast", activity=number, at=5.0))
    source = RecordedSource(tmp_path / "fast.db")
    html = draw(source, "runtime/fast")
    source.close()
    assert "short activity" not in html
    assert "Nothing runs" in html


def test_what_has_ended_in_a_file_has_only_its_events(recorded):
    assert "Nothing can be sent" not in draw(recorded, "inject/gone")
    assert "was terminated before activity" in draw(recorded, "runtime/gone")
