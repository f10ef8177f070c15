"""A manager in another process: it ends, comes back, hangs, is blocked; and what many views of one process cost it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from agentrt import AgentError, RuntimeManager, discovery
from agentrt.errors import ConfigurationError
from agentrt.feed.connection import Connection, find_manager
from agentrt.feed.remote import RemoteSource
from agentrt.feed.several import SeveralSource
from agentrt.feed.wire import decode_greeting, encode_frame
from agentrt.limits import Limits
from agentrt.views.runtime.last_error import LastError
from tests.harness.wait import wait_until, within
from tests.support import add

PROGRAM = """
import sys, agentrt
manager = agentrt.RuntimeManager(loop="thread", name=sys.argv[1])
runtime = manager.create("a", int(sys.argv[2]), lambda activity, state: state + activity.payload)
runtime.send_nowait(1).result(60)
assert "panel" not in sys.modules and "bokeh" not in sys.modules
print("ready", flush=True)
sys.stdin.read()
"""


class Program:
    """A program with a manager; `end` as a person would, `kill` as nobody should."""

    def __init__(self, name: str, state: int = 0) -> None:
        command = [sys.executable, "-c", PROGRAM, name, str(state)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def program():
    programs = [Program("elsewhere", 10)]

    def again(state: int) -> Program:
        programs.append(Program("elsewhere", state))
        return programs[-1]

    programs[0].again = again
    yield programs[0]
    for each in programs:
        each.kill()


@pytest.fixture
def watched(program):
    with RemoteSource("elsewhere") as source:
        frames = []
        detach = source.attach(frames.append)
        source.frames = frames
        yield source
        detach()


def test_a_program_that_never_imports_panel_is_watched(watched):
    wait_until(lambda: watched.frames)
    assert watched.snapshot("a").state == 11
    assert [record.kind for record in watched.frame().records] == ["created", "accepted", "done"]
    assert watched.command("send", "a", typed="5", lane="standard").activity
    wait_until(lambda: watched.snapshot("a").state == 16)
    wait_until(lambda: any("a" in frame.changed for frame in watched.frames[1:]))


def test_when_it_is_killed_the_last_picture_stays_and_it_comes_back(program, watched):
    assert (watched.snapshot("a").state, watched.standing().words) == (11, "")
    generation = watched.standing().generation
    program.kill()
    started = time.monotonic()
    wait_until(lambda: watched.standing().words)
    assert time.monotonic() - started < within(2)
    words = watched.standing().words
    assert words.startswith("Since ")
    assert "the program of 'elsewhere' has ended" in words
    assert watched.snapshot("a").state == 11
    assert watched.mailbox("b").total == 0
    assert list(watched.runtimes) == ["a"]
    assert len(watched.frame().records) == 3
    now = watched.now()
    assert watched.now() == now  # its time stands still
    with pytest.raises(AgentError, match="this can't be done now: the program of 'elsewhere' has ended"):
        watched.command("pause", "a")
    program.again(100)
    started = time.monotonic()
    wait_until(lambda: not watched.standing().words)
    assert time.monotonic() - started < within(2)
    assert watched.standing().generation == generation + 1
    wait_until(lambda: watched.snapshot("a").state == 101)
    wait_until(lambda: len(watched.frame().records) == 3)


@pytest.mark.slow
def test_one_that_hangs_is_said_and_goes_on_as_the_same(program, watched):
    assert watched.snapshot("a").state == 11
    generation = watched.standing().generation
    program.signal(signal.SIGSTOP)
    wait_until(lambda: "'elsewhere' does not answer" in watched.standing().words)
    assert watched.snapshot("a").state == 11
    program.signal(signal.SIGCONT)
    wait_until(lambda: not watched.standing().words)
    assert watched.standing().generation == generation
    assert len(watched.frame().records) == 3


def test_another_manager_of_the_name_that_ran_before_is_not_taken_for_it(program):
    other = Program("twice")
    with RemoteSource("twice") as source:
        later = Program("twice", 50)
        with RemoteSource("twice") as newest:
            assert newest.snapshot("a").state == 51
        source.attach(lambda frame: None)
        assert source.snapshot("a").state == 1
        wait_until(lambda: source._link._answered > find_manager("twice").started)
        other.kill()
        wait_until(lambda: source.standing().words)
        assert source._link.dialer.candidates(source._link._answered) == []
        later.kill()


def test_a_blocked_loop_is_said_from_another_thread():
    with RuntimeManager(loop="thread", name="blocked") as manager, RemoteSource("blocked", max_age=0) as source:
        release = threading.Event()
        runtime = manager.create("a", 0, lambda activity, state: release.wait(60))
        assert source.standing().words == ""
        runtime.send_nowait(1)
        wait_until(lambda: "The agents' loop has been blocked for 1 s" in source.standing().words)
        assert source.snapshot("a").status in ("processing", "stuck")
        assert source.where("a").frames
        release.set()
        wait_until(lambda: source.standing().words == "")


def test_many_views_are_one_reader(monkeypatch):
    with RuntimeManager(loop="thread", name="popular") as manager, RemoteSource("popular") as source:
        for id in map(str, range(30)):
            manager.create(id, 0, add)
        detach = [source.attach(lambda frame: [source.snapshot(id) for id in frame.changed]) for _ in range(20)]
        asked = []
        monkeypatch.setattr(type(source._link), "_exchange", _count(type(source._link)._exchange, asked))
        before = len(asked)
        for _ in range(5):
            manager["3"].send_nowait(1).result(60)
            wait_until(lambda: source.snapshot("3").state == manager["3"].state)
        assert len(manager._offer.readers) == 1
        assert len(asked) - before < 200  # twenty views have drawn it, each time
        for each in detach:
            each()
        wait_until(lambda: source._thread is None)  # nobody watches: nothing is asked
        count = len(asked)
        manager["3"].send_nowait(1).result(60)
        assert len(asked) == count


def test_a_large_fleet_is_read_at_once_and_not_kept():
    with RuntimeManager(loop="thread", name="large") as manager:
        ids = [str(n) for n in range(3_000)]
        for id in ids:
            manager.create(id, 0, add)
        with RemoteSource("large") as source:
            detach = source.attach(lambda frame: source.snapshots(frame.changed))
            assert [shot.id for shot in source.snapshots()] == ids
            assert [shot.id for shot in source.snapshots(ids[:500])] == ids[:500]
            manager["7"].send_nowait(1).result(60)
            wait_until(lambda: source.snapshot("7").state == 1)
            assert all(len(kept.arguments) < 3 for kept in source._link._kept.values())
            assert len(source._link._kept) < 20
            detach()


def _count(exchange, asked):
    def counted(self, request):
        asked.append(request)
        return exchange(self, request)

    return counted


def test_an_id_that_is_no_utf8_does_not_end_the_feed():
    with RuntimeManager(loop="thread", name="odd") as manager, RemoteSource("odd", max_age=0) as source:
        manager.create("a\ud800", 0, add)
        manager.create("b", 0, add).send_nowait(1).result(60)
        assert list(source.runtimes) == [r"a\ud800", "b"]
        assert [shot.id for shot in source.snapshots()] == [r"a\ud800", "b"]
        assert {record.runtime for record in source.frame().records} == {r"a\ud800", "b"}
        assert source.snapshot("b").state == 1


def test_failures_come_with_their_source_and_retries_too():
    def broken(activity, state):
        raise ValueError("broken")

    with RuntimeManager(loop="thread", name="failing") as manager, RemoteSource("failing", max_age=0) as source:
        receipt = manager.create("a", 0, broken, retries=1).send_nowait(1)
        with pytest.raises(AgentError):
            receipt.result(60)
        records = source.frame().records
        outcome = records[-1]
        assert (type(outcome.error.__cause__).__name__, str(outcome.error.__cause__)) == ("ValueError", "broken")
        [retry] = [each for each in records if each.kind == "retry"]
        assert isinstance(retry.detail["error"], BaseException)
        assert "broken" in source.snapshot("a").error.__cause__.trace


def fail_with(activity, state):
    text = activity.payload
    if not text:
        return state
    try:
        raise KeyError(text)
    except KeyError as error:
        raise ValueError(text) from error


def press_whole(pane: LastError) -> str:
    pane.panel._handle_msg({"do": "whole", "with": ""})
    return pane.panel.html


def test_what_an_error_says_is_read_whole_on_demand():
    text = "".join(f"<{n}>\n" for n in range(20_000))
    with RuntimeManager(loop="thread", name="wordy") as manager, RemoteSource("wordy", max_age=0) as remote:
        runtime = manager.create("a", 0, fail_with)
        with pytest.raises(AgentError):
            runtime.send_nowait(text).result(60)
        live = LastError(manager.source)
        live.draw(manager.source.snapshot("a"))
        wanted = press_whole(live)
        assert wanted.count("&lt;10000&gt;") == 3, "in the message, and twice in the traceback"
        for source, id in ((remote, "a"), (SeveralSource([remote], "wordy", ["x/"]), "x/a")):
            assert len(str(source.snapshot(id).error.__cause__)) == 2_000, "not with each snapshot"
            pane = LastError(source)
            pane.draw(source.snapshot(id))
            assert f"show all {len(text):,} characters" in pane.panel.html
            assert "&lt;10000&gt;" not in pane.panel.html
            assert press_whole(pane).split("ago")[1] == wanted.split("ago")[1]
            runtime.send_nowait("").result(60)
            pane.draw(source.snapshot(id, metrics=False))
            assert "&lt;10000&gt;" in pane.panel.html, "it stays while it is the same error"
            assert "&lt;10000&gt;" not in press_whole(pane)


def test_what_is_left_out_of_a_very_long_error_is_said():
    with RuntimeManager(loop="thread", name="endless") as manager, RemoteSource("endless", max_age=0) as source:
        with pytest.raises(AgentError):
            manager.create("a", 0, fail_with).send_nowait("x" * 1_500_000).result(60)
        pane = LastError(source)
        pane.draw(source.snapshot("a"))
        html = press_whole(pane)
        assert "The first 1,000,000 of 1,500,000 characters:" in html
        assert re.search(r"The last 1,000,000 of 3,00\d,\d\d\d characters:", html)
        assert html.count("x" * 1000) < 2_100
        assert source.error("nobody") is None


def test_a_name_that_nobody_has():
    with pytest.raises(ConfigurationError, match="no manager named 'nobody' runs on this machine"):
        RemoteSource("nobody")


def test_a_stale_record_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(60)
    path = discovery.add_manager(discovery.ManagerRecord(gone.pid, "gone", 1, 0, "", 0.0))
    assert discovery.list_managers() == []
    assert not path.exists()
    assert os.path.isdir(tmp_path)


def test_a_runtime_that_nobody_looked_at_is_still_known_when_the_manager_is_gone(program, watched):
    program.kill()
    wait_until(lambda: watched.standing().words)
    assert watched.snapshot("a").state == 11
    assert [shot.fates.done for shot in watched.figures(["a"])] == [1]
    assert watched.find().ids == ("a",)


# ---- many runtimes


def test_what_is_sent_does_not_grow_with_the_number_of_runtimes(monkeypatch):
    answers: list[int] = []
    exchange = Connection._exchange

    def count(connection: Connection, data: bytes) -> bytes:
        answer = exchange(connection, data)
        answers.append(len(answer))
        return answer

    monkeypatch.setattr(Connection, "_exchange", count)
    most = {}
    for total in (50, 3_000):
        with RuntimeManager(loop="thread", name=f"of {total}") as manager:
            for n in range(total):
                manager.create_entry(f"agent-{n:05}", 0, add, Limits())
            with RemoteSource(manager.name, max_age=0) as source:
                page = source.find(count=25).ids
                read_page(source, page)
                answers.clear()
                for n in range(3):
                    manager.create(f"new-{n}", 0, add)
                    manager.run(manager[f"agent-{n:05}"].ask(1))
                    read_page(source, page)
                    assert len(source.runtimes) == total + n + 1
                    assert f"new-{n}" in source.runtimes
                    assert source.find("NEW", count=25).found == n + 1
                    assert source.find(sort="processed", down=True, count=25).ids[0] < "agent-00003"
                most[total] = max(answers)
    assert most[3_000] < most[50] + 500


def read_page(source: RemoteSource, page: tuple[str, ...]) -> None:
    """What the first page reads, in one update as it comes while a page is open."""
    source.now()
    assert len(source.figures(page)) == 25
    assert source.active(60.0) == []
    source.fates()


def test_who_reads_all_the_time_is_told_what_happened_too():
    with RuntimeManager(loop="thread", name="read") as manager, RemoteSource("read") as source:
        manager.create("adder", 0, add).send_nowait(1)

        def is_told() -> bool:
            source.snapshot("adder")  # asks, where its answer is too old, and gets no records
            return "done" in [record.kind for record in source.frame().records]

        wait_until(is_told)


# ---- a fork


@pytest.fixture
def fork():
    """A manager that goes on from the first of two activities of another one."""
    with RuntimeManager(loop="thread", name="day") as origin:
        runtime = origin.create("a", 0, add)
        for number in (1, 2):
            runtime.send_nowait(number).result(60)
        first = next(record.sequence for record in origin.source.frame().records if record.kind == "done")
        with origin.at(first).fork() as fork:
            yield fork


def test_a_fork_says_from_where_it_goes_on(fork):
    with RemoteSource(fork.name, max_age=0) as source:
        found, own = source.branch_point(), fork.source.branch_point()
        assert (found.name, found.sequence, found.start, found.wall) == ("day", own.sequence, own.start, own.wall)
        assert found.find_origin is None
    with RemoteSource("day", max_age=0) as source:
        assert source.branch_point() is None


class OldWelcome(msgspec.Struct, tag="agentrt-welcome", frozen=True):
    """As it was before a manager said whether it is a fork."""

    version: int
    name: str
    instance: str
    pid: int
    limit: int = 20_000


def test_older_versions_and_this_one_understand_each_other(fork):
    with RemoteSource(fork.name, max_age=0) as source:
        welcome = source._link._connection.welcome
    assert welcome.fork.name == "day"
    known = msgspec.msgpack.decode(encode_frame(welcome), type=OldWelcome)
    assert (known.name, known.pid) == (fork.name, os.getpid())
    assert decode_greeting(encode_frame(known)).fork is None
