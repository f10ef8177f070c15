"""resume.py: what was accepted survives a restart. A restart is another manager on the same log."""

import asyncio
from typing import Any

import msgspec
import pytest

from agentrt import (
    Activity,
    ActivityValidationError,
    JournalError,
    ProcessingError,
    RuntimeExistsError,
    RuntimeManager,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from agentrt.groups import Group
from agentrt.journal import register
from agentrt.limits import Backoff
from agentrt.supervision import Policy, Supervision
from tests.engine.restarts import World, restarts
from tests.support import Gate, add, collect, turns

STOP = Supervision(Policy.STOP, intensity=1)


@restarts
async def test_a_runtime_goes_on_with_its_state(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        assert not runtime.resumed
        assert await runtime.ask(5) == 5
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        assert (runtime.resumed, runtime.state, runtime.fates().done) == (True, 5, 1)
        assert await runtime.ask(2) == 7
        assert runtime.initial == 0


@restarts
async def test_what_waits_is_processed_in_its_order(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        runtime.pause()
        for each in range(3):
            runtime.send_nowait(each)
        runtime.send_nowait("first", priority=True)
        await turns()
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        assert (runtime.paused, runtime.depth) == (True, (1, 3))
        runtime.resume()
        await asyncio.sleep(1)
        assert runtime.state == ("first", 0, 1, 2)
        assert runtime.fates().done == runtime.fates().accepted == 4


@restarts
async def test_what_runs_when_it_ends_runs_again(world: World) -> None:
    async with world.manager() as manager:
        gate = Gate()
        runtime = manager.create("gate", (), gate)
        receipt = runtime.send_nowait(1)
        await gate.entered.wait()
    with pytest.raises(RuntimeTerminatedError, match="it is in the journal, and is processed when 'gate' is created"):
        await receipt
    assert len(manager.dead_letters) == 0
    async with world.manager() as manager:
        runtime = manager.create("gate", (), collect)
        await asyncio.sleep(1)
        assert (runtime.state, runtime.fates().done) == ((1,), 1)


@restarts
async def test_ids_go_on(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        receipts = [runtime.send_nowait(1) for _ in range(50)]
        await receipts[-1]
    async with world.manager() as manager:
        assert manager.create("sum", 0, add).send_nowait(1).id > receipts[-1].id


@restarts
async def test_a_delayed_activity_is_due_when_it_was(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        runtime.send_nowait("late", delay=100)
        due = manager.clock.now() + 100
        await asyncio.sleep(10)
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        assert runtime.mailbox_items()[0].not_before == due
        await asyncio.sleep(due - manager.clock.now() - 1)
        assert runtime.state == ()
        await asyncio.sleep(2)
        assert runtime.state == ("late",)


@restarts
async def test_retries_are_counted_over_a_restart(world: World) -> None:
    tried = []

    async def fails(activity: Activity[int], state: int) -> int:
        tried.append(activity.id)
        raise ValueError("no")

    limits: dict[str, Any] = {"retries": 3, "backoff": Backoff(100, 1, 100, 0)}
    async with world.manager() as manager:
        manager.create("fails", 0, fails, **limits).send_nowait(0)
        await asyncio.sleep(150)
        assert len(tried) == 2
    async with world.manager() as manager:
        runtime = manager.create("fails", 0, fails, **limits)
        before = manager.clock.now()
        await asyncio.sleep(2000)
        assert (len(tried), runtime.fates().failed) == (4, 1)
        assert manager.clock.now() > before


@restarts
async def test_supervision_and_status_survive(world: World) -> None:
    async def fails(activity: Activity[int], state: int) -> int:
        raise ValueError("no")

    async with world.manager() as manager:
        runtime = manager.create("fails", 0, fails, retries=0, supervision=STOP)
        with pytest.raises(ProcessingError):
            await runtime.ask(0)
        assert runtime.status == "failed"
    async with world.manager() as manager:
        runtime = manager.create("fails", 0, add, retries=0, supervision=STOP)
        assert runtime.status == "failed"
        runtime.recover()
        assert await runtime.ask(4) == 4
    async with world.manager() as manager:
        assert manager.create("fails", 0, add, retries=0, supervision=STOP).status == "idle"


async def fail(group: Group, *times: int) -> None:
    """Fail so often in its child, one second after the other."""
    child = group.create("child", 0, lambda activity, state: state // activity.payload, retries=0)
    for _ in times:
        with pytest.raises(ProcessingError):
            await child.ask(0)
        await asyncio.sleep(1)


@restarts
async def test_the_failures_of_a_group_and_of_its_parents_survive(world: World) -> None:
    async def make(manager: RuntimeManager) -> None:
        above = manager.group("above", intensity=1, policy="escalate")
        group = manager.group("group", intensity=2, parent=above)
        await fail(group, 1)

    async with world.manager() as manager:
        await make(manager)
    async with world.manager() as manager:
        await make(manager)
        assert manager["child"].status == "idle"
        assert len(manager.group_failures("child")["group"]) == 2
    async with world.manager() as manager:
        await make(manager)
        assert manager["child"].status == "failed"
        assert {name: len(times) for name, times in manager.group_failures("child").items()} == {"group": 3, "above": 1}


@restarts
async def test_failures_that_a_group_has_forgotten_stay_forgotten(world: World) -> None:
    async with world.manager() as manager:
        group = manager.group("group", intensity=2)
        await fail(group, 1, 2)
        group.recover()
        await turns()
    async with world.manager() as manager:
        await fail(manager.group("group", intensity=2), 1)
        assert len(manager.group_failures("child")["group"]) == 1


@restarts
async def test_the_counts_of_runtimes_that_have_ended_survive(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        await runtime.ask(1)
        runtime.pause()
        runtime.send_nowait(2)
        await runtime.terminate()
        await manager.create("sum", 0, add).ask(3)
        await manager.create("memory", 0, add, durable=False).ask(4)
        await manager.terminate("memory")
    async with world.manager() as manager:
        fates = manager.fates()
        assert (fates.accepted, fates.done, fates.dead, fates.pending) == (2, 1, 1, 0)
        assert manager.create("sum", 0, add).state == 3
        assert manager.fates().done == 2
        assert manager.dead_letters.ledger().dead == len(manager.dead_letters) == 1


@restarts
async def test_what_nobody_has_created_can_be_ended(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        await runtime.ask(1)
        runtime.pause()
        await runtime.send(2)
    async with world.manager() as manager:
        with pytest.raises(RuntimeNotFoundError):
            manager.terminate("sum", drain=True)
        receipt = manager.send_nowait("sum", 3)
        await manager.terminate("sum")
        assert "sum" not in manager
        with pytest.raises(RuntimeTerminatedError):
            await receipt
        assert [each.activity.payload for each in manager.dead_letters] == [2, 3]
        assert (manager.fates().done, manager.fates().dead) == (1, 2)
        with pytest.raises(RuntimeNotFoundError):
            manager.terminate("nobody")
        assert manager.create("sum", 7, add, resume=False).state == 7
        manager.dead_letters.resend(receipt.id)
        manager.dead_letters.put_back(manager.dead_letters.discard(manager.dead_letters[0].activity.id))
        manager.dead_letters.discard(manager.dead_letters[0].activity.id)
        await turns()
        books = manager.dead_letters.ledger()
        assert (books.dead, books.resent, books.discarded, books.let_go) == (2, 1, 1, 0)
    async with world.manager() as manager:
        assert manager.create("sum", 0, add).state == 10
        assert manager.fates().accepted == 4
        assert manager.dead_letters.ledger() == books


@restarts
async def test_of_many_dead_letters_the_newest_are_kept(world: World) -> None:
    async with world.manager() as manager:
        manager.dead_letters.limit = 3
        runtime = manager.create("sum", 0, add)
        runtime.pause()
        for each in range(10):
            runtime.send_nowait(each)
        await runtime.terminate()
        assert [each.activity.payload for each in manager.dead_letters] == [7, 8, 9]
        assert manager.dead_letters.ledger().let_go == 7
    async with world.manager() as manager:
        assert [each.activity.payload for each in manager.dead_letters] == [7, 8, 9]


@restarts
async def test_limits_that_were_changed_stay_until_the_code_says_something_else(world: World) -> None:
    async with world.manager() as manager:
        manager.create("sum", 0, add, standard_capacity=10).standard_capacity = 20
    async with world.manager() as manager:
        assert manager.create("sum", 0, add, standard_capacity=10).standard_capacity == 20
    async with world.manager() as manager:
        assert manager.create("sum", 0, add, standard_capacity=5).standard_capacity == 5


@restarts
async def test_keys_are_remembered(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        await runtime.ask(5, key="once")
        runtime.pause()
        waits = runtime.send_nowait(1, key="waits")
        await turns()
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add)
        assert (await runtime.send_nowait(5, key="once")).state == 5
        assert runtime.send_nowait(1, key="waits").id == waits.id
        runtime.resume()
        await asyncio.sleep(1)
        assert (runtime.state, runtime.fates().accepted) == (6, 2)


@pytest.mark.parametrize("most", [4, 10])
def test_the_same_keys_are_remembered_as_while_it_ran(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    @restarts
    async def whole(world: World) -> None:
        kept = []
        for sent in (("abcd", "eafgh"), ()):
            async with world.manager() as manager:
                runtime = manager.create("sum", 0, add, key_window=50)
                for keys in sent:  # those before are over
                    await asyncio.sleep(100)
                    for key in keys:
                        await runtime.ask(1, key=key)
                kept.append(list(manager.entry("sum").keys))
                for key in "fgh":
                    await runtime.send_nowait(1, key=key)
                assert runtime.state == 9
        assert kept == [list("eafgh")[-most:]] * 2

    for module in ("admission", "resume"):
        monkeypatch.setattr(f"agentrt.engine.{module}.MOST_KEYS", most)
    whole()


@restarts
async def test_what_was_edited_moved_and_dropped_comes_back_so(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        runtime.pause()
        a, b, c, d = (runtime.send_nowait(each) for each in "abcd")
        runtime.edit(a.id, "A")
        runtime.first(c.id)
        runtime.drop(b.id)
        runtime.promote(d.id)
        await turns()
    async with world.manager() as manager:
        runtime = manager.create("list", (), collect)
        assert [each.payload for each in runtime.mailbox_items()] == ["d", "c", "A"]
        assert runtime.fates().dropped == 1
        runtime.resume()
        await asyncio.sleep(1)
        assert runtime.state == ("d", "c", "A")


@restarts
async def test_a_send_to_what_nobody_has_created_yet_waits(world: World) -> None:
    async with world.manager() as manager:
        manager.create("list", (), collect)
    async with world.manager() as manager:
        receipt = manager.send_nowait("list", "early")
        await manager.send("list", "later")
        assert "list" not in manager
        with pytest.raises(RuntimeNotFoundError, match="the journal holds it: run the code that creates it"):
            manager["list"]
        runtime = manager.create("list", (), collect)
        assert (await receipt).state == ("early",)
        await turns()
        assert (runtime.state, runtime.fates().accepted) == (("early", "later"), 2)
    async with world.manager() as manager:
        assert manager.create("list", (), collect).state == ("early", "later")


@restarts
async def test_resume_false_refuses_what_is_there(world: World) -> None:
    async with world.manager() as manager:
        manager.create("sum", 0, add, resume=False)
    async with world.manager() as manager:
        with pytest.raises(RuntimeExistsError, match="the journal holds 'sum'"):
            manager.create("sum", 0, add, resume=False)
        assert manager.create("sum", 0, add).resumed


@restarts
async def test_a_state_of_another_version_is_upgraded_or_left_alone(world: World) -> None:
    async with world.manager() as manager:
        await manager.create("a", {"n": 1}, lambda activity, state: {"n": state["n"] + activity.payload}).ask(1)

    def second(activity: Activity[int], state: dict[str, int]) -> dict[str, int]:
        return {"total": state["total"] + activity.payload}

    async with world.manager() as manager:
        with pytest.raises(JournalError, match=r"is of version 1.*upgrade="):
            manager.create("a", {"total": 0}, second, state_version=3)
        with pytest.raises(JournalError, match="no function for version 2"):
            manager.create("a", {"total": 0}, second, state_version=3, upgrade={1: lambda plain: plain})
        with pytest.raises(KeyError) as wrong:
            manager.create("a", {"total": 0}, second, state_version=3, upgrade={1: lambda plain: plain["m"]})
        note = "It came of upgrade= for the state of 'a', of version 1; what is stored stays."
        assert wrong.value.__notes__ == [note]
        steps = {1: lambda plain: {"sum": plain["n"]}, 2: lambda plain: {"total": plain["sum"]}}
        assert await manager.create("a", {"total": 0}, second, state_version=3, upgrade=steps).ask(1) == {"total": 3}
    async with world.manager() as manager:
        with pytest.raises(JournalError, match="newer than state_version=1"):
            manager.create("a", {"total": 0}, second)
        assert manager.create("a", {"total": 0}, second, state_version=3).state == {"total": 3}


@restarts
async def test_a_state_that_fits_no_longer_is_refused_with_its_path(world: World) -> None:
    def other(activity: Activity[int], state: dict[str, str]) -> dict[str, str]:
        return state

    async with world.manager() as manager:
        manager.create("a", {"n": 1}, lambda activity, state: state)
    async with world.manager() as manager:
        with pytest.raises(JournalError, match=r"at .*n.* expected str"):
            manager.create("a", {}, other)
        assert manager.create("a", {}, lambda activity, state: state).state == {"n": 1}


@restarts
async def test_code_that_has_changed_is_told(world: World) -> None:
    async with world.manager() as manager:
        manager.create("a", 0, add)
    async with world.manager() as manager:
        manager.create("a", 0, add)
        assert [each.kind for each in manager.ring.records].count("workflow_changed") == 0
    async with world.manager() as manager:
        manager.create("a", 0, lambda activity, state: state - activity.payload)
        assert [each.kind for each in manager.ring.records].count("workflow_changed") == 1


@restarts
async def test_the_rate_of_a_runtime_begins_again(world: World) -> None:
    async with world.manager() as manager:
        runtime = manager.create("sum", 0, add, rate=10)
        for _ in range(10):
            await runtime.ask(1)
    async with world.manager() as manager:
        assert await manager.create("sum", 0, add, rate=10).ask(1) == 11


@restarts
async def test_code_that_was_swapped_is_the_code_that_counts(world: World) -> None:
    def other(activity: Activity[int], state: int) -> int:
        return state - activity.payload

    async with world.manager() as manager:
        manager.create("a", 0, add).swap(other)
    async with world.manager() as manager:
        manager.create("a", 0, other)
        assert "workflow_changed" not in [each.kind for each in manager.ring.records]


class Order(msgspec.Struct, frozen=True):
    what: str


async def orders(activity: Activity[Any], state: tuple[str, ...]) -> tuple[str, ...]:
    return (*state, activity.payload.what if isinstance(activity.payload, Order) else activity.payload)


@restarts
async def test_a_class_may_be_defined_after_the_manager_was_made(world: World) -> None:
    async with world.manager() as manager:
        manager.create("first", (), orders)
        runtime = manager.create("orders", (), orders)
        runtime.pause()
        runtime.send_nowait(Order("stored"))
        ended = manager.create("ended", (), orders)
        ended.pause()
        lost = ended.send_nowait(Order("lost"))
        await ended.terminate()
    name = f"{Order.__module__}:{Order.__qualname__}"
    register(Hidden, name=name)  # as if it was another class, or none, until a later cell
    try:
        async with world.manager() as manager:
            assert manager.create("first", (), orders).resumed
            await manager.send("orders", "early")
            with pytest.raises(JournalError):
                manager.create("orders", (), orders)
            with pytest.raises(JournalError):
                manager.dead_letters.resend(lost.id, to="first")
            register(Order, name=name)
            runtime = manager.create("orders", (), orders)
            assert runtime.depth == (0, 2)
            runtime.resume()
            await asyncio.sleep(1)
            assert (runtime.state, runtime.fates().accepted) == (("stored", "early"), 2)
            assert (await manager.dead_letters.resend(lost.id, to="first")).state == ("lost",)
    finally:
        register(Order, name=name)


class Hidden(msgspec.Struct, frozen=True):
    other: int


@restarts
async def test_what_was_sent_before_the_create_is_checked_then(world: World) -> None:
    def only_numbers(activity: Activity[int], state: int) -> int:
        return state + activity.payload

    async with world.manager() as manager:
        manager.create("sum", 0, only_numbers)
    async with world.manager() as manager:
        wrong, right = manager.send_nowait("sum", "text"), manager.send_nowait("sum", 3)
        runtime = manager.create("sum", 0, only_numbers)
        with pytest.raises(ActivityValidationError, match="was sent before it was created: expected int"):
            await wrong
        assert (await right).state == 3
        assert [each.activity.id for each in manager.dead_letters] == [wrong.id]
        assert (runtime.fates().dead, runtime.fates().failed) == (1, 0)
