"""What every kind of source must do. A new kind is added to `KINDS`: how a source of a manager is made, and ended.

What is read of another process is compared by its repr: the classes of states and payloads are not there.

The recorded kind is of a journal file, and does less: `NOT_RECORDED` says which tests are not for it, and why. The
manager has a journal, and each read is of a new backup, so that a test may go on after it has read. So it is with the
source of a moment: each read is of a new one.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from agentrt import AgentError, JournalError, RuntimeManager, RuntimeNotFoundError
from agentrt.discovery import list_managers
from agentrt.distributed.cluster_source import ClusterSource, DriverSource
from agentrt.distributed.numbers import first_number_of
from agentrt.distributed.readers import Readers
from agentrt.errors import ActivityValidationError, ConfigurationError, MailboxFullError, RuntimeFailedError
from agentrt.feed.recorded import RecordedSource
from agentrt.feed.remote import RemoteSource
from agentrt.feed.several import SeveralSource
from agentrt.feed.source import ACTOR, COMMANDS, READS, SORTS, JournalStanding, Source, subject_of
from agentrt.journal import MemoryJournal
from agentrt.snapshot import Status
from tests.harness.wait import wait_until
from tests.support import add, fail


@contextlib.contextmanager
def remote(manager: RuntimeManager) -> Iterator[Source]:
    [record] = [each for each in list_managers() if each == manager._offer.record]  # others may have its name
    source = RemoteSource(record, max_age=0)
    yield source
    source.close()


@contextlib.contextmanager
def several(manager: RuntimeManager) -> Iterator[Source]:
    """The manager beside another one, in which nothing happens."""
    with RuntimeManager(loop="thread", name="other", offer=False) as other:
        yield SeveralSource([manager.source, other.source], name="tower", prefixes=["", "other/"])


class Driver:
    """Of a cluster with one node, as its source sees it."""

    name, nodes = "tower", ("node-1",)


@contextlib.contextmanager
def cluster(manager: RuntimeManager) -> Iterator[Source]:
    """The manager as the one node of a cluster."""
    readers = Readers(manager, "its first life")
    with RuntimeManager(loop="thread", name="driver", offer=False) as driver:
        source = ClusterSource(Driver(), DriverSource(driver), lambda node, *frame: readers.answer(*frame), max_age=0)
        yield source
        source.close()


class NodeOfCluster(RuntimeManager):
    """With the numbers of a node."""

    first_number = first_number_of("node-1", Driver.nodes)


class Rewritten:
    """A recorded source of what a manager has done so far: of a new backup whenever it has done something."""

    def __init__(self, manager: RuntimeManager, folder: Path) -> None:
        self._manager, self._folder = manager, folder
        self._sources: dict[int, RecordedSource] = {}

    def __getattr__(self, name: str) -> Any:
        cursor = self._manager.ring.cursor
        if cursor not in self._sources:
            path = self._folder / f"{cursor}.db"
            assert self._manager.journal is not None
            self._manager.journal.backup(path)
            self._sources[cursor] = RecordedSource(path, self._manager.name)
        return getattr(self._sources[cursor], name)

    def close(self) -> None:
        for source in self._sources.values():
            source.close()


@contextlib.contextmanager
def recorded(manager: RuntimeManager) -> Iterator[Source]:
    with TemporaryDirectory() as folder, contextlib.closing(Rewritten(manager, Path(folder))) as source:
        yield source  # type: ignore[misc]


class Repeated:
    """The source of the moment that is now; of a new one whenever something has happened."""

    def __init__(self, manager: RuntimeManager) -> None:
        self._manager, self._source, self._at = manager, manager.at().source, -1

    def __getattr__(self, name: str) -> Any:
        cursor = self._manager.ring.cursor
        if cursor != self._at:
            self._source, self._at = self._manager.at().source, cursor
        return getattr(self._source, name)


@contextlib.contextmanager
def rewound(manager: RuntimeManager) -> Iterator[Source]:
    yield Repeated(manager)  # type: ignore[misc]


Make = Callable[[RuntimeManager], contextlib.AbstractContextManager[Source]]
KINDS: dict[str, Make] = {
    "live": lambda manager: contextlib.nullcontext(manager.source),
    "remote": remote,
    "several": several,
    "cluster": cluster,
    "recorded": recorded,
    "moment": rewound,
}
STEERS = "it takes no command"
GONE = "of what has ended nothing is in the file but its dead letters"
NOT_RECORDED = {
    "test_without_a_journal_there_is_nothing_to_say_of_one": "it is one",
    "test_time_is_the_agents": "its clock stands still",
    "test_ids_are_always_current": GONE,
    "test_what_has_ended_is_found_last": GONE,
    "test_settings_follow": "breakpoints and the first state are not stored",
    "test_where_a_runtime_is": "nothing runs",
    "test_a_form_says_what_to_ask_for_and_stays_the_same": STEERS,
    "test_a_form_without_fields_is_json": STEERS,
    "test_a_frame_says_what_was_let_go": "the bounds are those of the journal, see test_recorded.py",
    "test_whoever_attaches_is_told_until_it_lets_go": "nothing happens",
    "test_every_command_is_recorded_with_who_gave_it": STEERS,
    "test_a_runtime_is_steered": STEERS,
    "test_a_stopped_activity_is_looked_at_stepped_and_run_again": STEERS,
    "test_all_are_paused_and_resumed": STEERS,
    "test_one_that_was_stopped_recovers": STEERS,
    "test_what_is_refused_changes_nothing": STEERS,
    "test_what_was_typed_is_sent": STEERS,
    "test_a_send_says_how_many_are_before_it": STEERS,
    "test_a_burst_ends_and_is_counted": STEERS,
    "test_a_burst_is_stopped": STEERS,
    "test_what_waits_is_moved_and_moved_back": STEERS,
    "test_a_payload_is_edited_and_edited_back": STEERS,
    "test_what_was_dropped_can_be_sent_again": STEERS,
    "test_dead_letters_are_sent_again_or_discarded": STEERS,
    "test_dead_letters_that_are_refused_stay": STEERS,
}
NOT_OF_MOMENT = {
    **{name: why for name, why in NOT_RECORDED.items() if why not in (GONE, "it is one")},
    "test_ids_are_always_current": "a moment's ids stay",
}
NOT_OF_CLUSTER = {"test_time_is_the_agents": "its clock is that of the driver"}
LEFT_OUT = {"recorded": NOT_RECORDED, "moment": NOT_OF_MOMENT, "cluster": NOT_OF_CLUSTER}
del NOT_OF_MOMENT["test_settings_follow"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "source" in metafunc.fixturenames:
        kinds = [kind for kind in KINDS if metafunc.function.__name__ not in LEFT_OUT.get(kind, ())]
        metafunc.parametrize("source", kinds, indirect=True)


@dataclass
class Flight:
    number: int
    carrier: str = "UA"


def board(activity: Any, state: tuple[Flight, ...]) -> tuple[Flight, ...]:
    return (*state, activity.payload)


@pytest.fixture
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RuntimeManager]:
    kind = request.node.callspec.params.get("source") if hasattr(request.node, "callspec") else None
    journal = tmp_path / "agents.db" if kind == "recorded" else None
    make = NodeOfCluster if kind == "cluster" else RuntimeManager
    with make(loop="thread", name="tower", journal=journal) as manager:
        yield manager


@pytest.fixture
def source(request: Any, manager: RuntimeManager) -> Iterator[Source]:
    with KINDS[request.param](manager) as source:
        yield source


def paused(manager: RuntimeManager, id: str = "a", *payloads: Any, **limits: Any) -> list[int]:
    runtime = manager.create(id, 0, add, **limits)
    runtime.pause()
    return [runtime.send_nowait(payload).id for payload in payloads]


def sent(source: Source, *numbers: int | None) -> None:
    """Wait until these have ended."""
    wait_until(lambda: len(source.outcomes(number or 0 for number in numbers)) == len(numbers))


# ---- time, and which runtimes there are


def test_time_is_the_agents(manager, source):
    assert source.name == "tower"
    manager.speed = 60
    assert source.speed == 60
    before = source.now()
    assert manager.clock.now() - before < 60
    assert source.wall(before + 90) - source.wall(before) == manager.clock.wall(90) - manager.clock.wall(0)


def test_ids_are_always_current(manager, source):
    runtimes, ended = source.runtimes, source.ended
    assert (list(runtimes), list(ended)) == ([], [])
    for id in ("b", "a"):
        manager.create(id, 0, add)
    assert list(runtimes) == ["b", "a"]
    assert ("a" in runtimes, "x" in runtimes, len(runtimes)) == (True, False, 2)
    manager.run(manager["b"].terminate())
    assert (list(runtimes), list(ended)) == (["a"], ["b"])
    manager.create("c", 0, add)
    for ids in (runtimes, ended):  # safe while they change
        for id in ids:
            manager.create(f"{id}{id}", 0, add)
            manager.run(manager[f"{id}{id}"].terminate())
    assert list(ended) == ["b", "aa", "cc", "bb", "aaaa", "cccc"]


def test_runtimes_are_found_by_a_part_of_their_id_and_in_parts(manager, source):
    for n in range(30):
        manager.create(f"agent-{n:02}", 0, add)
    found = source.find("AGENT-1", start=2, count=3)
    assert (found.ids, found.live, found.found, found.total) == (("agent-12", "agent-13", "agent-14"), 3, 10, 30)


def test_what_has_ended_is_found_last(manager, source):
    for id in ("a", "b", "c"):
        manager.create(id, 0, add)
    manager.run(manager["b"].terminate())
    found = source.find(start=1)
    assert (found.ids, found.live, found.found, found.total) == (("c", "b"), 1, 3, 3)
    found = source.find(sort="id", down=True)
    assert (found.ids, found.keys, found.live, found.found) == (("c", "a", "b"), ("c", "a"), 2, 3)
    shot, *_ = source.figures(["b"])
    assert shot.status == Status.TERMINATED


def test_runtimes_are_sorted_by_what_they_did(manager, source):
    for id in ("b", "a", "c"):
        manager.create(id, 0, add)
    manager["a"].send_nowait(1).result(60)
    for _ in range(2):
        manager["b"].send_nowait(1).result(60)
    found = source.find(sort="processed", down=True, count=2)
    assert (found.ids, found.keys, found.live, found.found, found.total) == (("b", "a"), (2, 1), 2, 3, 3)
    assert source.find(sort="processed").ids == ("c", "a", "b")
    assert source.find(sort="id", down=True, start=1).ids == ("b", "a")
    assert source.find("A", sort="status").ids == ("a",)
    assert source.find("no such", sort="failed").ids == ()
    for sort in SORTS:
        assert sorted(source.find(sort=sort).ids[:3]) == ["a", "b", "c"]


def test_there_is_something_to_say_of_few(manager, source):
    for id in ("rest", "done", "waits", "fails"):
        manager.create(id, 0, fail if id == "fails" else add)
    manager["done"].send_nowait(1).result(60)
    manager["waits"].pause()
    manager["waits"].send_nowait(1)
    with pytest.raises(AgentError):
        manager["fails"].send_nowait(1).result(60)
    shots = {shot.id: shot for shot in source.active()}
    assert shots.keys() == {"waits", "fails"}
    assert (shots["waits"].depth, shots["waits"].status) == ((0, 1), Status.PAUSED)
    assert shots["fails"].error is not None


def test_figures_are_snapshots_for_a_table(manager, source):
    for id in ("a", "b"):
        manager.create(id, 0, add)
    manager["a"].send_nowait(2).result(60)
    a, b = source.figures(["a", "x", "b"])
    assert (a.id, a.fates.done, a.metrics.processed, b.status) == ("a", 1, 1, Status.IDLE)
    [a] = source.figures(["a"], metrics=False)
    assert a.metrics is None
    several = source.figures(["a"] * 150)
    assert [shot.id for shot in several] == ["a"] * 150


def test_it_says_that_nothing_is_wrong(source):
    assert source.standing().words == ""
    assert source.standing().generation == source.standing().generation


def test_what_it_can_do_is_listed(source):
    assert source.capabilities <= COMMANDS | READS


# ---- how things are


def test_a_snapshot_of_one_of_some_and_of_all(manager, source):
    manager.create("a", 1, add).send_nowait(2).result(60)
    manager.create("b", 5, add)
    shot = source.snapshot("a")
    assert (shot.id, shot.state, shot.fates.done, shot.status) == ("a", 3, 1, Status.IDLE)
    assert shot.metrics is not None
    assert source.snapshot("a", metrics=False).metrics is None
    assert [each.id for each in source.snapshots()] == ["a", "b"]
    assert [each.id for each in source.snapshots(["b", "x", "a"])] == ["b", "a"]
    assert source.snapshots(["b"], metrics=True)[0].metrics is not None
    assert source.fates().done == 1


def test_of_one_that_has_ended_the_last_snapshot_is_left(manager, source):
    paused(manager, "a", 1)
    manager.run(manager["a"].terminate())
    assert source.snapshot("a").status is Status.TERMINATED
    assert [each.id for each in source.snapshots(["a"])] == ["a"]
    assert source.snapshots() == []
    nothing = (source.settings("a"), source.where("a"), source.form("a"), source.mailbox("a").items)
    assert nothing == (None, None, None, ())


def test_what_is_not_known_is_none(source):
    assert source.snapshot("x") is None
    assert source.snapshots(["x"]) == []
    assert (source.settings("x"), source.where("x"), source.form("x"), source.burst(9)) == (None, None, None, None)
    assert source.mailbox("x").total == 0
    assert source.outcomes([1, 2]) == {}


def test_settings_follow(manager, source):
    runtime = manager.create("a", 7, add, timeout=2.0)
    settings = source.settings("a")
    assert (settings.paused, settings.limits.timeout, settings.breakpoints, settings.initial) == (False, 2.0, (), 7)
    runtime.paused, runtime.timeout = True, 3.0
    runtime.breakpoints.add("error")
    settings = source.settings("a")
    assert (settings.paused, settings.limits.timeout, settings.breakpoints) == (True, 3.0, ("error",))


def test_a_mailbox_is_read_by_lane_and_page(manager, source):
    numbers = paused(manager, "a", *range(5))
    urgent = manager["a"].send_nowait(9, priority=True).id
    late, soon = (manager["a"].send_nowait(7, delay=delay).id for delay in (900, 600))
    everything = source.mailbox("a")
    assert [each.id for each in everything.items] == [urgent, *numbers, late, soon]
    assert everything.total == 8
    page = source.mailbox("a", "standard", start=3, count=9)
    assert ([each.id for each in page.items], page.total) == (numbers[3:], 5)
    assert [each.id for each in source.mailbox("a", "standard", count=1).items] == numbers[:1]
    assert [each.id for each in source.mailbox("a", "priority").items] == [urgent]
    assert [each.id for each in source.mailbox("a", "delayed").items] == [soon, late]


def test_where_a_runtime_is(manager, source):
    entered = threading.Event()

    async def wait(activity: Any, state: Any) -> Any:
        entered.set()
        await asyncio.Event().wait()

    runtime = manager.create("a", 0, wait)
    assert source.where("a").how == "idle"
    runtime.send_nowait(1)
    assert entered.wait(60)
    wait_until(lambda: source.where("a").how == "awaiting")
    assert any("entered.set" in frame.source or "wait()" in frame.source for frame in source.where("a").frames)


def test_a_form_says_what_to_ask_for_and_stays_the_same(manager, source):
    runtime = manager.create("gate", (), board, accepts=Flight)
    form = source.form("gate")
    assert [field.name for field in form.fields] == ["number", "carrier"]
    assert form.record
    assert json.loads(form.text) == {"number": 0, "carrier": "UA"}
    assert source.form("gate") is form
    runtime.pause()
    number = runtime.send_nowait(Flight(12, "AA")).id
    filled = source.form("gate", number)
    assert [field.initial for field in filled.fields] == ["12", "AA"]
    assert json.loads(filled.text) == {"number": 12, "carrier": "AA"}
    assert source.form("gate", 9999) is None


def test_a_form_without_fields_is_json(manager, source):
    number = paused(manager, "a", 1)[0]
    assert source.form("a", number).fields == ()
    assert source.form("a", number).text == "1"


# ---- what happened


def test_a_frame_is_what_is_new(manager, source):
    runtime = manager.create("a", 0, add)
    frame = source.frame()
    assert (frame.first, frame.missed, frame.changed) == (True, 0, {"a"})
    runtime.send_nowait(1).result(60)
    more = source.frame(frame.cursor)
    assert [record.kind for record in more.records] == ["accepted", "done"]
    assert (more.first, more.changed, source.frame(more.cursor).records) == (False, {"a"}, [])


def test_a_frame_says_what_was_let_go(manager, source):
    runtime = manager.create("a", 0, add)
    manager.ring.limit = 10
    for _ in range(1_500):
        runtime.send_nowait(1, priority=True).result(60)
    frame = source.frame()
    assert frame.missed
    assert len(frame.records) + frame.missed == frame.cursor
    assert source.frame(frame.missed).missed == 0


def test_whoever_attaches_is_told_until_it_lets_go(manager, source):
    seen: list[Any] = []
    detach = source.attach(seen.append)
    wait_until(lambda: bool(seen))
    assert seen[0].first
    manager.create("a", 0, add)
    wait_until(lambda: "a" in seen[-1].changed)
    assert not seen[-1].first or len(seen) == 1
    detach()
    manager.create("b", 0, add)
    assert all("b" not in frame.changed for frame in seen)


def test_frames_are_drawn_where_the_client_says(manager, source):
    calls: list[Callable[[], None]] = []
    seen: list[Any] = []
    detach = source.attach(seen.append, calls.append)
    wait_until(lambda: bool(calls))
    assert seen == []
    calls.pop()()
    assert len(seen) == 1
    detach()


def test_watching_has_a_price(source):
    before = source.watching()
    source.charge(1.5)
    assert source.watching().cost == pytest.approx(before.cost + 1.5)
    assert before.pause > 0
    assert not before.over_budget


# ---- commands


def test_every_command_is_recorded_with_who_gave_it(manager, source):
    manager.create("a", 0, add)
    token = ACTOR.set("a page")
    try:
        for name in ("pause", "resume", "step"):
            source.command(name, "a")
        source.submit("pause", "a").result(60)
        source.command("set_speed", speed=2.0)
    finally:
        ACTOR.reset(token)
    by = {record.kind: record.who for record in source.frame().records if record.kind not in ("created", "accepted")}
    assert by == {"paused": "a page", "resumed": "a page", "stepped": "a page", "speed": "a page"}


def test_a_runtime_is_steered(manager, source):
    paused(manager, "a", 1, 2)
    assert source.command("step", "a").count == 1
    wait_until(lambda: source.snapshot("a").state == 1)
    source.command("set", "a", name="timeout", value=4.0)
    source.command("set", "a", name="paused", value=False)
    assert (source.settings("a").limits.timeout, source.settings("a").paused) == (4.0, False)
    wait_until(lambda: source.snapshot("a").state == 3)
    source.command("add_breakpoint", "a", at="priority")
    source.command("add_breakpoint", "a", at="error")
    source.command("remove_breakpoint", "a", place=0)
    assert source.settings("a").breakpoints == ("error",)
    source.command("remove_breakpoint", "a", place=7)
    source.command("terminate", "a")
    wait_until(lambda: "a" in source.ended)


def test_a_stopped_activity_is_looked_at_stepped_and_run_again(manager, source):
    async def lands(activity: Any, state: int, ctx: Any) -> int:
        with ctx.step("descend"):
            height = activity.payload * 2
        with ctx.step("park"):
            return state + height

    def stop() -> Any:
        return source.where("a").stop

    manager.create("a", 1, lands)
    source.command("add_breakpoint", "a", step="descend")
    source.command("add_breakpoint", "a", error=True, hits=2)
    assert source.settings("a").breakpoints == ("step descend", "raise, from hit 2 on")
    number = source.command("send", "a", typed="3", lane="standard").activity
    wait_until(stop)
    assert (source.where("a").how, stop().activity, stop().payload, stop().state) == ("stopped", number, "3", "1")
    assert source.snapshot("a").status is Status.PAUSED
    assert source.form("a", number).text == "3"
    source.command("edit_state", "a", typed="100")
    with pytest.raises(AgentError):
        source.command("edit_state", "a", typed='"text"')
    source.command("retry", "a", typed="4")
    wait_until(lambda: stop() is not None and stop().payload == "4")
    source.command("step_over", "a")
    wait_until(lambda: stop() is not None and stop().steps == ("park",))
    if manager._offer is not None:
        manager._offer.evaluator = True
    assert source.command("evaluate", "a", expression="(height, state)").text == "(8, 100)"
    source.command("add_condition", "a", step="park", when="height > 100")
    source.command("step_out", "a")
    wait_until(lambda: stop() is not None and stop().new == "108")
    source.command("resume", "a")
    wait_until(lambda: source.snapshot("a").state == 108)


def test_expressions_are_off_for_readers_in_another_process():
    with RuntimeManager() as manager, remote(manager) as source:
        manager.create("a", 0, add)
        for name, arguments in (("evaluate", {"expression": "1"}), ("add_condition", {"step": "s", "when": "1"})):
            with pytest.raises(AgentError, match="evaluator=True"):
                source.command(name, "a", **arguments)
        assert source.settings("a").breakpoints == ()


def test_all_are_paused_and_resumed(manager, source):
    for id in "ab":
        manager.create(id, 0, add)
    source.command("pause_all")
    assert [source.settings(id).paused for id in "ab"] == [True, True]
    source.command("resume_all")
    assert [source.settings(id).paused for id in "ab"] == [False, False]


def test_one_that_was_stopped_recovers(manager, source):
    manager.create("a", 0, fail, supervision="stop").send_nowait(1)
    for _ in range(10):
        with contextlib.suppress(RuntimeFailedError):  # it may be stopped at any moment
            source.command("send", "a", typed="1", lane="standard")
    wait_until(lambda: source.snapshot("a").status is Status.FAILED)
    source.command("recover", "a")
    assert [record.kind for record in source.frame().records].count("recovered") == 1  # it may be stopped again by now


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("pause", "x"), RuntimeNotFoundError),
        (("fly", "a"), ConfigurationError),
        (("set", "a", {"name": "wings", "value": 2}), ConfigurationError),
        (("set", "a", {"name": "timeout", "value": -1}), ConfigurationError),
        (("send", "a", {"typed": "no json", "lane": "standard"}), ActivityValidationError),
        (("check", "a", {"typed": {"payload": 1, "wings": 2}}), ActivityValidationError),
        (("check", "a", {"typed": "1" * 4_000}), ActivityValidationError),
        (("burst", "a", {"typed": "1", "lane": "standard", "count": 0, "rate": 1}), ConfigurationError),
        (("drop", "a", {"activity": 9999}), AgentError),
        (("edit", "a", {"activity": 9999, "typed": "1"}), AgentError),
        (("discard", "", {"activities": [9999]}), AgentError),
        (("undo", "", {"number": 9999}), AgentError),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else None,
)
def test_what_is_refused_changes_nothing(manager, source, arguments, error):
    manager.create("a", 0, add, max_payload=1_000)
    before = source.frame().cursor
    name, id, rest = (*arguments, {})[:3]
    with pytest.raises(error):
        source.command(name, id, **rest)
    assert source.frame(before).records == []


# ---- sending


def test_what_was_typed_is_sent(manager, source):
    manager.create("gate", (), board, accepts=Flight)
    source.command("check", "gate", typed={"number": "12"})
    first = source.command("send", "gate", typed={"number": "12", "carrier": "AA"}, lane="standard")
    sent(source, first.activity)
    second = source.command("send", "gate", typed='{"number": 3}', lane="priority")
    assert (first.runtime, second.runtime) == ("gate", "gate")
    sent(source, first.activity, second.activity)
    assert repr(source.snapshot("gate").state) == repr((Flight(12, "AA"), Flight(3)))
    assert source.outcomes([first.activity])[first.activity].kind == "done"


def test_a_send_says_how_many_are_before_it(manager, source):
    paused(manager, "a", 1, 2, standard_capacity=4)
    assert source.command("send", "a", typed="1", lane="standard").ahead == 2
    assert source.command("send", "a", typed="1", lane="priority").ahead == 0
    late = source.command("send", "a", typed="1", lane="standard", delay=900)
    assert [each.id for each in source.mailbox("a", "delayed").items] == [late.activity]
    with pytest.raises(MailboxFullError):
        source.command("send", "a", typed="1", lane="standard")
    assert source.outcomes([late.activity]) == {}


def test_a_burst_ends_and_is_counted(manager, source):
    manager.create("a", 0, add)
    ended = threading.Event()
    reply = source.command("burst", "a", typed="1", lane="standard", count=20, rate=5000, ended=ended.set)
    assert ended.wait(60)
    wait_until(lambda: source.burst(reply.burst).settled)
    progress = source.burst(reply.burst)
    assert (progress.total, progress.sent, progress.fates, progress.error) == (20, 20, {"done": 20}, "")
    assert source.snapshot("a").state == 20


def test_a_burst_is_stopped(manager, source):
    paused(manager, "a", standard_capacity=5)
    reply = source.command("burst", "a", typed="1", lane="standard", count=30, rate=5000)
    wait_until(lambda: source.burst(reply.burst).sent == 5)
    assert source.burst(reply.burst).running
    source.command("stop_burst", number=reply.burst)
    wait_until(lambda: not source.burst(reply.burst).running)
    assert (source.burst(reply.burst).stopped, source.burst(reply.burst).pending) == (True, 5)


# ---- what waits


@pytest.mark.parametrize("how", ["command", "submit"])
def test_what_waits_is_moved_and_moved_back(manager, source, how):
    def give(name: str, **arguments: Any) -> Any:
        found = getattr(source, how)(name, "a" if "activity" in arguments else "", **arguments)
        return found if how == "command" else found.result(60)

    def order() -> list[int]:
        return [each.payload for each in source.mailbox("a").items]

    numbers = paused(manager, "a", 1, 2, 3)
    for name, then in (("first", [3, 1, 2]), ("promote", [3, 1, 2])):
        reply = give(name, activity=numbers[2])
        assert order() == then
        give("undo", number=reply.undo)
        assert order() == [1, 2, 3]
    give("promote", activity=numbers[0])
    reply = give("demote", activity=numbers[0])
    assert order() == [2, 3, 1]
    give("undo", number=reply.undo)
    assert source.mailbox("a").items[0].lane == "priority"


def test_a_payload_is_edited_and_edited_back(manager, source):
    manager.create("gate", (), board, accepts=Flight).pause()
    number = manager["gate"].send_nowait(Flight(1, "AA")).id
    with pytest.raises(ActivityValidationError):
        source.command("check", "gate", activity=number, typed={"number": "x", "carrier": "AA"})
    reply = source.command("edit", "gate", activity=number, typed={"number": "2", "carrier": "AA"})
    assert repr(source.mailbox("gate").items[0].payload) == repr(Flight(2, "AA"))
    source.command("undo", number=reply.undo)
    assert repr(source.mailbox("gate").items[0].payload) == repr(Flight(1, "AA"))
    with pytest.raises(AgentError):
        source.command("undo", number=reply.undo)


def test_what_was_dropped_can_be_sent_again(manager, source):
    number = paused(manager, "a", 5)[0]
    reply = source.command("drop", "a", activity=number)
    assert source.mailbox("a").total == 0
    again = source.command("undo", number=reply.undo)
    assert (again.runtime, source.mailbox("a").items[0].parent) == ("a", number)
    assert source.mailbox("a").items[0].id == again.activity


# ---- dead letters


def test_dead_letters_are_read_in_pages(manager, source):
    numbers = paused(manager, "gone", 1, 2, 3, 4)
    manager.run(manager["gone"].terminate())
    letters = source.dead_letters()
    assert ([each.activity.id for each in letters.items], letters.total) == (numbers, 4)
    assert all("was terminated" in each.reason for each in letters.items)
    assert ([each.activity.id for each in source.dead_letters(1, 2).items]) == numbers[1:3]
    assert (source.dead_letters(count=0).items, source.dead_letters(count=0).total) == ((), 4)
    ledger = source.ledger()
    assert (ledger.dead, ledger.here, ledger.resent, ledger.discarded, ledger.let_go) == (4, 4, 0, 0, 0)


def test_dead_letters_are_sent_again_or_discarded(manager, source):
    numbers = paused(manager, "gone", 1, 2, 3, 4)
    manager.run(manager["gone"].terminate())
    manager.create("here", 0, add, standard_capacity=10)
    reply = source.command("discard", activities=numbers[:2])
    assert (reply.count, source.dead_letters().total) == (2, 2)
    assert source.command("undo", number=reply.undo).count == 2
    one = source.command("resend", activities=numbers[:1], to="here")
    assert (one.count, one.runtime) == (1, "here")
    assert source.command("resend", activities=numbers[1:3], to="here").count == 2
    ledger = source.ledger()
    assert (ledger.dead, ledger.here, ledger.resent, ledger.discarded) == (4, 1, 3, 0)


def test_dead_letters_that_are_refused_stay(manager, source):
    numbers = paused(manager, "gone", 1, 2)
    manager.run(manager["gone"].terminate())
    with pytest.raises(AgentError):
        source.command("resend", activities=numbers[:1])
    reply = source.command("resend", activities=numbers)
    assert (reply.count, "was terminated" in reply.refusal, source.dead_letters().total) == (0, True, 2)


# ---- the journal


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"moment"}))
def test_how_far_the_journal_is(kind, tmp_path):
    path = tmp_path / "agents.db"
    with RuntimeManager(path, loop="thread", name="tower") as manager, KINDS[kind](manager) as source:
        manager.create("a", 0, add)
        manager.create("b", 0, add, durable=False)
        manager.run(manager["a"].ask(1))
        wait_until(lambda: (source.journal() or JournalStanding(pending=1)).pending == 0)
        found = source.journal()
        assert (found.name.endswith(".db"), found.pending, found.lag, found.error) == (True, 0, 0, "")
        assert found.size > 4096
        assert source.journal("a") is not None
        assert (source.journal("b"), source.journal("nobody")) == (None, None)


def test_without_a_journal_there_is_nothing_to_say_of_one(manager, source):
    manager.create("a", 0, add)
    assert (source.journal(), source.journal("a")) == (None, None)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"recorded", "moment"}))
def test_why_nothing_can_be_stored_is_said_until_it_can(kind):
    journal = MemoryJournal()
    with RuntimeManager(journal, loop="thread", name="tower") as manager, KINDS[kind](manager) as source:
        runtime = manager.create("a", 0, add)
        assert source.journal() is not None
        journal.broken = JournalError("the disk is full")
        runtime.pause()  # nothing is recorded of what comes of it
        wait_until(lambda: source.journal().error == "the disk is full")
        assert (source.journal().pending, source.journal().lag > 0) == (1, True)
        journal.mend()
        wait_until(lambda: source.journal().pending == 0)
        assert (source.journal().lag, source.journal().error) == (0, "")


def test_a_handle_leads_to_its_source(manager):
    runtime = manager.create("a", 0, add)
    assert subject_of(manager) == subject_of(subject_of(manager))
    assert (subject_of(runtime).source, subject_of(runtime).id) == (manager.source, "a")
    assert manager.source is manager.source
