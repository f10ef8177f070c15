"""What happened, to take away: frames, CSV that no spreadsheet runs, a trace for Perfetto, offline HTML."""

import asyncio
import csv
import io
import json
from collections import defaultdict

import pytest

from agentrt import ConfigurationError, RuntimeManager
from agentrt.export import table as exporting
from agentrt.export.table import COLUMNS, activities, harmless, rendered
from tests.support import Gate, add, fail, virtual

HOSTILE = '=HYPERLINK("evil")</script><script>window.owned = 1</script>\'<img src=x onerror=window.owned=1>'
SURROGATE = "\ud800"
FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "\uff1d1",
    "a;=1",
    "a; @SUM(A1)",
    "a\n=1",
    "=cmd|' /C calc'!A0",
]


async def relay(activity, state, ctx):
    with ctx.step("outer"):
        await ctx.sleep(1)
        with ctx.step(HOSTILE):
            await ctx.sleep(2)
            await ctx.send("second", activity.payload)
    return state + 1


async def slow(activity, state, ctx):
    await ctx.sleep(5)
    return state + 1


async def day(manager):
    """Two runtimes that pass on, one that fails, one that runs and one that waits."""
    first, second = manager.create("first", 0, relay), manager.create("second", 0, slow)
    for n in range(4):
        first.send_nowait(f"{HOSTILE}{n}", priority=n == 3)
    broken = manager.create(HOSTILE, HOSTILE, fail)
    with pytest.raises(Exception, match="no "):
        await broken.ask(HOSTILE)
    while second.processed < 4:
        await asyncio.sleep(1)
    gate = Gate()
    held = manager.create("held", 0, gate)
    held.send_nowait(SURROGATE)
    await gate.entered.wait()
    held.send_nowait(float("nan"))
    await asyncio.sleep(3)
    return gate


@virtual
async def test_a_row_for_each_activity(manager):
    gate = await day(manager)
    rows = activities(manager)
    fates = manager.fates()
    assert len(rows) == fates.accepted
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [row["fate"] for row in rows].count("done") == fates.done
    assert [row["fate"] for row in rows].count("pending") == fates.pending == 2
    assert {row["runtime"] for row in activities(manager["second"])} == {"second"}
    (urgent,) = [row for row in rows if row["lane"] == "priority"]
    assert (urgent["wait"], urgent["service"]) == (0, pytest.approx(3))
    assert [row["wait"] for row in rows if row["runtime"] == "first"] == pytest.approx([3, 6, 9, 0])
    (failed,) = [row for row in rows if row["fate"] == "failed"]
    assert failed["error"] == "processing"
    assert {row["source"] for row in rows if row["runtime"] == "second"} == {"first"}
    gate.open.set()


@virtual
async def test_as_data_frames(manager):
    gate = await day(manager)
    frame = manager.frame()
    assert frame.index.name == "id"
    assert frame[frame.runtime == "second"].service.mean() == pytest.approx(5)
    assert manager["first"].frame().payload.iloc[0] == f"{HOSTILE}0"
    metrics = manager.metrics_frame()
    assert len(metrics) == 2 * len(manager)
    assert metrics.loc[("second", "standard"), "service_count"] == 4
    assert metrics.loc[("second", "standard"), "service_mean"] == pytest.approx(5)
    assert len(manager["second"].metrics_frame()) == 2
    gate.open.set()


@virtual
async def test_an_empty_manager_has_empty_ones(manager):
    assert list(manager.frame().columns) == list(COLUMNS[1:])
    assert len(manager.metrics_frame()) == 0
    assert rendered(manager, ".csv").decode().count("\n") == 1
    assert json.loads(rendered(manager, ".json"))["traceEvents"][0]["name"] == "process_name"


@virtual
async def test_csv_that_no_spreadsheet_runs(manager):
    runtime = manager.create("a", "", lambda activity, state: activity.payload)
    for text in [*FORMULAS, SURROGATE, "harmless, 1 - 2"]:
        await runtime.ask(text)
    text = rendered(manager, ".csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(FORMULAS) + 2
    for cell in (cell for row in rows for cell in row.values() if not _number(cell)):
        for part in cell.split(";"):
            assert not part.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\t", "\r")), cell
    assert rows[-1]["payload"] == "harmless, 1 - 2"
    assert float(rows[0]["wait"]) >= 0


def _number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return "+" not in cell


@pytest.mark.parametrize("text", FORMULAS)
def test_an_apostrophe_makes_it_a_text(text):
    assert harmless(text) != text
    assert harmless(text).replace("'", "") == text.replace("'", "")


def by_phase(manager):
    entries = json.loads(rendered(manager, ".json"))["traceEvents"]
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
async def test_parquet_comes_back_the_same(manager, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    gate = await day(manager)
    back = pandas.read_parquet(manager.export(tmp_path / "day.parquet"))
    assert list(back.columns) == list(COLUMNS)
    assert list(back.wait.dropna()) == pytest.approx(
        [row["wait"] for row in activities(manager) if row["wait"] is not None]
    )
    gate.open.set()


@pytest.mark.parametrize(("suffix", "module"), [(".parquet", "pyarrow"), (".parquet", "pandas")])
def test_what_is_not_installed_is_named_with_its_cure(monkeypatch, suffix, module):
    real = exporting.import_module

    def missing(name):
        if name == module:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(exporting, "import_module", missing)
    with RuntimeManager() as manager, pytest.raises(ConfigurationError, match=f"pip install {module}"):
        rendered(manager, suffix)


def test_an_unknown_kind_names_those_there_are(tmp_path):
    with RuntimeManager() as manager, pytest.raises(ConfigurationError, match=r"give \.csv, \.parquet, \.json, \.html"):
        manager.export(tmp_path / "day.xls")


def test_what_was_let_go_leaves_what_is_known():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.send_nowait(1).result(5)
        accepted = next(record for record in manager.ring.records if record.kind == "accepted")
        manager.ring.records.remove(accepted)
        (row,) = activities(manager)
        assert (row["fate"], row["payload"], row["lane"]) == ("done", None, "standard")
        assert json.loads(rendered(manager, ".json"))


@pytest.mark.browser
@pytest.mark.parametrize("view", ["", "flow", "overview"])
def test_a_view_as_a_file(tmp_path, page, guard, view):
    guard.allow("file:///")
    with RuntimeManager(loop="thread", name=HOSTILE) as manager:
        manager.create(HOSTILE, HOSTILE, add).send_nowait(HOSTILE)
        with pytest.raises(Exception, match=r"."):
            manager.create("b", HOSTILE, fail).send_nowait(HOSTILE).result(5)
        path = manager.export(tmp_path / "view.html", view)
    page.goto(path.as_uri())
    page.locator(".live > *, .MuiButton-root, .react-flow, canvas").first.wait_for(timeout=30_000)
    assert page.evaluate("window.owned") is None
    assert not [url for url in guard.requests if not url.startswith("file:")]
