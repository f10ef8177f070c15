"""table.py: rows, DataFrames, Parquet, and CSV that no spreadsheet runs."""

import csv
import io
import json

import pytest

from agentrt import Activity, ConfigurationError, RuntimeManager
from agentrt.export import COLUMNS, WRITERS, activity_rows, table, to_csv, to_parquet, to_perfetto
from agentrt.export.table import escape_formulas
from tests.export.world import HOSTILE, SURROGATE, day
from tests.support import add, virtual

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


@virtual
async def test_a_row_for_each_activity(manager):
    gate = await day(manager)
    rows = activity_rows(manager)
    fates = manager.fates()
    assert len(rows) == fates.accepted
    assert all(tuple(row) == COLUMNS for row in rows)
    assert [row["fate"] for row in rows].count("done") == fates.done
    assert [row["fate"] for row in rows].count("pending") == fates.pending == 2
    assert {row["runtime"] for row in activity_rows(manager["second"])} == {"second"}
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
    assert to_csv(manager).decode().count("\n") == 1


@virtual
async def test_csv_that_no_spreadsheet_runs(manager):
    runtime = manager.create("a", "", lambda activity, state: activity.payload)
    for text in [*FORMULAS, SURROGATE, "harmless, 1 - 2"]:
        await runtime.ask(text)
    text = to_csv(manager).decode()
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
    assert escape_formulas(text) != text
    assert escape_formulas(text).replace("'", "") == text.replace("'", "")


@virtual
async def test_parquet_comes_back_the_same(manager, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    gate = await day(manager)
    back = pandas.read_parquet(manager.export(tmp_path / "day.parquet"))
    assert list(back.columns) == list(COLUMNS)
    assert list(back.wait.dropna()) == pytest.approx(
        [row["wait"] for row in activity_rows(manager) if row["wait"] is not None]
    )
    gate.open.set()


@virtual
async def test_parquet_has_one_schema_for_a_quiet_and_a_busy_run(manager):
    parquet = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("pandas")

    def schema():
        return parquet.read_schema(io.BytesIO(to_parquet(manager))).remove_metadata()

    empty = schema()
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    assert schema() == empty
    odd = Activity(payload=1, source=5, parent="nobody", correlation=10**30, key="k")
    assert await runtime.ask(odd) == 2
    gate = await day(manager)
    assert schema() == empty
    rows = parquet.read_table(io.BytesIO(to_parquet(manager))).to_pylist()
    (row,) = [row for row in rows if row["key"] == "k"]
    assert (row["source"], row["parent"], row["correlation"]) == ("5", None, None)
    assert len(manager.frame()) == len(rows)
    gate.open.set()


@virtual
async def test_the_types_of_metrics_do_not_depend_on_what_was_measured(manager):
    pytest.importorskip("pandas")
    empty = manager.metrics_frame().dtypes
    gate = await day(manager)
    assert dict(manager.metrics_frame().dtypes) == dict(empty)
    assert {str(each) for each in empty} == {"int64", "float64"}
    gate.open.set()


@pytest.mark.parametrize(("suffix", "module"), [(".parquet", "pyarrow"), (".parquet", "pandas")])
def test_what_is_not_installed_is_named_with_its_cure(monkeypatch, suffix, module):
    real = table.import_module

    def missing(name):
        if name == module:
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(table, "import_module", missing)
    with RuntimeManager() as manager, pytest.raises(ConfigurationError, match=f"pip install {module}"):
        WRITERS[suffix](manager)


def test_what_was_let_go_leaves_what_is_known():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.send_nowait(1).result(60)
        accepted = next(record for record in manager.ring.records if record.kind == "accepted")
        manager.ring.records.remove(accepted)
        (row,) = activity_rows(manager)
        assert (row["fate"], row["payload"], row["lane"]) == ("done", None, "standard")
        assert json.loads(to_perfetto(manager))
