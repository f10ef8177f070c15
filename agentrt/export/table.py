"""What happened, to take away: CSV, Parquet, DataFrames, a trace for Perfetto, or a view as one HTML file.

All of it is what the ring still holds: the last records of a manager, bounded in number. pandas is loaded when a
DataFrame or a Parquet file is asked for, and not before.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError
from ..events import Outcome
from ..views.text import plain
from .perfetto import trace

__all__ = ["COLUMNS", "activities", "export", "frame", "metrics_frame", "rendered"]

COLUMNS = (
    *("id", "runtime", "lane", "fate", "created", "started", "finished", "wait", "service", "accepted_at", "attempts"),
    *("source", "parent", "correlation", "key", "error", "message", "payload", "reply"),
)
TEXTS = {"accepted_at", "message", "payload", "reply"}
DTYPES = {
    **dict.fromkeys(("id", "attempts", "parent", "correlation"), "Int64"),
    **dict.fromkeys(("created", "started", "finished", "wait", "service"), "float64"),
}
METRICS = ("count", "mean", "p50", "p95", "p99", "max")
# What a spreadsheet takes for the beginning of a formula: at the beginning of a cell, and after what separates cells
# or rows somewhere: a semicolon does where a comma is for decimals.
FORMULA = re.compile(r"(^|[;\t\r\n])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")


def _missing(module: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"{what} needs {module}: pip install {module}, or export as .csv, which needs nothing")


def activities(of: Any) -> list[dict[str, Any]]:
    """What is on record of each activity of a runtime or of a manager, oldest first: a row for each, see `COLUMNS`.

    `fate` is "pending" where there is none yet. Times are seconds on the manager's clock; `accepted_at` is a date.
    Where the ring has let go of the beginning of one, its payload and its sender are None.
    """
    manager, rows = getattr(of, "manager", of), {}
    for record in _records(of):
        if isinstance(record, Activity):
            rows[record.id] = _accepted(record, manager.clock)
        elif isinstance(record, Outcome):
            rows[record.id] = {**rows.get(record.id, {}), **_ended(record, manager.clock)}
    return [{name: rows[id].get(name) for name in COLUMNS} for id in sorted(rows)]


def _records(of: Any) -> list[Any]:
    manager = getattr(of, "manager", of)
    records: list[Any] = manager.ring.since(0)[0]
    return records if manager is of else [record for record in records if record.runtime == of.id]


def _accepted(activity: Activity[Any], clock: Any) -> dict[str, Any]:
    names = ("id", "runtime", "created", "source", "parent", "correlation", "key", "payload")
    row = {name: getattr(activity, name) for name in names}
    at = clock.wall(activity.created).isoformat()
    return {**row, "lane": activity.lane.value, "fate": "pending", "accepted_at": at}


def _ended(outcome: Outcome, clock: Any) -> dict[str, Any]:
    names = ("id", "runtime", "created", "started", "finished", "wait", "service", "attempts")
    row = {name: getattr(outcome, name) for name in names}
    reply = None if outcome.reply is msgspec.UNSET else outcome.reply
    error = outcome.error
    told = {"error": None, "message": None} if error is None else {"error": error.tag, "message": str(error)}
    at = clock.wall(outcome.created).isoformat()
    return {**row, **told, "lane": outcome.lane.value, "fate": outcome.fate.value, "reply": reply, "accepted_at": at}


def _as_text(value: Any) -> str | None:
    return None if value is None else plain(value, 500)


def _texts(of: Any) -> list[dict[str, Any]]:
    """The same rows for a file: whatever is no number is one line of text, without control characters."""
    return [
        {
            name: value if isinstance(value, int | float) and name not in TEXTS else _as_text(value)
            for name, value in row.items()
        }
        for row in activities(of)
    ]


# ---- DataFrames


def _pandas(what: str) -> Any:
    try:
        return import_module("pandas")
    except ImportError:
        raise _missing("pandas", what) from None


def frame(of: Any) -> Any:
    """The activities of a runtime or of a manager as a pandas DataFrame, indexed by their ids; see `activities`."""
    pandas, rows = _pandas("a DataFrame"), activities(of)
    # Types are said, not guessed: an empty frame has the same, and a payload may be anything.
    columns = {
        name: pandas.Series([row[name] for row in rows], dtype=DTYPES.get(name, "object"), name=name)
        for name in COLUMNS
    }
    return pandas.DataFrame(columns).set_index("id")


def metrics_frame(of: Any) -> Any:
    """A runtime's figures, or those of all runtimes of a manager: a row for each lane, times in seconds."""
    runtimes = of.runtimes() if hasattr(of, "runtimes") else [of]
    rows = [row for runtime in runtimes for row in _metrics(runtime)]
    names = ("depth", "capacity", "accepted", *(f"{part}_{name}" for part in ("wait", "service") for name in METRICS))
    return _pandas("a DataFrame").DataFrame(rows, columns=("runtime", "lane", *names)).set_index(["runtime", "lane"])


def _metrics(runtime: Any) -> Iterable[dict[str, Any]]:
    metrics = runtime.metrics
    for lane in ("priority", "standard"):
        found = getattr(metrics, lane)
        row = {"runtime": runtime.id, "lane": lane}
        row |= {name: getattr(found, name) for name in ("depth", "capacity", "accepted")}
        row |= {
            f"{part}_{name}": getattr(getattr(found, part), name) for part in ("wait", "service") for name in METRICS
        }
        yield row


# ---- files


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe goes before what would begin one.

    >>> harmless('=HYPERLINK("x")'), harmless("a;@b"), harmless("1 - 2")
    ('\\'=HYPERLINK("x")', "a;'@b", '1 - 2')
    """
    return FORMULA.sub(r"\1'\2", text)


def as_csv(of: Any, view: str = "") -> bytes:
    """The activities as CSV in UTF-8. Numbers are as they are; texts are quoted and harmless to a spreadsheet."""
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in _texts(of):
        writer.writerow([harmless(value) if isinstance(value, str) else value for value in row.values()])
    return written.getvalue().encode("utf-8", "replace")


def as_parquet(of: Any, view: str = "") -> bytes:
    """The activities as Parquet; what is no number is text."""
    pandas = _pandas("Parquet")
    try:
        import_module("pyarrow")
    except ImportError:
        raise _missing("pyarrow", "Parquet") from None
    rows = [{name: _utf8(value) for name, value in row.items()} for row in _texts(of)]
    written = io.BytesIO()
    pandas.DataFrame(rows, columns=COLUMNS).to_parquet(written, engine="pyarrow", index=False)
    return written.getvalue()


def _utf8(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def as_trace(of: Any, view: str = "") -> bytes:
    """The records in Chrome's Trace Event Format, for ui.perfetto.dev or chrome://tracing."""
    manager = getattr(of, "manager", of)
    running = [each.snapshot(metrics=False) for each in ([of] if of is not manager else manager.runtimes())]
    return trace(_records(of), running, manager.clock.now(), manager.name)


def as_html(of: Any, view: str = "") -> bytes:
    """One view, as it is now, in a file that needs nothing else and no network."""
    from ..views.notebook.standalone import Alone

    return Alone(of, view or "timeline").written().encode("utf-8", "replace")


KINDS: dict[str, Callable[[Any, str], bytes]] = {
    ".csv": as_csv,
    ".parquet": as_parquet,
    ".json": as_trace,
    ".html": as_html,
}


def rendered(of: Any, suffix: str, view: str = "") -> bytes:
    """What a file of that suffix would hold."""
    if suffix.lower() not in KINDS:
        raise ConfigurationError(f"{suffix!r} is no kind of file there is an export to; give {', '.join(KINDS)}")
    return KINDS[suffix.lower()](of, view)


def export(of: Any, path: str | Path, view: str = "") -> Path:
    """Write a runtime or a manager to a file of the kind its suffix says. Returns where it is."""
    made = Path(path)
    made.write_bytes(rendered(of, made.suffix, view))
    return made
