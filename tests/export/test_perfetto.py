"""perfetto.py: the trace is in Chrome's format, its slices nest and its arrows lead from sender to sent."""

import asyncio
import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentrt import RuntimeManager
from agentrt.export import to_perfetto
from agentrt.testing.virtual import run
from tests.export.world import HOSTILE, day
from tests.harness import trace_processor
from tests.support import virtual


def by_phase(manager):
    entries = json.loads(to_perfetto(manager))["traceEvents"]
    found = defaultdict(list)
    for entry in entries:
        found[entry["ph"]].append(entry)
    return found


@virtual
async def test_a_trace_in_chromes_format(manager):
    gate = await day(manager)
    found = by_phase(manager)
    assert set(found) == {"M", "X", "b", "e", "i", "s", "f"}
    for entry in (each for phase, entries in found.items() if phase != "M" for each in entries):
        assert isinstance(entry["ts"], int)
        assert (entry["pid"], type(entry["tid"]), type(entry["name"]), type(entry["cat"])) == (1, int, str, str)
    names = {entry["tid"]: entry["args"]["name"] for entry in found["M"] if entry["name"] == "thread_name"}
    assert set(names.values()) == {"first", "second", "held", HOSTILE[:59] + "…"}
    for entry in found["X"]:
        assert entry["dur"] >= 0
    begun, ended = (sorted(entry["id2"]["local"] for entry in found[phase]) for phase in "be")
    assert begun == ended
    (running,) = [entry for entry in found["X"] if entry["args"].get("fate") == "pending"]
    assert (names[running["tid"]], running["dur"]) == ("held", 3_000_000)
    gate.open.set()


@virtual
async def test_slices_of_a_thread_are_nested_or_apart(manager):
    gate = await day(manager)
    threads = defaultdict(list)
    for entry in by_phase(manager)["X"]:
        threads[entry["tid"]].append((entry["ts"], entry["ts"] + entry["dur"]))
    assert max(map(len, threads.values())) == 12, "four activities, each with two steps"
    for slices in threads.values():
        for a in slices:
            for b in slices:
                assert (
                    a[1] <= b[0] or b[1] <= a[0] or (a[0] <= b[0] and b[1] <= a[1]) or (b[0] <= a[0] and a[1] <= b[1])
                )
    gate.open.set()


@virtual
async def test_arrows_lead_from_parent_to_child(manager):
    gate = await day(manager)
    found = by_phase(manager)
    slices = {entry["args"]["id"]: entry for entry in found["X"] if entry["cat"] == "agentrt"}
    assert len(found["s"]) == len(found["f"]) == 4
    for start, end in zip(found["s"], found["f"], strict=True):
        child = slices[end["id"]]
        parent = slices[child["args"]["parent"]]
        assert start["id"] == end["id"]
        assert start["tid"] == parent["tid"]
        assert parent["ts"] <= start["ts"] <= parent["ts"] + parent["dur"]
        assert (end["tid"], end["ts"], end["bp"]) == (child["tid"], child["ts"], "e")
    gate.open.set()


@virtual
async def test_the_trace_of_an_empty_manager_names_its_process(manager):
    (process,) = json.loads(to_perfetto(manager))["traceEvents"]
    assert process["name"] == "process_name"


@pytest.mark.parametrize("seed", range(8))
def test_steps_of_concurrent_tasks_nest_on_tracks_of_their_own(seed):
    async def in_steps(ctx, chance, depth):
        with ctx.step(f"step {depth}"):
            await ctx.sleep(chance.random())
            if depth < 3:
                await asyncio.gather(*(in_steps(ctx, chance, depth + 1) for _ in range(chance.randrange(4))))
            await ctx.sleep(chance.random())

    async def concurrent(activity, state, ctx):
        await asyncio.gather(*(in_steps(ctx, ctx.random, 0) for _ in range(3)))
        return state + 1

    async def main():
        async with RuntimeManager(loop="current", seed=seed) as manager:
            runtimes = [manager.create(name, 0, concurrent) for name in ("a", "b")]
            for receipt in [runtime.send_nowait(n) for runtime in runtimes for n in range(3)]:
                await receipt
            return by_phase(manager)

    found = run(main(), seed=seed, timeout=1000)
    steps = [entry for entry in found["X"] if entry["cat"] == "step"]
    assert len(steps) >= 18
    threads = defaultdict(list)
    for entry in found["X"]:
        threads[entry["tid"]].append((entry["ts"], entry["ts"] + entry["dur"]))
    assert len(threads) > 2
    for slices in threads.values():
        for i, a in enumerate(slices):
            for b in slices[i + 1 :]:
                apart = a[1] <= b[0] or b[1] <= a[0]
                assert apart or (a[0] <= b[0] and b[1] <= a[1]) or (b[0] <= a[0] and a[1] <= b[1])
    names = {entry["tid"]: entry["args"]["name"] for entry in found["M"] if entry["name"] == "thread_name"}
    assert set(threads) <= set(names)
    assert {"a", "b", "a, steps 2"} <= set(names.values())


@pytest.fixture
def trace():
    """The trace of a day."""

    async def record():
        async with RuntimeManager(loop="current") as manager:
            gate = await day(manager)
            found = to_perfetto(manager)
            gate.open.set()
            return found

    with ThreadPoolExecutor() as other:  # a loop of Playwright runs in this thread
        return other.submit(lambda: run(record())).result()


STEPS = """
SELECT around.category, around.dur, step.dur FROM slice step JOIN slice around ON step.parent_id = around.id
WHERE step.category = 'step'
"""
ARROWS = """
SELECT thread.name, reader.dur FROM flow
JOIN slice sender ON slice_out = sender.id JOIN slice reader ON slice_in = reader.id
JOIN thread_track ON sender.track_id = thread_track.id JOIN thread USING (utid)
"""
FATES = """
SELECT extract_arg(arg_set_id, 'args.fate') AS fate, count(*) FROM slice WHERE fate IS NOT NULL GROUP BY 1 ORDER BY 1
"""


@pytest.mark.browser
@pytest.mark.skipif(trace_processor.find() is None, reason=trace_processor.MISSING)
def test_the_trace_processor_of_perfetto_reads_it(trace, page):
    with trace_processor.trace_processor(page, trace) as perfetto:
        assert perfetto.query("SELECT name, value FROM stats WHERE severity = 'error' AND value > 0") == []
        events = [entry["ph"] for entry in json.loads(trace)["traceEvents"]]
        slices = sum(map(events.count, "Xbi"))
        assert perfetto.query("SELECT count(*) FROM slice") == [(slices,)]
        threads = perfetto.query("SELECT name FROM thread WHERE tid > 0 ORDER BY tid")
        assert sorted(threads) == sorted([("first",), ("second",), ("held",), (HOSTILE[:59] + "…",)])
        assert set(perfetto.query(STEPS)) == {  # nanoseconds
            ("step", 3_000_000_000, 2_000_000_000),
            ("agentrt", 3_000_000_000, 3_000_000_000),
        }
        assert perfetto.query(ARROWS) == 4 * [("first", 5_000_000_000)]
        assert perfetto.query(FATES) == [("done", 8), ("failed", 1), ("pending", 1)]
        with pytest.raises(ValueError, match="SELECT nothing FROM slice"):
            perfetto.query("SELECT nothing FROM slice")
