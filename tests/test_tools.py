"""Python's own tools on a workflow: a profiler, a tracer as coverage is one, a debugger, a traceback; on both cores."""

import asyncio
import cProfile
import io
import pdb
import pstats
import trace
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt import ProcessingError
from tests.cores import BOTH, core
from tests.support import turns, virtual

TIMES = 7


@pytest.fixture(autouse=True, params=BOTH)
def its_core(request: pytest.FixtureRequest) -> Iterator[None]:
    with core(request.param):
        yield


async def add_one(activity: Any, state: int) -> int:
    new = state + activity.payload  # BREAKPOINT
    if activity.payload < 0:
        raise ValueError("never")
    return new


def add_at_once(activity: Any, state: int) -> int:
    return state + activity.payload


async def raise_after_a_turn() -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


async def fail_later(activity: Any, state: int) -> int:
    await raise_after_a_turn()
    return state


async def fail_now(activity: Any, state: int) -> int:
    raise ValueError("no")


async def return_none(activity: Any, state: int) -> Any:
    return None


async def wait_for_ever(activity: Any, state: int) -> int:
    await asyncio.Event().wait()
    return state


@virtual
async def process(manager: Any, workflow: Any) -> None:
    runtime = manager.create("a", 0, workflow)
    for receipt in [runtime.send_nowait(1) for _ in range(TIMES - 1)]:
        await receipt
    assert await runtime.ask(1) == TIMES


def line_of(mark: str) -> int:
    return next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith(mark))


@pytest.mark.parametrize("workflow", [add_one, add_at_once])
def test_a_profiler_counts_the_calls_of_a_workflow(workflow: Any) -> None:
    profile = cProfile.Profile()
    profile.runcall(process, workflow)
    calls = {key[2]: found[0] for key, found in pstats.Stats(profile).stats.items() if key[0] == __file__}  # type: ignore[attr-defined]
    assert calls[workflow.__name__] == TIMES


def test_a_tracer_sees_each_line_of_a_workflow_that_runs() -> None:
    tracer = trace.Trace(count=True, trace=False)
    tracer.runfunc(process, add_one)
    first = add_one.__code__.co_firstlineno
    counts = {line - first: n for (file, line), n in tracer.results().counts.items() if file == __file__}
    assert [counts.get(line, 0) for line in range(1, 5)] == [TIMES, TIMES, 0, TIMES]


def test_a_breakpoint_in_a_workflow_stops_there() -> None:
    said = io.StringIO()
    typed = "continue\n" + "p state\ncontinue\n" * TIMES  # it stops before the first line too
    debugger = pdb.Pdb(stdin=io.StringIO(typed), stdout=said, nosigint=True, readrc=False)
    assert debugger.set_break(__file__, line_of("# BREAKPOINT")) is None
    debugger.runcall(process, add_one)
    stops = said.getvalue().split(f"{__file__}({line_of('# BREAKPOINT')})add_one()")[1:]
    assert [int(stop.split("(Pdb)")[1].split()[0]) for stop in stops] == list(range(TIMES))


@pytest.mark.parametrize(
    ("workflow", "frames"), [(fail_now, ["fail_now"]), (fail_later, ["fail_later", "raise_after_a_turn"])]
)
def test_a_traceback_begins_in_the_workflow(workflow: Any, frames: list[str]) -> None:
    @virtual
    async def main(manager: Any) -> None:
        runtime = manager.create("a", 0, workflow)
        for send in (runtime.ask, runtime.send_nowait):
            with pytest.raises(ProcessingError) as failed:
                await send(1)
            cause = failed.value.__cause__
            assert cause is not None
            assert [each.name for each in traceback.extract_tb(cause.__traceback__)] == frames

    main()


def test_an_error_that_the_core_raises_keeps_its_traceback() -> None:
    @virtual
    async def main(manager: Any) -> None:
        with pytest.raises(ProcessingError) as failed:
            await manager.create("a", 0, return_none).ask(1)
        assert failed.value.__cause__ is not None
        assert traceback.extract_tb(failed.value.__cause__.__traceback__) != []

    main()


def test_where_a_workflow_waits_is_the_same_on_both_cores() -> None:
    @virtual
    async def main(manager: Any) -> None:
        runtime = manager.create("a", 0, wait_for_ever)
        runtime.send_nowait(1)
        await turns()
        frames = runtime.where()
        assert [frame.function for frame in frames] == ["wait_for_ever", "Event.wait"]
        assert frames[0].line == wait_for_ever.__code__.co_firstlineno + 1
        assert frames[0].locals["state"] == "0"
        await runtime.terminate()

    main()
