"""Export what happened: tables for pandas, CSV or Parquet files, and traces for Perfetto.

An export holds what its source still holds: of a live manager the last records, bounded in number. pandas is imported
when a DataFrame or a Parquet file is asked for, and not before. Any thread may export.
"""

from collections.abc import Callable, Mapping

from .exportable import Exportable
from .perfetto import to_perfetto
from .table import COLUMNS, activities_frame, activity_rows, metrics_frame, to_csv, to_parquet

__all__ = [
    "COLUMNS",
    "WRITERS",
    "Exportable",
    "activities_frame",
    "activity_rows",
    "metrics_frame",
    "to_csv",
    "to_parquet",
    "to_perfetto",
]

WRITERS: Mapping[str, Callable[[Exportable], bytes]] = {".csv": to_csv, ".parquet": to_parquet, ".json": to_perfetto}
"""The function that makes the content of a file, by the suffix of the file."""
