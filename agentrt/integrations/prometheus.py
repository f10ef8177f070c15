"""Metrics of a manager for Prometheus: counts, depths, how long activities waited and took, and the journal.

A scrape reads counters that the runtimes keep anyway: between two scrapes it costs nothing, and no activity is missed,
also of runtimes that came and went in between.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

import msgspec

from ..errors import ConfigurationError
from ..events import Fate
from ..manager import RuntimeManager
from ..metrics import Distribution
from ..optional import explain_missing
from ..snapshot import Status, fates, status
from .labels import OTHER, Labels

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

__all__ = ["METRICS", "ManagerCollector", "metrics_page"]

MOST_ENDED = 1_000  # runtimes that ended since the last scrape, and are still told apart
LANES = ("priority", "standard")
BOUNDS = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0)  # seconds


class MetricKind(NamedTuple):
    """What a metric is: its type, its help and the labels that it has."""

    type: str
    help: str
    labels: tuple[str, ...] = ()


METRICS: Mapping[str, MetricKind] = {
    "agentrt_runtimes": MetricKind("gauge", "Runtimes, by what they are doing.", ("status",)),
    "agentrt_mailbox_depth": MetricKind("gauge", "Activities that wait in a lane.", ("runtime", "lane")),
    "agentrt_mailbox_capacity": MetricKind("gauge", "Activities that may wait in a lane.", ("runtime", "lane")),
    "agentrt_activities_pending": MetricKind(
        "gauge", "Activities that were accepted and have not ended.", ("runtime",)
    ),
    "agentrt_activities_accepted": MetricKind("counter", "Activities that were accepted.", ("runtime",)),
    "agentrt_activities_ended": MetricKind(
        "counter", "Activities that have ended, by their fate.", ("runtime", "fate")
    ),
    "agentrt_restarts": MetricKind("counter", "Times that a supervisor began again from the state.", ("runtime",)),
    "agentrt_wait_seconds": MetricKind("histogram", "From accepted to started.", ("runtime", "lane")),
    "agentrt_service_seconds": MetricKind("histogram", "From started to finished.", ("runtime", "lane")),
    "agentrt_dead_letters": MetricKind("gauge", "Dead letters that are kept."),
    "agentrt_clock_speed": MetricKind("gauge", "Seconds of the agents' clock in a real one."),
    "agentrt_journal_up": MetricKind("gauge", "Whether the journal can store: 1, or 0 while it can not."),
    "agentrt_journal_size_bytes": MetricKind("gauge", "How many bytes the journal takes."),
    "agentrt_journal_pending_writes": MetricKind("gauge", "Writes that are not stored yet."),
    "agentrt_journal_lag_seconds": MetricKind("gauge", "How long the first write that is not stored has waited."),
}
"""All metrics, by name. As text a counter ends with `_total`, and a histogram has `_bucket`, `_sum` and `_count`."""


class LabelCounts(msgspec.Struct, frozen=True):
    """What only grows: of a runtime, or of all that share a label. Lanes are (priority, standard)."""

    accepted: int = 0
    ended: tuple[int, ...] = (0,) * len(Fate)
    restarts: int = 0
    waits: tuple[Distribution, ...] = (Distribution(),) * 2
    services: tuple[Distribution, ...] = (Distribution(),) * 2

    @classmethod
    def of(cls, entry: Any) -> LabelCounts:
        """Those of one entry."""
        found = fates(entry)
        ended = tuple(getattr(found, fate.value) for fate in Fate)
        if entry.times is None:
            return cls(found.accepted, ended, entry.restarts)
        waits, services = zip(*(lane.distributions() for lane in entry.times), strict=True)
        return cls(found.accepted, ended, entry.restarts, waits, services)

    def plus(self, other: LabelCounts) -> LabelCounts:
        """The sum of both."""
        return LabelCounts(
            self.accepted + other.accepted,
            tuple(map(sum, zip(self.ended, other.ended, strict=True))),
            self.restarts + other.restarts,
            tuple(a.merge(b) for a, b in zip(self.waits, other.waits, strict=True)),
            tuple(a.merge(b) for a, b in zip(self.services, other.services, strict=True)),
        )

    def at_least(self, last: LabelCounts) -> LabelCounts:
        """These, but no count below what it was: Prometheus would take that for a process that was started again."""
        ended = tuple(map(max, zip(self.ended, last.ended, strict=True)))
        return msgspec.structs.replace(self, accepted=max(self.accepted, last.accepted), ended=ended)


class ManagerCollector:
    """A collector of prometheus_client, over one manager. Any thread may collect.

    Each runtime has its id as the label `runtime`, up to `most` of them, in the order in which they are met; all
    others share the label `(other)`. A label stays when its runtime has ended, as its counts do. Where ids are
    many, `label` says what they have in common.

    Counts are exact. A bucket of a histogram may count values up to 6.25 % above its bound.

    Args:
        manager: The manager. One registry takes the collector of one manager.
        label: The label of an id, such as `lambda id: id.partition("-")[0]`; the id itself without it.
        most: How many labels there may be, besides `(other)`.

    Raises:
        ConfigurationError: It is no manager in this process, or `most` is no positive whole number.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    ...     _ = runtime.send_nowait(2).result(5)
    ...     registry = ManagerCollector(manager).registry()
    ...     registry.get_sample_value("agentrt_activities_ended_total", {"runtime": "sum", "fate": "done"})
    1
    """

    def __init__(self, manager: RuntimeManager, label: Callable[[str], str] | None = None, most: int = 100) -> None:
        if not isinstance(manager, RuntimeManager):
            raise ConfigurationError("metrics are read from a RuntimeManager of this process; each node has its own")
        self._manager = manager
        self._lock = threading.Lock()
        self._labels = Labels(label, most)
        self._past: dict[str, LabelCounts] = {}  # of runtimes that ended, by label
        self._last: dict[str, LabelCounts] = {}  # what the last scrape said
        self._ended: dict[Any, tuple[str, LabelCounts]] = {}  # since the last scrape, by entry; the manager's lock
        self._uncounted = LabelCounts()  # of those beyond MOST_ENDED; the manager's lock
        with manager.lock:
            manager.on_end(self._keep)

    def registry(self) -> CollectorRegistry:
        """Return a new registry with this collector and nothing else.

        Raises:
            MissingPackageError: prometheus_client is not installed.
        """
        with explain_missing("metrics for Prometheus need", "prometheus"):
            from prometheus_client import CollectorRegistry
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def describe(self) -> Iterator[Metric]:
        """The metrics without their values, for a registry that looks for two of one name."""
        return iter(_families().values())

    def collect(self) -> Iterator[Metric]:
        """The metrics, as a registry asks for them."""
        families = _families()
        with self._lock:
            entries, ended = self._take()
            labels = self._label_all([entry.id for entry in entries], [id for id, _ in ended])
            self._add_gauges(families, entries, labels)
            self._add_counts(families, entries, labels, ended)
        self._add_manager(families)
        return (family for family in families.values() if family.samples)

    # ---- runtimes that end

    def _keep(self, entry: Any) -> None:
        """Keep the counts of an entry that is taken out of the map. The manager's lock is held."""
        self._ended[ref(entry)] = (entry.id, LabelCounts.of(entry))  # by entry: one that is taken out again counts once
        if len(self._ended) > MOST_ENDED:
            _, counts = self._ended.pop(next(iter(self._ended)))
            self._uncounted = self._uncounted.plus(counts)

    def _take(self) -> tuple[tuple[Any, ...], list[tuple[str, LabelCounts]]]:
        """The entries there are, and the counts of those that ended since the last time: none is in both."""
        with self._manager.lock:
            ended, uncounted = list(self._ended.values()), self._uncounted
            self._ended.clear()
            self._uncounted = LabelCounts()
            entries = self._manager.entries()
        if uncounted.accepted:
            self._past[OTHER] = self._past.get(OTHER, LabelCounts()).plus(uncounted)
        return entries, ended

    # ---- labels

    def _label_all(self, *groups: list[str]) -> dict[str, str]:
        """The label of each id."""
        return {id: self._labels.of(id) for ids in groups for id in ids}

    # ---- values

    def _add_gauges(self, families: dict[str, Any], entries: tuple[Any, ...], labels: Mapping[str, str]) -> None:
        doing = Counter(status(entry) for entry in entries)
        for each in Status:
            families["agentrt_runtimes"].add_metric([each.value], doing[each])
        depths: defaultdict[tuple[str, str], int] = defaultdict(int)
        capacities: defaultdict[tuple[str, str], int] = defaultdict(int)
        pending: defaultdict[str, int] = defaultdict(int)
        for entry in entries:
            label, mailbox = labels[entry.id], entry.mailbox
            pending[label] += fates(entry).pending
            capacity = (mailbox.priority_capacity, mailbox.standard_capacity)
            for lane, depth, room in zip(LANES, mailbox.depth, capacity, strict=True):
                depths[label, lane] += depth
                capacities[label, lane] += room
        for key, depth in depths.items():
            families["agentrt_mailbox_depth"].add_metric(key, depth)
            families["agentrt_mailbox_capacity"].add_metric(key, capacities[key])
        for label, number in pending.items():
            families["agentrt_activities_pending"].add_metric([label], number)

    def _add_counts(
        self,
        families: dict[str, Any],
        entries: tuple[Any, ...],
        labels: Mapping[str, str],
        ended: list[tuple[str, LabelCounts]],
    ) -> None:
        for id, counts in ended:
            self._past[labels[id]] = self._past.get(labels[id], LabelCounts()).plus(counts)
        found = dict(self._past)
        for entry in entries:
            label = labels[entry.id]
            found[label] = found.get(label, LabelCounts()).plus(LabelCounts.of(entry))
        for label, counts in found.items():
            self._last[label] = counts = counts.at_least(self._last.get(label, LabelCounts()))
            _add_samples(families, label, counts)

    def _add_manager(self, families: dict[str, Any]) -> None:
        manager = self._manager
        families["agentrt_dead_letters"].add_metric([], len(manager.dead_letters))
        families["agentrt_clock_speed"].add_metric([], manager.speed)
        journal = manager.source.journal()
        if journal is not None:
            families["agentrt_journal_up"].add_metric([], not journal.error)
            families["agentrt_journal_size_bytes"].add_metric([], journal.size)
            families["agentrt_journal_pending_writes"].add_metric([], journal.pending)
            families["agentrt_journal_lag_seconds"].add_metric([], journal.lag)


def _families() -> dict[str, Any]:
    """An empty family of samples for each metric."""
    with explain_missing("metrics for Prometheus need", "prometheus"):
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    return {name: kinds[each.type](name, each.help, labels=each.labels) for name, each in METRICS.items()}


def _add_samples(families: dict[str, Any], label: str, counts: LabelCounts) -> None:
    families["agentrt_activities_accepted"].add_metric([label], counts.accepted)
    families["agentrt_restarts"].add_metric([label], counts.restarts)
    for fate, number in zip(Fate, counts.ended, strict=True):
        families["agentrt_activities_ended"].add_metric([label, fate.value], number)
    for name, lanes in (("agentrt_wait_seconds", counts.waits), ("agentrt_service_seconds", counts.services)):
        for lane, found in zip(LANES, lanes, strict=True):
            if not found.counts:  # most runtimes use one lane: half of the answer
                continue
            numbers = [*found.counts_up_to(BOUNDS), found.counts.total()]
            bounds = [*map(str, BOUNDS), "+Inf"]
            families[name].add_metric([label, lane], list(zip(bounds, numbers, strict=True)), found.total)


def metrics_page(
    manager: RuntimeManager, label: Callable[[str], str] | None = None, most: int = 100
) -> dict[str, Callable[[str], tuple[str, bytes]]]:
    """Make `/metrics`, to be served beside the dashboard: `manager.serve(answers=metrics_page(manager))`.

    A scraper gets in with a token of the page, as `docs/integrations.md` says.

    Args:
        manager: As in `ManagerCollector`.
        label: As in `ManagerCollector`.
        most: As in `ManagerCollector`.

    Returns:
        The path, and a function from an Accept header to the type and the content of the answer.

    Raises:
        MissingPackageError: prometheus_client is not installed.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     kind, content = metrics_page(manager)["/metrics"]("text/plain")
    ...     print(kind.partition(";")[0], b"agentrt_dead_letters 0.0" in content)
    text/plain True
    """
    registry = ManagerCollector(manager, label, most).registry()

    def answer(accept: str) -> tuple[str, bytes]:
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(accept)
        return kind, encode(registry)

    return {"/metrics": answer}
