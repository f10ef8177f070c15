"""What is read of every kind of source (see sources.py).

What is read of another process is compared by its repr: the classes of states and payloads are not there.
"""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import AgentError, JournalError, RuntimeManager
from agentrt.feed.source import COMMANDS, READS, SORTS, JournalStanding, subject_of
from agentrt.journal import MemoryJournal
from agentrt.snapshot import Status
from tests.feed.sources import KINDS, Flight, board, paused
from tests.harness.wait import wait_until
from tests.support import add, fail


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
