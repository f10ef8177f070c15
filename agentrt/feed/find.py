"""Which runtimes a table shows: searched, sorted and cut where the runtimes are, so that a page gets what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import merge
from typing import Any

from ..engine.entry import RuntimeEntry
from ..snapshot import status
from .source import Found

__all__ = ["Key", "LastRates", "cut", "find_entries", "find_ids", "is_active", "merge_parts", "search_ids", "sort_ids"]

Entry = RuntimeEntry[Any, Any]
Key = float | str | None
LEAST = 1.0  # real seconds over which a rate is counted


def _wait(entry: Entry, lane: int) -> Key:
    if entry.times is None:
        return None
    wait = entry.times[lane].percentiles()[0]
    return wait.p95 if wait.count else None


def _service(entry: Entry, name: str) -> Key:
    """Of the lane whose activities take longer."""
    if entry.times is None:
        return None
    services = [service for _, service in (lane.percentiles() for lane in entry.times) if service.count]
    slowest = max(services, key=lambda each: each.p95, default=None)
    return None if slowest is None else float(getattr(slowest, name))


def _failure_count(entry: Entry) -> int:
    return entry.failed_count + entry.timed_out


def _end_count(entry: Entry) -> int:
    return entry.done + entry.failed_count + entry.timed_out


def _error(entry: Entry) -> Key:
    error = entry.error and (entry.error.__cause__ or entry.error)
    return f"{type(error).__name__}: {error}"[:200] if error else None


KEYS: dict[str, Callable[[Entry], Key]] = {
    "status": lambda entry: status(entry).value,
    "id": lambda entry: entry.id,
    "priority": lambda entry: entry.mailbox.depth[0],
    "standard": lambda entry: entry.mailbox.depth[1],
    "wait_priority": lambda entry: _wait(entry, 0),
    "wait_standard": lambda entry: _wait(entry, 1),
    "service50": lambda entry: _service(entry, "p50"),
    "service95": lambda entry: _service(entry, "p95"),
    "processed": _end_count,
    "failed": _failure_count,
    "error": _error,
}


class LastRates:
    """Activities a second of all runtimes, over the time since somebody asked last. For sorting only."""

    def __init__(self) -> None:
        self._at = 0.0
        self._before: dict[str, int] = {}
        self._rates: dict[str, float] = {}

    def read(self, entries: Iterable[Entry]) -> dict[str, float]:
        """The rate of each, by id. Who asks again too soon gets what there was."""
        passed = time.monotonic() - self._at
        if passed >= LEAST:
            now = {entry.id: _end_count(entry) for entry in entries}
            self._rates = {id: (n - self._before.get(id, n)) / passed for id, n in now.items()}
            self._at, self._before = time.monotonic(), now
        return self._rates


def is_active(entry: Entry, since: float) -> bool:
    """Whether there is anything to say of a runtime: it works, waits, is stopped, or failed since a time."""
    if entry.current is not None or entry.paused or entry.failed or entry.stuck or entry.in_error:
        return True
    return entry.mailbox.depth != (0, 0) or (entry.error_at is not None and entry.error_at >= since)


def find_ids(live: Collection[str], ended: Iterable[str], search: str, start: int, count: int | None) -> Found:
    """Search ids; those in `live` come first, in their order."""
    gone = [id for id in ended if id not in live]
    found = search_ids(live, search)
    return _cut(found + search_ids(gone, search), [], len(found), len(live) + len(gone), start, count)


def find_entries(
    entries: Sequence[Entry], ended: Iterable[str], rates: LastRates, search: str, sort: str, down: bool
) -> Found:
    """Search and sort all runtimes. Those that have ended come last, without a key."""
    live = {entry.id: entry for entry in entries}
    ids = search_ids(live, search)
    if sort == "rate":
        known = rates.read(entries)
        keys: dict[str, Key] = {id: known.get(id, 0.0) for id in ids}
    else:
        key = KEYS[sort]
        keys = {id: key(live[id]) for id in ids}
    return sort_ids(keys, live, ended, search, down)


def sort_ids(keys: Mapping[str, Key], live: Collection[str], ended: Iterable[str], search: str, down: bool) -> Found:
    """Sort those that were found in `live` by their keys. Those that have ended come last, without a key."""
    gone = [id for id in ended if id not in live]
    ordered = sorted(keys, key=lambda id: _order(keys[id]), reverse=down)
    found = ordered + search_ids(gone, search)
    return _cut(found, [keys[id] for id in ordered], len(ordered), len(live) + len(gone), 0, None)


def merge_parts(parts: Sequence[Found], down: bool) -> Found:
    """Sorted parts as one."""
    rows = merge(*(zip(part.keys, part.ids, strict=False) for part in parts), key=_order_of_row, reverse=down)
    live = list(rows)
    gone = [id for part in parts for id in part.ids[part.live :]]
    ids = [id for _, id in live] + gone
    return _cut(ids, [key for key, _ in live], len(live), sum(part.total for part in parts), 0, None)


def cut(found: Found, start: int, count: int | None) -> Found:
    """A part of what was found, with how much that is."""
    return _cut(found.ids, found.keys, found.live, found.total, start, count)


def _cut(ids: Sequence[str], keys: Sequence[Key], live: int, total: int, start: int, count: int | None) -> Found:
    part = slice(start, None if count is None else start + count)
    chosen = tuple(ids[part])
    return Found(chosen, tuple(keys[part]), max(0, min(live - start, len(chosen))), len(ids), total)


def search_ids(ids: Iterable[str], search: str) -> list[str]:
    """The ids that have this in them, in any case."""
    wanted = search.casefold()
    return [id for id in ids if wanted in id.casefold()] if wanted else list(ids)


def _order(key: Key) -> tuple[bool, Any]:
    return key is not None, 0 if key is None else key


def _order_of_row(row: tuple[Key, str]) -> tuple[bool, Any]:
    return _order(row[0])
