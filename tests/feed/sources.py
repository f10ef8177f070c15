"""The kinds of source, each made from a manager, for the tests that every kind passes.

A new kind is added to `KINDS`: how a source of a manager is made, and ended.

The recorded kind is of a journal file, and does less: `NOT_RECORDED` says which tests are not for it, and why. The
manager has a journal, and each read is of a new backup, so that a test may go on after it has read. So it is with the
source of a moment: each read is of a new one.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentrt import RuntimeManager
from agentrt.discovery import list_managers
from agentrt.distributed.cluster_source import ClusterSource, DriverSource
from agentrt.distributed.numbers import first_number_of
from agentrt.distributed.readers import Readers
from agentrt.feed.recorded import RecordedSource
from agentrt.feed.remote import RemoteSource
from agentrt.feed.several import SeveralSource
from agentrt.feed.source import Source
from tests.harness.wait import wait_until
from tests.support import add


@contextlib.contextmanager
def remote(manager: RuntimeManager) -> Iterator[Source]:
    [record] = [each for each in list_managers() if each == manager._offer.record]  # others may have its name
    source = RemoteSource(record, max_age=0)
    yield source
    source.close()


@contextlib.contextmanager
def several(manager: RuntimeManager) -> Iterator[Source]:
    """The manager beside another one, in which nothing happens."""
    with RuntimeManager(loop="thread", name="other", offer=False) as other:
        yield SeveralSource([manager.source, other.source], name="tower", prefixes=["", "other/"])


class Driver:
    """Of a cluster with one node, as its source sees it."""

    name, nodes = "tower", ("node-1",)


@contextlib.contextmanager
def cluster(manager: RuntimeManager) -> Iterator[Source]:
    """The manager as the one node of a cluster."""
    readers = Readers(manager, "its first life")
    with RuntimeManager(loop="thread", name="driver", offer=False) as driver:
        source = ClusterSource(Driver(), DriverSource(driver), lambda node, *frame: readers.answer(*frame), max_age=0)
        yield source
        source.close()


class NodeOfCluster(RuntimeManager):
    """With the numbers of a node."""

    first_number = first_number_of("node-1", Driver.nodes)


class Rewritten:
    """A recorded source of what a manager has done so far: of a new backup whenever it has done something."""

    def __init__(self, manager: RuntimeManager, folder: Path) -> None:
        self._manager, self._folder = manager, folder
        self._sources: dict[int, RecordedSource] = {}

    def __getattr__(self, name: str) -> Any:
        cursor = self._manager.ring.cursor
        if cursor not in self._sources:
            path = self._folder / f"{cursor}.db"
            assert self._manager.journal is not None
            self._manager.journal.backup(path)
            self._sources[cursor] = RecordedSource(path, self._manager.name)
        return getattr(self._sources[cursor], name)

    def close(self) -> None:
        for source in self._sources.values():
            source.close()


@contextlib.contextmanager
def recorded(manager: RuntimeManager) -> Iterator[Source]:
    with TemporaryDirectory() as folder, contextlib.closing(Rewritten(manager, Path(folder))) as source:
        yield source  # type: ignore[misc]


class Repeated:
    """The source of the moment that is now; of a new one whenever something has happened."""

    def __init__(self, manager: RuntimeManager) -> None:
        self._manager, self._source, self._at = manager, manager.at().source, -1

    def __getattr__(self, name: str) -> Any:
        cursor = self._manager.ring.cursor
        if cursor != self._at:
            self._source, self._at = self._manager.at().source, cursor
        return getattr(self._source, name)


@contextlib.contextmanager
def rewound(manager: RuntimeManager) -> Iterator[Source]:
    yield Repeated(manager)  # type: ignore[misc]


Make = Callable[[RuntimeManager], contextlib.AbstractContextManager[Source]]
KINDS: dict[str, Make] = {
    "live": lambda manager: contextlib.nullcontext(manager.source),
    "remote": remote,
    "several": several,
    "cluster": cluster,
    "recorded": recorded,
    "moment": rewound,
}
STEERS = "it takes no command"
GONE = "of what has ended nothing is in the file but its dead letters"
NOT_RECORDED = {
    "test_without_a_journal_there_is_nothing_to_say_of_one": "it is one",
    "test_time_is_the_agents": "its clock stands still",
    "test_ids_are_always_current": GONE,
    "test_what_has_ended_is_found_last": GONE,
    "test_settings_follow": "breakpoints and the first state are not stored",
    "test_where_a_runtime_is": "nothing runs",
    "test_a_form_says_what_to_ask_for_and_stays_the_same": STEERS,
    "test_a_form_without_fields_is_json": STEERS,
    "test_a_frame_says_what_was_let_go": "the bounds are those of the journal, see test_recorded.py",
    "test_whoever_attaches_is_told_until_it_lets_go": "nothing happens",
    "test_every_command_is_recorded_with_who_gave_it": STEERS,
    "test_a_runtime_is_steered": STEERS,
    "test_a_stopped_activity_is_looked_at_stepped_and_run_again": STEERS,
    "test_all_are_paused_and_resumed": STEERS,
    "test_one_that_was_stopped_recovers": STEERS,
    "test_what_is_refused_changes_nothing": STEERS,
    "test_what_was_typed_is_sent": STEERS,
    "test_a_send_says_how_many_are_before_it": STEERS,
    "test_a_burst_ends_and_is_counted": STEERS,
    "test_a_burst_is_stopped": STEERS,
    "test_what_waits_is_moved_and_moved_back": STEERS,
    "test_a_payload_is_edited_and_edited_back": STEERS,
    "test_what_was_dropped_can_be_sent_again": STEERS,
    "test_dead_letters_are_sent_again_or_discarded": STEERS,
    "test_dead_letters_that_are_refused_stay": STEERS,
}
NOT_OF_MOMENT = {
    **{name: why for name, why in NOT_RECORDED.items() if why not in (GONE, "it is one")},
    "test_ids_are_always_current": "a moment's ids stay",
}
NOT_OF_CLUSTER = {"test_time_is_the_agents": "its clock is that of the driver"}
LEFT_OUT = {"recorded": NOT_RECORDED, "moment": NOT_OF_MOMENT, "cluster": NOT_OF_CLUSTER}
del NOT_OF_MOMENT["test_settings_follow"]


@dataclass
class Flight:
    number: int
    carrier: str = "UA"


def board(activity: Any, state: tuple[Flight, ...]) -> tuple[Flight, ...]:
    return (*state, activity.payload)


def paused(manager: RuntimeManager, id: str = "a", *payloads: Any, **limits: Any) -> list[int]:
    runtime = manager.create(id, 0, add, **limits)
    runtime.pause()
    return [runtime.send_nowait(payload).id for payload in payloads]


def sent(source: Source, *numbers: int | None) -> None:
    """Wait until these have ended."""
    wait_until(lambda: len(source.outcomes(number or 0 for number in numbers)) == len(numbers))


# ---- time, and which runtimes there are
