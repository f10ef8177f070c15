"""world.py: `at(n)` is what a reader saw then."""

import asyncio
import random
import re

import pytest

from agentrt import ConfigurationError, Lane, RuntimeManager, RuntimeNotFoundError, Status
from agentrt.history.world import World
from agentrt.testing import virtual_manager
from tests.history.support import MOMENTS, Reader, day, differences, long_run, moment_of, slow
from tests.support import add, virtual


@virtual
async def test_every_moment_of_a_day_is_what_a_reader_saw(manager):
    reader = Reader(manager)
    await day(manager, reader.look)
    assert len(reader.seen) > 15
    for seen in reader.seen:
        assert list(differences(moment_of(manager, seen), seen)) == []


@virtual
async def test_so_it_is_when_the_past_is_read_in_between(manager):
    reader = Reader(manager)

    def look() -> None:
        reader.look()
        assert list(differences(manager.at(), reader.seen[-1])) == []

    await day(manager, look)
    for seen in random.Random(1).sample(reader.seen, 10):
        assert list(differences(moment_of(manager, seen), seen)) == []


def test_random_moments_of_a_long_run():
    with virtual_manager(seed=3, ring=300 * MOMENTS) as manager:
        reader = Reader(manager)
        manager.run(long_run(manager, reader.look, MOMENTS))
        assert len(manager.ring.records) > 80 * MOMENTS
        for seen in random.Random(1).sample(reader.seen, MOMENTS):
            assert list(differences(moment_of(manager, seen), seen)) == []


@virtual
async def test_between_two_slices_of_many_activities_nothing_is_processed(manager):
    many, reader = manager.create("many", 0, lambda activity, state: state + activity.payload), Reader(manager)
    other = manager.create("other", 0, add, standard_capacity=10_000)
    other.pause()
    for n in range(200):
        many.send_nowait(n)
    while many.depth != (0, 0):
        await asyncio.sleep(0)
        other.send_nowait(3)  # a record, before the next slice
        reader.look()
    assert any(0 < shot.depth[1] < 200 for seen in reader.seen for shot in seen.snapshots)
    for seen in reader.seen:
        found = moment_of(manager, seen)["many"]
        was = next(shot for shot in seen.snapshots if shot.id == "many")
        assert (found.status, found.depth) == (was.status, was.depth)


@virtual
async def test_now_is_what_is_now(manager):
    runtime = manager.create("slow", 0, slow)
    runtime.send_nowait(1)
    runtime.send_nowait(2)
    await asyncio.sleep(5)
    moment = manager.at()
    assert moment.snapshots()[0] == runtime.snapshot(metrics=False)
    assert (moment["slow"].status, moment["slow"].running.spans) == (Status.PROCESSING, ("outer", "inner"))
    await asyncio.sleep(40)
    assert (moment["slow"].status, moment["slow"].depth) == (Status.PROCESSING, (0, 1))
    assert (manager.at(moment.sequence)["slow"].state, manager.at()["slow"].state) == (0, 3)


@virtual
async def test_a_moment_is_found_by_its_time(manager):
    runtime = manager.create("slow", 0, slow)
    begin = manager.clock.now()
    runtime.send_nowait(1)
    await asyncio.sleep(30)
    assert manager.at(time=begin)["slow"].status is Status.PROCESSING
    assert manager.at(time=begin + 15)["slow"].state == 0
    assert manager.at(time=begin + 20)["slow"].state == 1
    assert len(manager.at(time=begin - 1)) == 0


@virtual
async def test_timers_are_those_that_were_set(manager):
    runtime = manager.create("a", 0, add)
    runtime.send_nowait(1, delay=60)
    runtime.send_nowait(2, delay=30)
    moment = manager.at()
    await asyncio.sleep(70)
    assert [each.payload for each in moment.timers()] == [2, 1]
    assert [each.payload for each in moment["a"].lane_items("delayed")] == [2, 1]
    assert manager.at().timers() == []


@virtual
async def test_what_is_not_there(manager):
    manager.create("a", 0, add)
    moment = manager.at()
    manager.create("b", 0, add)
    assert ("a" in moment, "b" in moment, list(moment), len(moment)) == (True, False, ["a"], 1)
    with pytest.raises(RuntimeNotFoundError):
        moment["b"]
    with pytest.raises(ConfigurationError):
        manager.at(1, time=2.0)


@virtual
async def test_one_that_has_ended_is_still_told_of(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    runtime.send_nowait(1)
    before = manager.at()
    await runtime.terminate()
    after = manager.at()
    assert (before.ids, before.ended, after.ids, after.ended) == (("a",), (), (), ("a",))
    assert (after["a"].status, after["a"].fates().dead) == (Status.TERMINATED, 1)
    assert before["a"].mailbox_items()[0].lane is Lane.STANDARD


def test_what_the_ring_has_let_go_is_said():
    with RuntimeManager(ring=2_000) as manager:
        runtime = manager.create("a", 0, add, standard_capacity=10_000)
        for _ in range(4_000):
            runtime.send_nowait(1)
        manager.run(runtime.ask(1))
        with pytest.raises(ConfigurationError, match=r"let go .* records"):
            manager.at(5)
        assert manager.at()["a"].state == 4_001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence": -1}, "sequence is -1; it must be a whole number of at least 0"),
        ({"sequence": 1.5}, "sequence is 1.5"),
        ({"sequence": True}, "sequence is True"),
        ({"sequence": "a"}, "sequence is 'a'"),
        ({"sequence": 10**9}, "record 1000000000 has not happened yet; the last one is "),
        ({"time": "x"}, "time is 'x'; it must be seconds on the manager's clock"),
    ],
)
def test_what_is_no_moment_is_refused(options, message):
    with RuntimeManager() as manager:
        manager.create("a", 0, add)
        with pytest.raises(ConfigurationError, match=re.escape(message)):
            manager.at(**options)


def test_a_moment_that_was_let_go_before_it_was_read_says_so():
    with RuntimeManager(ring=2_000) as manager:
        runtime = manager.create("a", 0, add, standard_capacity=10_000)
        moment, kept = manager.at(), manager.at()
        assert kept["a"].state == 0
        assert kept.ids == ("a",)
        for _ in range(4_000):
            runtime.send_nowait(1)
        manager.run(runtime.ask(1))
        manager.at()
        with pytest.raises(ConfigurationError):
            moment["a"]
        assert kept["a"].state == 0


def test_a_world_is_of_one_origin():
    with RuntimeManager(name="tower") as manager:
        assert "of 'tower'" in repr(World(manager.origin))
