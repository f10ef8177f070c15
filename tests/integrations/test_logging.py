"""Records of `logging` say which runtime wrote them, and for which activity."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from agentrt import Activity, RuntimeManager
from agentrt.integrations.logging import RuntimeLogger, get_logger

WAIT = 60
log = get_logger("tests.agents")


@pytest.fixture
def records() -> Iterator[list[Any]]:
    found: list[Any] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    log.logger.addHandler(handler)
    log.logger.setLevel(logging.INFO)
    yield found
    log.logger.removeHandler(handler)


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread") as manager:
        yield manager


def ids(records: list[Any]) -> list[tuple[Any, ...]]:
    return [(each.runtime, each.activity, each.correlation) for each in records]


def test_agents_that_take_turns_write_each_under_its_own_name(manager: RuntimeManager, records: list[Any]) -> None:
    async def work(activity: Activity[int], state: int, ctx: Any) -> int:
        for _ in range(activity.payload):
            log.info("working")
            await asyncio.sleep(0)
        return state + 1

    receipts = [manager.create(id, 0, work).send_nowait(3) for id in ("a", "b")]
    for receipt in receipts:
        receipt.result(WAIT)
    assert sorted(ids(records)) == sorted([(each.runtime, each.id, each.id) for each in receipts] * 3)


def test_what_a_workflow_has_sent_leads_to_where_it_began(manager: RuntimeManager, records: list[Any]) -> None:
    async def last(activity: Activity[int], state: int) -> int:
        log.info("at the end")
        return state + 1

    async def first(activity: Activity[int], state: int, ctx: Any) -> int:
        await ctx.ask("last", 1)
        return state + 1

    manager.create("last", 0, last)
    receipt = manager.create("first", 0, first).send_nowait(1)
    receipt.result(WAIT)
    [(runtime, activity, correlation)] = ids(records)
    assert (runtime, correlation) == ("last", receipt.id)
    assert activity > receipt.id


def test_threads_and_tasks_of_a_workflow_write_for_it(manager: RuntimeManager, records: list[Any]) -> None:
    def blocks(activity: Activity[int], state: int) -> int:
        log.info("in a thread")
        return state + 1

    async def starts(activity: Activity[int], state: int) -> int:
        async def part() -> None:
            log.info("in a task")

        await asyncio.gather(part(), asyncio.to_thread(log.info, "in a thread of its own"))
        return state + 1

    thread = manager.create("thread", 0, blocks, blocking=True).send_nowait(1)
    tasks = manager.create("tasks", 0, starts).send_nowait(1)
    thread.result(WAIT), tasks.result(WAIT)
    assert sorted(ids(records)) == sorted([("thread", thread.id, thread.id), *[("tasks", tasks.id, tasks.id)] * 2])


def test_outside_of_a_workflow_there_is_nobody(records: list[Any]) -> None:
    log.info("from a cell")
    assert ids(records) == [(None, None, None)]


def test_a_call_and_the_logger_add_attributes_of_their_own(records: list[Any]) -> None:
    own = RuntimeLogger(logging.getLogger("tests.agents"), {"shop": "corner", "runtime": "mine"})
    own.info("with more", extra={"shop": "market"})
    [record] = records
    assert (record.shop, record.runtime, record.activity) == ("market", "mine", None)


def test_it_is_used_as_any_logger(records: list[Any]) -> None:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        log.exception("failed")
    [record] = records
    assert record.exc_info
    assert record.name == "tests.agents"
    assert not log.isEnabledFor(logging.DEBUG)
