"""Traces, metrics and logs of a manager for OpenTelemetry, through its API: where they go is set up as for any program.

Everything is made from the records of what happened, a tenth of a second later and on another thread, so that it
costs an activity nothing. A span is one activity, from its start to its end. It is a child of the span of the activity
that sent it, and linked to it; `ctx.step` makes spans inside. Names are those of the semantic conventions for
messaging.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..activity import Activity, Lane
from ..events import Event, Outcome, Record
from ..feed.source import Source, subject_of
from ..manager import RuntimeManager
from ..optional import explain_missing
from ..schema.bounded import BoundedDict
from ..schema.preview import preview
from .labels import Labels

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Span, SpanContext, TracerProvider

__all__ = ["Telemetry"]

SYSTEM = "agentrt"
MOST_OPEN = 20_000  # activities that were accepted, or started, and have no end yet
MOST_ENDED = 20_000  # spans that ended and may still get children
MOST_CHARACTERS = 2_000  # of a log
WARNINGS = {"restarted", "retry", "stuck", "failed", "terminated"}  # events that somebody should know of


class Telemetry:
    """Sends what a manager does to OpenTelemetry, until `close()` or the end of the manager.

    Args:
        manager: The manager.
        tracer_provider: Makes spans; the global one without it. So do the next two.
        meter_provider: Makes metrics.
        logger_provider: Makes logs.
        label: What a runtime is called in metrics, as in `agentrt.integrations.prometheus.ManagerCollector`.
        most: How many names there may be in metrics, besides `(other)`.

    Raises:
        MissingPackageError: opentelemetry-api is not installed.

    >>> import agentrt
    >>> with agentrt.RuntimeManager() as manager:
    ...     telemetry = Telemetry(manager)  # no provider is set up: it goes nowhere
    ...     manager.create("sum", 0, lambda activity, state: state + activity.payload).send_nowait(2).result(5).state
    2
    """

    def __init__(
        self,
        manager: RuntimeManager,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        label: Callable[[str], str] | None = None,
        most: int = 100,
    ) -> None:
        with explain_missing("telemetry needs", "opentelemetry"):
            from opentelemetry import _logs, metrics, trace
        self._trace, self._logs = trace, _logs
        self._source: Source = subject_of(manager).source
        self._labels = Labels(label, most)
        self._lock = threading.RLock()
        self._tracer = trace.get_tracer("agentrt", tracer_provider=tracer_provider)
        self._logger = _logs.get_logger("agentrt", logger_provider=logger_provider)
        self._instruments = Instruments(metrics.get_meter("agentrt", meter_provider=meter_provider), self._observe)
        self._activities: BoundedDict[int, Activity[Any]] = BoundedDict(
            MOST_OPEN, held=_weigh_nothing
        )  # that have not ended
        self._open: BoundedDict[int, Span] = BoundedDict(MOST_OPEN, held=_weigh_nothing)
        self._ended: BoundedDict[int, SpanContext] = BoundedDict(MOST_ENDED, held=_weigh_nothing)
        self._starts: dict[int, float] = {}  # of activities whose end is in a frame that was read
        self._ahead: list[Record] = []  # read, and not sent yet
        self._cursor = 0
        self._missed = 0
        self._begin()
        self._detach = self._source.attach(lambda frame: self.flush())

    def _begin(self) -> None:
        """Skip what has happened so far, but for what has not ended."""
        self._read()
        for record in self._ahead:
            if isinstance(record, Activity):
                self._activities[record.id] = record
            elif isinstance(record, Outcome):
                self._activities.pop(record.id, None)
        self._ahead.clear()
        self._starts.clear()
        self._missed = 0

    @property
    def missed(self) -> int:
        """How many records were not sent, because there were more than could be kept in a tenth of a second."""
        return self._missed + self._activities.let_go + self._open.let_go

    def flush(self) -> None:
        """Send all that has happened. It is called ten times a second by itself. Any thread."""
        with self._lock:
            self._read()
            while self._ahead:
                records, self._ahead = self._ahead, []
                for record in records:
                    self._send(record)

    def close(self) -> None:
        """Send all that has happened, and nothing more. Idempotent."""
        self._detach()
        self.flush()

    @contextmanager
    def span(self, activity: Activity[Any]) -> Iterator[Span]:
        """Make the span of an activity current in its workflow: what is instrumented there is part of its trace.

        Args:
            activity: The one that runs.
        """
        with self._lock:
            self._activities.setdefault(activity.id, activity)
            span = self._span_of(activity.id, self._source.now())
        assert span is not None
        with self._trace.use_span(span, end_on_exit=False):
            yield span

    # ---- records

    def _read(self) -> None:
        """Read what is new. The lock is held."""
        frame = self._source.frame(self._cursor)
        self._cursor = frame.cursor
        self._missed += frame.missed
        self._ahead += frame.records
        for record in frame.records:
            if isinstance(record, Outcome) and record.started is not None:
                self._starts[record.id] = record.started

    def _send(self, record: Record) -> None:
        if isinstance(record, Activity):
            self._activities[record.id] = record
        elif isinstance(record, Outcome):
            self._end(record)
        elif record.kind == "step":
            self._add_step(record)
        elif record.kind == "log":
            self._log_message(record)
        elif record.kind in WARNINGS and record.runtime:
            self._log(
                record.at,
                "WARN",
                f"{record.kind}: {preview(record.detail, MOST_CHARACTERS)}",
                record.runtime,
                event=record.kind,
            )

    # ---- spans

    def _span_of(self, id: int, started: float) -> Span | None:
        """The span of an activity, which is begun if it was not; None of an activity that is not known."""
        span, activity = self._open.get(id), self._activities.get(id)
        if span is not None or activity is None:
            return span
        sender = self._context_of_sender(activity)
        span = self._open[id] = self._tracer.start_span(
            f"process {self._labels.of(activity.runtime)}",
            self._within(sender),
            self._trace.SpanKind.CONSUMER,
            _span_attributes(activity),
            [] if sender is None else [self._trace.Link(sender)],
            self._nanoseconds(started),
        )
        return span

    def _context_of_sender(self, activity: Activity[Any]) -> SpanContext | None:
        """The span of the activity that sent it, which may be running still, or have ended in a record to come."""
        parent = activity.parent
        if parent is None:
            return None
        context = self._ended.get(parent)
        if context is not None:
            return context
        span = self._span_of_running(parent, activity.source or "", activity.created)
        return None if span is None else span.get_span_context()

    def _span_of_running(self, id: int, runtime: str, at: float) -> Span | None:
        """The span of an activity that ran at the time `at`."""
        return self._open.get(id) or self._span_of(id, self._start_of(id, runtime, at))

    def _start_of(self, id: int, runtime: str, latest: float) -> float:
        """When an activity was started that ran at the time `latest`."""
        if id not in self._starts:
            shot = self._source.snapshot(runtime, metrics=False)
            if shot is not None and shot.current is not None and shot.current.id == id and shot.started is not None:
                return shot.started
            self._read()  # it has ended in between
        return self._starts.get(id, latest)

    def _within(self, sender: SpanContext | None) -> Context:
        """A context with this span and nothing else: that of this thread has nothing to do with the agents."""
        from opentelemetry.context import Context

        if sender is None:
            return Context()
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(sender), Context())

    def _end(self, outcome: Outcome[Any]) -> None:
        activity = self._activities.get(outcome.id)
        self._starts.pop(outcome.id, None)
        self._instruments.add(outcome, self._labels.of(outcome.runtime))
        if outcome.started is not None and activity is not None:
            span = self._span_of(outcome.id, outcome.started)
            assert span is not None
            self._finish(span, outcome)
            self._ended[outcome.id] = span.get_span_context()
        if not outcome.ok:
            body = f"{outcome.kind}: {outcome.error or ''}"
            self._log(outcome.finished, "ERROR", body, outcome.runtime, outcome.id, event=outcome.kind)
        self._activities.pop(outcome.id, None)
        self._open.pop(outcome.id, None)

    def _finish(self, span: Span, outcome: Outcome[Any]) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("agentrt.fate", outcome.kind)
        span.set_attribute("agentrt.attempts", outcome.attempts)
        span.set_attribute("agentrt.wait", outcome.wait)
        if not outcome.ok:
            span.set_attribute("error.type", _error_type(outcome))
            if outcome.error is not None:
                span.record_exception(
                    outcome.error.__cause__ or outcome.error, None, self._nanoseconds(outcome.finished)
                )
            span.set_status(Status(StatusCode.ERROR, _encodable(str(outcome.error or outcome.kind))[:MOST_CHARACTERS]))
        span.end(self._nanoseconds(outcome.finished))

    def _add_step(self, event: Event) -> None:
        detail = event.detail
        activity = self._activities.get(detail["activity"])
        if activity is None:
            return
        outer = self._span_of_running(activity.id, activity.runtime, detail["started"])
        assert outer is not None
        context = self._within(outer.get_span_context())
        span = self._tracer.start_span(detail["name"], context, start_time=self._nanoseconds(detail["started"]))
        if detail["failed"]:
            from opentelemetry.trace import Status, StatusCode

            span.set_status(Status(StatusCode.ERROR))
        span.end(self._nanoseconds(event.at))

    def _nanoseconds(self, at: float) -> int:
        """Since 1970."""
        return round(self._source.wall(at).timestamp() * 1e9)

    # ---- logs

    def _log_message(self, event: Event) -> None:
        """Log what a workflow said."""
        activity = event.detail["activity"]
        self._span_of_running(activity, event.runtime, event.at)
        self._log(event.at, "INFO", str(event.detail["message"]), event.runtime, activity)

    def _log(
        self, at: float, severity: str, body: str, runtime: str, activity: int | None = None, event: str | None = None
    ) -> None:
        span = None if activity is None else self._open.get(activity)
        number = getattr(self._logs.SeverityNumber, severity)
        attributes: dict[str, Any] = {"messaging.destination.name": _encodable(runtime)}
        if activity is not None:
            attributes["messaging.message.id"] = str(activity)
        record = self._logs.LogRecord(
            timestamp=self._nanoseconds(at),
            context=self._within(None if span is None else span.get_span_context()),
            severity_text=severity,
            severity_number=number,
            body=_encodable(body[:MOST_CHARACTERS]),
            attributes=attributes,
            event_name=None if event is None else f"{SYSTEM}.{event}",
        )
        self._logger.emit(record)

    # ---- gauges

    def _observe(self, options: CallbackOptions) -> Iterable[Observation]:
        """How much waits in each lane."""
        from opentelemetry.metrics import Observation

        depths: dict[tuple[str, str], int] = {}
        for shot in self._source.snapshots():
            for lane, depth in zip(Lane, shot.depth, strict=True):
                key = (self._labels.of(shot.id), lane.value)
                depths[key] = depths.get(key, 0) + depth
        for (label, lane_name), depth in depths.items():
            yield Observation(depth, {"messaging.destination.name": label, "agentrt.lane": lane_name})


class Instruments:
    """The metrics of `Telemetry`."""

    def __init__(self, meter: Any, observe: Callable[[CallbackOptions], Iterable[Observation]]) -> None:
        self._service = meter.create_histogram(
            "messaging.process.duration", "s", "From started to finished, in seconds of the agents' clock."
        )
        self._wait = meter.create_histogram(
            "agentrt.wait.duration", "s", "From accepted to started, in seconds of the agents' clock."
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "Activities that have ended, whatever their fate."
        )
        meter.create_observable_gauge(
            "agentrt.mailbox.depth", [observe], "{message}", "Activities that wait in a lane."
        )

    def add(self, outcome: Outcome[Any], label: str) -> None:
        """Add an activity that has ended."""
        attributes = {**_operation(label), "agentrt.lane": outcome.lane.value}
        if not outcome.ok:
            attributes["error.type"] = _error_type(outcome)
        self._consumed.add(1, {**attributes, "agentrt.fate": outcome.kind})
        if outcome.started is not None:
            self._wait.record(max(0.0, outcome.wait), attributes)
            self._service.record(max(0.0, outcome.finished - outcome.started), attributes)


def _weigh_nothing(value: object) -> tuple[()]:
    """What is kept alive by others, or is small, is not weighed."""
    return ()


def _operation(name: str) -> dict[str, str]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": _encodable(name),
    }


def _span_attributes(activity: Activity[Any]) -> Mapping[str, str]:
    found = {
        **_operation(activity.runtime),
        "messaging.message.id": str(activity.id),
        "agentrt.lane": activity.lane.value,
    }
    if activity.correlation is not None:
        found["messaging.message.conversation_id"] = str(activity.correlation)
    if activity.source is not None:
        found["agentrt.source"] = _encodable(activity.source)
    return found


def _error_type(outcome: Outcome[Any]) -> str:
    """The class of what the workflow raised, else the fate."""
    error = outcome.error
    cause = None if error is None else error.__cause__
    return outcome.kind if cause is None else type(cause).__qualname__


def _encodable(text: str) -> str:
    """The same text as far as UTF-8 can encode it."""
    return text.encode("utf-8", "replace").decode()
