"""Metrics of a manager for Prometheus: counts, depths, how long activities waited and took, and the journal.

A scrape reads counters that the runtimes keep anyway: between two scrapes it costs nothing, and no activity is missed,
also of runtimes that came and went in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError
from ..events import Fate
from ..manager import RuntimeManager
from ..optional import explain_missing
from .readings import LANES, HasNodeReadings, LabelCounts, ManagerReader, ManagerReading

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

__all__ = ["METRICS", "ManagerCollector", "metrics_page"]

NODE_UP = "agentrt_node_up"
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
    NODE_UP: MetricKind("gauge", "Whether a node of a cluster answers: 1, or 0 while it does not.", ("node",)),
}
"""All metrics, by name. Of a cluster each has the label `node` besides.

As text a counter ends with `_total`, and a histogram has `_bucket`, `_sum` and `_count`.
"""


class ManagerCollector:
    """A collector of prometheus_client, over one manager. Any thread may collect.

    Each runtime has its id as the label `runtime`, up to `most` of them, in the order in which they are met; all
    others share the label `(other)`. A label stays when its runtime has ended, as its counts do. Where ids are
    many, `label` says what they have in common.

    Of a cluster each metric has the label `node` besides, and `most` is for each node. A node that does not answer
    within a second has `agentrt_node_up` 0 and nothing else.

    Counts are exact. A bucket of a histogram may count values up to 6.25 % above its bound.

    Args:
        manager: The manager, or that of a cluster. One registry takes the collector of one manager.
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
            raise ConfigurationError("metrics are read from a RuntimeManager of this process, or a cluster")
        self._of_nodes = manager.node_reader(label, most) if isinstance(manager, HasNodeReadings) else None
        self._reader = ManagerReader(manager, label, most)

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
        families = _families(self._of_nodes is not None)
        if self._of_nodes is None:
            _add_reading(families, self._reader.read())
        else:
            for node, reading in self._of_nodes().items():
                families[NODE_UP].add_metric([node], reading is not None)
                if reading is not None:
                    _add_reading(families, reading, node)
        return (family for family in families.values() if family.samples)


def _families(by_node: bool = False) -> dict[str, Any]:
    """An empty family of samples for each metric; with the label `node` where there are several nodes."""
    with explain_missing("metrics for Prometheus need", "prometheus"):
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    more = ("node",) if by_node else ()
    return {
        name: kinds[each.type](name, each.help, labels=each.labels if name == NODE_UP else (*each.labels, *more))
        for name, each in METRICS.items()
    }


def _add_reading(families: dict[str, Any], reading: ManagerReading, *node: str) -> None:
    """Add the samples of one manager."""

    def add(name: str, value: Any, *labels: str) -> None:
        families[f"agentrt_{name}"].add_metric([*labels, *node], value)

    for state, number in reading.doing.items():
        add("runtimes", number, state)
    for (label, lane), load in reading.lanes.items():
        add("mailbox_depth", load.depth, label, lane)
        add("mailbox_capacity", load.capacity, label, lane)
    for label, number in reading.pending.items():
        add("activities_pending", number, label)
    for label, counts in reading.counts.items():
        _add_counts(families, counts, label, node)
    add("dead_letters", reading.dead_letters)
    add("clock_speed", reading.speed)
    journal = reading.journal
    if journal is not None:
        add("journal_up", not journal.error)
        add("journal_size_bytes", journal.size)
        add("journal_pending_writes", journal.pending)
        add("journal_lag_seconds", journal.lag)


def _add_counts(families: dict[str, Any], counts: LabelCounts, label: str, node: tuple[str, ...]) -> None:
    families["agentrt_activities_accepted"].add_metric([label, *node], counts.accepted)
    families["agentrt_restarts"].add_metric([label, *node], counts.restarts)
    for fate, number in zip(Fate, counts.ended, strict=True):
        families["agentrt_activities_ended"].add_metric([label, fate.value, *node], number)
    for name, lanes in (("agentrt_wait_seconds", counts.waits), ("agentrt_service_seconds", counts.services)):
        for lane, found in zip(LANES, lanes, strict=True):
            if not found.counts:  # most runtimes use one lane: half of the answer
                continue
            numbers = [*found.counts_up_to(BOUNDS), found.counts.total()]
            bounds = [*map(str, BOUNDS), "+Inf"]
            families[name].add_metric([label, lane, *node], list(zip(bounds, numbers, strict=True)), found.total)


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
