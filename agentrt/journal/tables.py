"""Arrays and numbers of numpy (npy, no pickle), DataFrames and Series of pandas (Arrow), in a journal.

Nothing here imports a package before such a value is met.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..errors import JournalError
from ..optional import explain_missing
from .kinds import Tag

__all__ = ["MAKERS", "table_parts"]

SAFE_ARROW = (14, 0, 1)  # older versions unpickle what a file says


def table_parts(value: Any) -> tuple[Tag, list[Any]] | None:
    """The tag and the parts of a value of numpy or pandas; None for what is none.

    Raises:
        ValueError: It would not come back as it is.
    """
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    if package == "numpy":
        return _numpy_parts(value)
    if package == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        return _pandas_parts(value)
    return None


def _numpy_parts(value: Any) -> tuple[Tag, list[Any]] | None:
    numpy: Any = sys.modules["numpy"]
    if type(value) is numpy.ndarray:
        if value.dtype.hasobject:
            raise ValueError("a numpy array of objects: make it a list")
        return Tag.ARRAY, [_npy_bytes(value)]
    if not isinstance(value, numpy.generic):
        return None
    data = _npy_bytes(numpy.asarray(value))
    back = make_scalar(data)
    if type(back) is not type(value) or back.dtype != value.dtype or back.tobytes() != value.tobytes():
        raise ValueError(f"a {type(value).__name__} that numpy does not bring back as it is")
    return Tag.SCALAR, [data]


def _npy_bytes(array: Any) -> bytes:
    with io.BytesIO() as file:
        import_module("numpy.lib.format").write_array(file, array, allow_pickle=False)
        return file.getvalue()


def make_array(data: bytes) -> Any:
    """The array of an npy file."""
    with explain_missing("the arrays in this journal need"):
        numpy_format: Any = import_module("numpy.lib.format")
    return numpy_format.read_array(io.BytesIO(data), allow_pickle=False)


def make_scalar(data: bytes) -> Any:
    """The number of numpy in an npy file."""
    return make_array(data)[()]


def _pandas_parts(value: Any) -> tuple[Tag, list[Any]]:
    if type(value).__name__ == "Series":
        data = _arrow_bytes(value.to_frame("0"))
        _check_same(value, make_column(data, value.name))
        return Tag.COLUMN, [data, value.name]
    data = _arrow_bytes(value)
    _check_same(value, make_table(data))
    return Tag.TABLE, [data]


def _check_same(value: Any, back: Any) -> None:
    """Refuse a table that Arrow changes: columns of mixed types, exotic indexes."""
    testing: Any = import_module("pandas.testing")
    check: Any = getattr(testing, f"assert_{type(value).__name__.lower()}_equal".replace("dataframe", "frame"))
    try:
        check(value, back, check_exact=True, check_freq=False)
    except AssertionError as error:
        what = str(error).partition("\n")[0]
        raise ValueError(f"a {type(value).__name__} that Arrow does not bring back as it is: {what}") from None


def _arrow_bytes(frame: Any) -> bytes:
    with explain_missing("a DataFrame in a journal needs"):
        pyarrow: Any = import_module("pyarrow")
    try:
        table = pyarrow.Table.from_pandas(frame)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise ValueError(f"a DataFrame that Arrow can't hold: {error}") from None
    data: bytes = sink.getvalue().to_pybytes()
    return data


def make_table(data: bytes) -> Any:
    """The DataFrame of an Arrow stream."""
    with explain_missing("the DataFrames in this journal need"):
        import_module("pandas")  # pyarrow would say less clearly that it is missing
        pyarrow: Any = import_module("pyarrow")
    if tuple(map(int, pyarrow.__version__.split(".")[:3])) < SAFE_ARROW:
        raise JournalError("reading a DataFrame needs pyarrow 14.0.1 or newer: older ones run code that a file names")
    return pyarrow.ipc.open_stream(data).read_all().to_pandas()


def make_column(data: bytes, name: Any) -> Any:
    """The Series of an Arrow stream."""
    return make_table(data)["0"].rename(name)


MAKERS: dict[int, Callable[..., Any]] = {
    Tag.ARRAY: make_array,
    Tag.SCALAR: make_scalar,
    Tag.TABLE: make_table,
    Tag.COLUMN: make_column,
}
