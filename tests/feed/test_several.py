"""Managers side by side; what every source must do is tested in test_source."""

import contextlib

import pytest

from agentrt import AgentError, RuntimeManager
from agentrt.errors import ConfigurationError, RuntimeNotFoundError
from agentrt.feed.connection import find_manager
from agentrt.feed.remote import RemoteSource
from agentrt.feed.several import SeveralSource
from agentrt.feed.shift import STRIDE
from tests.harness.wait import wait_until
from tests.support import add, fail


@pytest.fixture(params=["live", "remote"])
def both(request):
    """Two managers with the same ids, and their sources as one."""
    with contextlib.ExitStack() as stack:
        managers = [stack.enter_context(RuntimeManager(loop="thread", name=name)) for name in ("north", "south")]
        for manager in managers:
            manager.create("a", 0, add)
        if request.param == "live":
            sources = [manager.source for manager in managers]
        else:
            records = [find_manager(manager.name) for manager in managers]
            sources = [stack.enter_context(RemoteSource(record, max_age=0)) for record in records]
        yield *managers, SeveralSource(sources)


def test_ids_and_numbers_are_of_one_of_them(both):
    _, south, source = both
    assert (source.name, list(source.runtimes), len(source.runtimes)) == ("north + south", ["north/a", "south/a"], 2)
    assert "a" not in source.runtimes
    south["a"].pause()
    reply = source.command("send", "south/a", typed="5", lane="standard")
    assert (reply.runtime, reply.activity // STRIDE) == ("south/a", 1)
    [item] = source.mailbox("south/a").items
    assert (item.id, item.runtime, item.payload) == (reply.activity, "south/a", 5)
    assert source.mailbox("north/a").items == ()
    moved = source.command("promote", "south/a", activity=reply.activity)
    assert source.mailbox("south/a").items[0].lane == "priority"
    source.command("undo", number=moved.undo)
    assert source.mailbox("south/a").items[0].lane == "standard"
    south["a"].resume()
    wait_until(lambda: source.outcomes([reply.activity]))
    assert source.outcomes([reply.activity])[reply.activity].runtime == "south/a"
    assert [shot.state for shot in source.snapshots()] == [0, 5]
    assert source.where("south/a").runtime == "south/a"
    assert source.fates().done == 1


def test_records_of_both_in_one_order(both):
    north, south, source = both
    seen = []
    detach = source.attach(seen.append)
    for n, manager in enumerate((north, south, north)):
        manager["a"].send_nowait(1).result(60)
        wait_until(lambda most=2 * n + 4: sum(len(frame.records) for frame in seen) >= most)
    records = source.frame().records
    assert [record.runtime for record in records if record.kind == "done"] == ["north/a", "south/a", "north/a"]
    assert [record.at for record in records] == sorted(record.at for record in records)
    assert len({record.sequence for record in records}) == len(records) == 8
    detach()
    assert not source.hub.running
    assert not north.hub.running


def test_commands_for_all(both):
    north, south, source = both
    source.command("pause_all")
    assert (north["a"].paused, south["a"].paused) == (True, True)
    source.command("set_speed", speed=3)
    assert (north.speed, south.speed) == (3, 3)
    with pytest.raises(RuntimeNotFoundError):
        source.command("pause", "west/a")
    with pytest.raises(AgentError):
        source.command("undo", number=12 * STRIDE)


def test_errors_lead_to_their_activity(both):
    _, south, source = both
    with pytest.raises(AgentError):
        south.create("b", 0, fail).send_nowait(1).result(60)
    error = source.snapshot("south/b").error
    assert (error.runtime, error.activity // STRIDE) == ("south/b", 1)
    assert source.frame().records[-1].error.activity == error.activity


def test_dead_letters_of_both(both):
    north, south, source = both
    for manager in (north, south):
        manager["a"].pause()
        manager["a"].send_nowait(1)
        manager.run(manager["a"].terminate())
    wait_until(lambda: source.dead_letters(count=0).total == 2)
    numbers = [letter.activity.id for letter in source.dead_letters().items]
    assert [number // STRIDE for number in numbers] == [0, 1]
    reply = source.command("discard", activities=numbers)
    assert (reply.count, source.dead_letters().total) == (2, 0)
    assert source.command("undo", number=reply.undo).count == 2
    north.create("c", 0, add)
    assert source.command("resend", activities=numbers[:1], to="north/c").runtime == "north/c"
    with pytest.raises(ConfigurationError, match="belongs to another manager"):
        source.command("resend", activities=numbers[1:], to="north/c")
    assert source.ledger().resent == 1


def test_two_of_one_name_are_told_apart():
    with (
        RuntimeManager(loop="thread", name="same", offer=False) as one,
        RuntimeManager(loop="thread", name="same", offer=False) as other,
    ):
        other.create("a", 0, add)
        source = SeveralSource([one.source, other.source])
        assert list(source.runtimes) == ["same 2/a"]
        with pytest.raises(ConfigurationError, match="give each source another one"):
            SeveralSource([one.source, other.source], prefixes=["", ""])
        with pytest.raises(ConfigurationError, match="there is no source"):
            SeveralSource([])


def test_what_is_wrong_with_one_is_said():
    with (
        RuntimeManager(loop="thread", name="left") as left,
        RuntimeManager(loop="thread", name="stays") as stays,
        RemoteSource("left", max_age=0) as remote,
    ):
        source = SeveralSource([remote, stays.source])
        assert source.standing().words == ""
        left.close()
        assert source.standing().words.startswith("left: Since ")
        assert source.standing().silent
