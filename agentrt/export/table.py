"""Activities and metrics as tables: rows, pandas DataFrames, CSV and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError
from ..events import Outcome
from ..feed.source import Time, subject_of
from ..snapshot import Snapshot
from ..views.text import plain
from .exportable import Exportable, records_of, snapshots_of

__all__ = ["COLUMNS", "activities_frame", "activity_rows", "metrics_frame", "to_csv", "to_parquet"]

TableRow = dict[str, Any]  # a payload and a reply may be anything

COLUMNS = (
    *("id", "runtime", "lane", "fate", "created", "started", "finished", "wait", "service", "accepted_at", "attempts"),
    *("source", "parent", "correlation", "key", "error", "message", "payload", "reply"),
)
INTEGERS = ("id", "attempts", "parent", "correlation")
FLOATS = ("created", "started", "finished", "wait", "service")
# The type of each column that is not text; the same for no row, for one and for a million.
DTYPES = {**dict.fromkeys(INTEGERS, "Int64"), **dict.fromkeys(FLOATS, "float64")}
LARGEST_INTEGER = 2**63 - 1
MAX_CELL = 500  # characters of one cell of a file
DISTRIBUTION = ("count", "mean", "p50", "p95", "p99", "max")
# A spreadsheet runs a cell that begins with one of = + - @ as a formula. Some split cells at a semicolon or a tab too.
FORMULA = re.compile(r"(^|[;\t\r\n])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")


def activity_rows(target: Exportable) -> list[TableRow]:
    """One row for each activity that is still recorded, with the keys of `COLUMNS`, in the order of their ids.

    Args:
        target: A runtime, or a manager for the activities of all its runtimes.

    Returns:
        Rows with times in seconds on the manager's clock; `accepted_at` is a date and time in ISO 8601. `fate` is
        "pending" for an activity that has not ended. Where the ring no longer holds the accepted record of an activity,
        its payload and its sender are None.
    """
    clock = subject_of(target).source
    rows: dict[int, TableRow] = {}
    for record in records_of(target):
        if isinstance(record, Activity):
            rows[record.id] = _accepted_cells(record, clock)
        elif isinstance(record, Outcome):
            rows[record.id] = {**rows.get(record.id, {}), **_outcome_cells(record, clock)}
    return [{name: rows[id].get(name) for name in COLUMNS} for id in sorted(rows)]


def _accepted_cells(activity: Activity[Any], clock: Time) -> TableRow:
    names = ("id", "runtime", "created", "source", "parent", "correlation", "key", "payload")
    row = {name: getattr(activity, name) for name in names}
    accepted_at = clock.wall(activity.created).isoformat()
    return {**row, "lane": activity.lane.value, "fate": "pending", "accepted_at": accepted_at}


def _outcome_cells(outcome: Outcome, clock: Time) -> TableRow:
    names = ("id", "runtime", "created", "started", "finished", "wait", "service", "attempts")
    row = {name: getattr(outcome, name) for name in names}
    error = outcome.error
    return {
        **row,
        "lane": outcome.lane.value,
        "fate": outcome.fate.value,
        "error": None if error is None else error.tag,
        "message": None if error is None else str(error),
        "reply": None if outcome.reply is msgspec.UNSET else outcome.reply,
        "accepted_at": clock.wall(outcome.created).isoformat(),
    }


def _file_rows(target: Exportable) -> list[TableRow]:
    """The rows for a file: what is not a number is one line of text, without control characters."""
    return [{name: _file_cell(name, value) for name, value in row.items()} for row in activity_rows(target)]


def _file_cell(name: str, value: Any) -> int | float | str | None:
    if value is None:
        return None
    if name in DTYPES:
        return _number_cell(name, value)
    return plain(value, MAX_CELL).encode("utf-8", "replace").decode()


def _number_cell(name: str, value: Any) -> int | float | None:
    """The number for a column of numbers. An activity of one's own may say anything of its parent: that is None."""
    if isinstance(value, bool) or not isinstance(value, int | float if name in FLOATS else int):
        return None
    return value if name in FLOATS or -LARGEST_INTEGER <= value <= LARGEST_INTEGER else None


# ---- DataFrames


def activities_frame(target: Exportable) -> Any:
    """The rows of `activity_rows` as a pandas DataFrame, indexed by the activity's id.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    return _typed_frame(_require("pandas", "a DataFrame"), activity_rows(target)).set_index("id")


def _typed_frame(pandas: Any, rows: list[TableRow]) -> Any:
    # The types are given: an empty frame then has the same ones, and pandas does not guess at payloads.
    columns = {
        name: pandas.Series(
            [_number_cell(name, row[name]) if name in DTYPES else row[name] for row in rows],
            dtype=DTYPES.get(name, "object"),
            name=name,
        )
        for name in COLUMNS
    }
    return pandas.DataFrame(columns)


def metrics_frame(target: Exportable) -> Any:
    """The metrics as a pandas DataFrame: one row for each lane of each runtime, times in seconds.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    rows = [row for shot in snapshots_of(target, metrics=True) for row in _metrics_rows(shot)]
    counts = ("depth", "capacity", "accepted", "wait_count", "service_count")
    times = (f"{part}_{name}" for part in ("wait", "service") for name in DISTRIBUTION)
    columns = ("runtime", "lane", "depth", "capacity", "accepted", *times)
    types = {name: "int64" if name in counts else "float64" for name in columns[2:]}
    frame = _require("pandas", "a DataFrame").DataFrame(rows, columns=columns).astype(types)
    return frame.set_index(["runtime", "lane"])


def _metrics_rows(shot: Snapshot) -> Iterator[TableRow]:
    metrics = shot.metrics
    assert metrics is not None
    for lane, figures in (("priority", metrics.priority), ("standard", metrics.standard)):
        row: TableRow = {"runtime": shot.id, "lane": lane}
        row |= {name: getattr(figures, name) for name in ("depth", "capacity", "accepted")}
        for part, times in (("wait", figures.wait), ("service", figures.service)):
            row |= {f"{part}_{name}": getattr(times, name) for name in DISTRIBUTION}
        yield row


def _require(module: str, purpose: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError:
        hint = f"pip install {module}, or export as .csv, which needs nothing"
        raise ConfigurationError(f"{purpose} needs {module}: {hint}") from None


# ---- files


def to_csv(target: Exportable) -> bytes:
    """The activities as CSV in UTF-8. Texts are quoted, and no spreadsheet runs them as formulas."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in _file_rows(target):
        writer.writerow([escape_formulas(cell) if isinstance(cell, str) else cell for cell in row.values()])
    return file.getvalue().encode()


def to_parquet(target: Exportable) -> bytes:
    """The activities as Parquet; what is not a number is text. Every file has the same columns and types.

    Raises:
        ConfigurationError: pandas or pyarrow is not installed.
    """
    pandas = _require("pandas", "Parquet")
    schema = _schema(_require("pyarrow", "Parquet"))
    file = io.BytesIO()
    _typed_frame(pandas, _file_rows(target)).to_parquet(file, engine="pyarrow", index=False, schema=schema)
    return file.getvalue()


def _schema(pyarrow: Any) -> Any:
    """The columns of a Parquet file and their types, whatever was recorded."""
    types = {**dict.fromkeys(INTEGERS, pyarrow.int64()), **dict.fromkeys(FLOATS, pyarrow.float64())}
    return pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in COLUMNS])


def escape_formulas(text: str) -> str:
    r"""Put an apostrophe before each part of a text that a spreadsheet would run as a formula.

    >>> escape_formulas('=HYPERLINK("x")'), escape_formulas("a;@b"), escape_formulas("1 - 2")
    ('\'=HYPERLINK("x")', "a;'@b", '1 - 2')
    """
    return FORMULA.sub(r"\1'\2", text)
