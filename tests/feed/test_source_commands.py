"""feed/source.py: what every kind of source carries out (see sources.py)."""

import contextlib
import threading
from typing import Any

import pytest

from agentrt import AgentError, RuntimeManager, RuntimeNotFoundError
from agentrt.errors import ActivityValidationError, ConfigurationError, MailboxFullError, RuntimeFailedError
from agentrt.feed.source import ACTOR
from agentrt.snapshot import Status
from tests.feed.sources import Flight, board, paused, remote, sent
from tests.harness.wait import wait_until
from tests.support import add, fail

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
