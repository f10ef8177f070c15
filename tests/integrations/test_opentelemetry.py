"""opentelemetry.py: what arrives at a receiver of the protocol is what happened, in the words of the conventions."""

import asyncio
import subprocess
import sys

import pytest

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from agentrt import RuntimeManager, Supervision
from agentrt.integrations import opentelemetry as module
from agentrt.integrations.opentelemetry import Telemetry
from tests.harness.otlp import attributes_of, receiving
from tests.harness.place import ROOT
from tests.support import Gate, add, fail, virtual

NANO = 1e9


class Setup:
    """Providers as a program sets them up, that send to a receiver."""

    def __init__(self, receiver):
        self.receiver = receiver
        at = receiver.address
        self.traces, self.logs = TracerProvider(), LoggerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{at}/v1/traces")))
        self.logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{at}/v1/logs")))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{at}/v1/metrics"), export_interval_millis=float("inf")
        )
        self.metrics = MeterProvider([reader])

    def watch(self, manager, **options):
        """Telemetry of a manager, of which nothing is sent but by `flush`."""
        telemetry = Telemetry(manager, self.traces, self.metrics, self.logs, **options)
        telemetry._detach()
        return telemetry

    def spans(self, telemetry):
        """The spans that have arrived, by the id of their activity or their name."""
        telemetry.flush()
        return {attributes_of(s).get("messaging.message.id", s.name): s for s in self.receiver.spans}


@pytest.fixture(scope="module")
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def setup(receiver):
    receiver.received.clear()
    setup = Setup(receiver)
    yield setup
    for provider in (setup.traces, setup.metrics, setup.logs):
        provider.shutdown()


async def front(activity, state, ctx):
    with ctx.step("look up"):
        await ctx.sleep(1)
    answer = await ctx.ask("back", activity.payload)
    await ctx.sleep(2)
    return state + answer


async def back(activity, state, ctx):
    await ctx.sleep(5)
    ctx.log(f"answered {activity.payload}")
    ctx.reply(activity.payload * 2)
    return state + 1


@virtual
async def test_a_span_is_an_activity_inside_of_that_of_its_sender(manager, setup):
    telemetry = setup.watch(manager)
    sender = manager.create("front", 0, front)
    manager.create("back", 0, back)
    receipt = sender.send_nowait(4, priority=True)
    await receipt
    spans = setup.spans(telemetry)
    outer = spans[str(receipt.id)]
    (inner,) = [span for id, span in spans.items() if span.name == "process back"]
    assert (outer.name, outer.kind, outer.parent_span_id) == ("process front", outer.SPAN_KIND_CONSUMER, b"")
    assert (inner.trace_id, inner.parent_span_id) == (outer.trace_id, outer.span_id)
    assert [(link.trace_id, link.span_id) for link in inner.links] == [(outer.trace_id, outer.span_id)]
    assert (outer.end_time_unix_nano - outer.start_time_unix_nano) / NANO == pytest.approx(8)
    assert (inner.start_time_unix_nano - outer.start_time_unix_nano) / NANO == pytest.approx(1)
    assert (inner.end_time_unix_nano - inner.start_time_unix_nano) / NANO == pytest.approx(5)
    attributes = attributes_of(inner)
    assert (
        attributes.items()
        >= {
            "messaging.system": "agentrt",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": "back",
            "messaging.message.conversation_id": str(receipt.id),
            "agentrt.source": "front",
            "agentrt.fate": "done",
        }.items()
    )
    assert (attributes_of(outer)["agentrt.lane"], attributes["agentrt.lane"]) == ("priority", "standard")
    step = spans["look up"]
    assert (step.parent_span_id, step.end_time_unix_nano - step.start_time_unix_nano) == (outer.span_id, NANO)


@virtual
async def test_a_child_that_ends_first_is_sent_at_once_within_a_sender_that_still_runs(manager, setup):
    telemetry = setup.watch(manager)
    sender = manager.create("front", 0, front)
    manager.create("back", 0, back)
    receipt = sender.send_nowait(4)
    await asyncio.sleep(6.5)
    early = setup.spans(telemetry)
    assert [span.name for span in early.values()] == ["look up", "process back"]
    await receipt
    spans = setup.spans(telemetry)
    outer = spans[str(receipt.id)]
    assert all(span.parent_span_id == outer.span_id for span in early.values())
    assert (outer.end_time_unix_nano - outer.start_time_unix_nano) / NANO == pytest.approx(8)


async def asks_late(activity, state, ctx):
    await ctx.sleep(3)
    await ctx.ask("back", activity.payload)
    await ctx.sleep(2)
    return state


@virtual
async def test_a_sender_that_still_runs_began_when_it_began(manager, setup):
    telemetry = setup.watch(manager)
    manager.create("back", 0, back)
    receipt = manager.create("late", 0, asks_late).send_nowait(4)
    await asyncio.sleep(9)
    assert [span.name for span in setup.spans(telemetry).values()] == ["process back"]
    await receipt
    outer = setup.spans(telemetry)[str(receipt.id)]
    assert (outer.end_time_unix_nano - outer.start_time_unix_nano) / NANO == pytest.approx(10)


@virtual
async def test_a_sender_that_ends_while_its_records_are_sent_began_when_it_began(manager, setup):
    telemetry = setup.watch(manager)
    manager.create("back", 0, back)
    receipt = manager.create("late", 0, asks_late).send_nowait(4)
    await asyncio.sleep(9)
    telemetry._read()
    await receipt
    records, telemetry._ahead = telemetry._ahead, []
    for record in records:
        telemetry._send(record)
    outer = setup.spans(telemetry)[str(receipt.id)]
    assert (outer.end_time_unix_nano - outer.start_time_unix_nano) / NANO == pytest.approx(10)


@virtual
async def test_an_activity_sent_by_one_that_has_ended_is_in_its_trace(manager, setup):
    async def passes(activity, state, ctx):
        await ctx.send("back", 1)
        return state

    telemetry = setup.watch(manager)
    manager.create("back", 0, back)
    runtime = manager.create("passes", 0, passes)
    receipt = runtime.send_nowait(1)
    await receipt
    first = setup.spans(telemetry)[str(receipt.id)]
    await manager["back"].terminate(drain=True)
    (later,) = [span for span in setup.spans(telemetry).values() if span.name == "process back"]
    assert (later.trace_id, later.parent_span_id) == (first.trace_id, first.span_id)


@virtual
async def test_a_failure_is_an_error_in_the_span_and_a_log_of_its_trace(manager, setup):
    telemetry = setup.watch(manager)
    runtime = manager.create("f", 0, fail, supervision=Supervision("restart", intensity=1))
    receipt = runtime.send_nowait("way")
    await receipt.wait()
    span = setup.spans(telemetry)[str(receipt.id)]
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert "no way" in span.status.message
    assert (attributes_of(span)["error.type"], attributes_of(span)["agentrt.fate"]) == ("ValueError", "failed")
    assert [event.name for event in span.events] == ["exception"]
    logs = {log.event_name: log for log in setup.receiver.logs}
    assert set(logs) == {"agentrt.failed", "agentrt.restarted"}
    assert "no way" in logs["agentrt.failed"].body.string_value
    assert (logs["agentrt.failed"].trace_id, logs["agentrt.failed"].span_id) == (span.trace_id, span.span_id)
    assert logs["agentrt.failed"].severity_text == "ERROR"


@virtual
async def test_what_a_workflow_logs_is_a_log_of_its_trace(manager, setup):
    telemetry = setup.watch(manager)
    receipt = manager.create("back", 0, back).send_nowait(3)
    await receipt
    span = setup.spans(telemetry)[str(receipt.id)]
    (log,) = setup.receiver.logs
    assert (log.body.string_value, log.trace_id, log.span_id) == ("answered 3", span.trace_id, span.span_id)
    assert log.time_unix_nano == span.end_time_unix_nano


@virtual
async def test_figures_are_read_back_out_of_what_arrives(manager, setup):
    telemetry = setup.watch(manager, label=lambda id: id.rstrip("0123456789"))
    for i in range(3):
        runtime = manager.create(f"back{i}", 0, back)
        await runtime.ask(1)
    await manager.create("f", 0, fail).send_nowait(1).wait()
    runtime.pause()
    runtime.send_nowait(1)
    telemetry.flush()
    setup.metrics.force_flush()
    metrics = setup.receiver.metrics
    service = {
        attributes_of(point)["messaging.destination.name"]: point
        for point in metrics["messaging.process.duration"].histogram.data_points
    }
    assert (service["back"].count, service["back"].sum) == (3, 15.0)
    assert attributes_of(service["f"])["error.type"] == "ValueError"
    assert metrics["messaging.process.duration"].unit == "s"
    ended = metrics["messaging.client.consumed.messages"].sum
    assert {attributes_of(p)["agentrt.fate"]: p.as_int for p in ended.data_points} == {"done": 3, "failed": 1}
    assert ended.is_monotonic
    depths = metrics["agentrt.mailbox.depth"].gauge.data_points
    waiting = {
        (attributes_of(p)["messaging.destination.name"], attributes_of(p)["agentrt.lane"]): p.as_int for p in depths
    }
    assert waiting["back", "standard"] == 1
    assert metrics["agentrt.wait.duration"].histogram.data_points[0].count == 3
    await runtime.terminate()


@virtual
async def test_what_is_instrumented_in_a_workflow_is_part_of_its_trace(manager, setup):
    tracer = setup.traces.get_tracer("a client")

    async def calls(activity, state, ctx):
        with telemetry.span(activity), tracer.start_as_current_span("GET /"):
            await ctx.sleep(1)
        return state

    telemetry = setup.watch(manager)
    receipt = manager.create("calls", 0, calls).send_nowait(1)
    await receipt
    spans = setup.spans(telemetry)
    outer, inner = spans[str(receipt.id)], spans["GET /"]
    assert (inner.trace_id, inner.parent_span_id) == (outer.trace_id, outer.span_id)
    assert len(setup.receiver.spans) == 2
    assert (attributes_of(outer)["agentrt.fate"], outer.end_time_unix_nano - outer.start_time_unix_nano) == (
        "done",
        NANO,
    )


@virtual
async def test_what_did_not_run_has_no_span_but_a_log(manager, setup):
    telemetry = setup.watch(manager)
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt = runtime.send_nowait(1)
    runtime.drop(receipt.id)
    assert setup.spans(telemetry) == {}
    assert [log.event_name for log in setup.receiver.logs] == ["agentrt.dropped"]


@virtual
async def test_it_begins_with_what_runs_and_ends_with_close(manager, setup):
    gate = Gate()
    runtime = manager.create("gate", 0, gate)
    await manager.create("a", 0, add).ask(1)
    receipt = runtime.send_nowait(1)
    await gate.entered.wait()
    telemetry = setup.watch(manager)
    gate.open.set()
    await receipt
    telemetry.close()
    telemetry.close()
    await manager["a"].ask(1)
    assert [span.name for span in setup.receiver.spans] == ["process gate"]


@virtual
async def test_what_is_kept_is_bounded_and_what_was_lost_is_counted(manager, setup, monkeypatch):
    monkeypatch.setattr(module, "MOST_OPEN", 5)
    telemetry = setup.watch(manager)
    runtime = manager.create("a", 0, add)
    runtime.pause()
    for _ in range(8):
        runtime.send_nowait(1)
    telemetry.flush()
    assert (len(telemetry._activities), telemetry.missed) == (5, 3)
    await runtime.terminate()


def test_it_sends_by_itself_and_all_of_it_before_the_manager_has_closed(setup):
    with RuntimeManager(loop="thread") as manager:
        Telemetry(manager, setup.traces, setup.metrics, setup.logs)
        for _ in range(100):
            receipt = manager.create("a", 0, add).send_nowait(1) if "a" not in manager else manager["a"].send_nowait(1)
        receipt.result(60)
    assert len(setup.receiver.spans) == 100
    assert len({span.trace_id for span in setup.receiver.spans}) == 100


def test_without_the_package_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from agentrt import RuntimeManager; from agentrt.integrations.opentelemetry import Telemetry\n"
        "with RuntimeManager() as manager: Telemetry(manager)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "pip install 'agentrt[opentelemetry]'" in done.stderr
