"""The views of a runtime and of a manager, each alone in a cell. Nothing is loaded before one is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import ConfigurationError

__all__ = ["Exports", "ManagerShows", "RuntimeShows"]


def _alone(of: Any, name: str) -> Any:
    from .views.notebook.standalone import Alone

    return Alone(of, name)


def _content(of: Any, suffix: str, view: str) -> bytes:
    """What a file with this suffix holds."""
    from .export import WRITERS

    if suffix == ".html":
        html: str = _alone(of, view or "timeline").written()
        return html.encode("utf-8", "replace")
    if suffix not in WRITERS:
        kinds = ", ".join((*WRITERS, ".html"))
        raise ConfigurationError(f"{suffix!r} is no kind of file there is an export to; give {kinds}")
    return WRITERS[suffix](of)


class Exports:
    """What happened, to take away. Of a manager: of all its runtimes. See `agentrt.export`."""

    def export(self, path: Any, view: str = "") -> Any:
        """Write a file of the kind its suffix says, and return where it is; it holds what is still on record.

        `.csv` and `.parquet`: the activities, a row for each (Parquet needs pandas and pyarrow). `.json`: a trace that
        ui.perfetto.dev opens. `.html`: a view (`"timeline"` unless named) that needs no network.

        In a CSV a text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`, or such a part
        follows a semicolon) gets an apostrophe before it, which makes it a text; numbers are as they are.
        """
        file = Path(path)
        file.write_bytes(_content(self, file.suffix.lower(), view))
        return file

    def frame(self: Any) -> Any:
        """The activities still on record as a pandas DataFrame: lane, fate, wait and service in seconds, payload..."""
        from .export import activities_frame

        return activities_frame(self)

    def metrics_frame(self: Any) -> Any:
        """The figures of each lane as a pandas DataFrame: depth, capacity, accepted, and how waits are spread."""
        from .export import metrics_frame

        return metrics_frame(self)


class RuntimeShows(Exports):
    """What a runtime can show of itself. Each is live in a cell, and can be put into a layout of Panel or saved."""

    def where_now(self) -> Any:
        """The line its workflow is at, the chain of awaits, the variables; live. `where()` is the same as data."""
        return _alone(self, "where")

    def mailbox(self) -> Any:
        """What waits, item by item, to look at and to move."""
        return _alone(self, "mailbox")

    def timeline(self) -> Any:
        """What it did and does: waiting and working, in the order it happened."""
        return _alone(self, "timeline")

    def waits(self) -> Any:
        """How long activities of both lanes waited, side by side; whether urgent ones overtook."""
        return _alone(self, "waits")

    def theory(self) -> Any:
        """Whether its queue is stable, and the waits that theory predicts beside those that were measured."""
        return _alone(self, "theory")

    def inject(self) -> Any:
        """A form made from the type of its payload, to send it activities."""
        return _alone(self, "inject")

    def events(self) -> Any:
        """What happened to it, newest first."""
        return _alone(self, "events")


class ManagerShows(Exports):
    """What a manager can show of its runtimes. Each is live in a cell, and can be put into a layout or saved."""

    def fleet(self) -> Any:
        """All runtimes in one table."""
        return _alone(self, "fleet")

    def overview(self) -> Any:
        """Whether anything is wrong, in a sentence, and what became of all activities."""
        return _alone(self, "overview")

    def flow(self) -> Any:
        """Who sends to whom, how much and how it goes."""
        return _alone(self, "flow")

    def timeline(self) -> Any:
        """What happened in all runtimes, in what order."""
        return _alone(self, "timeline")

    def letters(self) -> Any:
        """The dead letters: to look at, to send again, to discard."""
        return _alone(self, "letters")

    def activity(self, id: int) -> Any:
        """One activity: what became of it, who caused it, what it changed."""
        return _alone(self, f"activity/{id}")
