"""A receiver of OpenTelemetry's protocol in this process, by HTTP: what a collector would be sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


class Receiver:
    """What was received, message by message. Attributes are read with `attributes_of`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.received: list[Any] = []

    @property
    def spans(self) -> list[Any]:
        """All spans, in the order in which they came."""
        found = [each for each in self.received if isinstance(each, ExportTraceServiceRequest)]
        return [
            span for each in found for of in each.resource_spans for scope in of.scope_spans for span in scope.spans
        ]

    @property
    def logs(self) -> list[Any]:
        """All logs."""
        found = [each for each in self.received if isinstance(each, ExportLogsServiceRequest)]
        return [
            log for each in found for of in each.resource_logs for scope in of.scope_logs for log in scope.log_records
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        """The last value of each metric, by its name."""
        found = [each for each in self.received if isinstance(each, ExportMetricsServiceRequest)]
        every = [
            m for each in found for of in each.resource_metrics for scope in of.scope_metrics for m in scope.metrics
        ]
        return {metric.name: metric for metric in every}


def attributes_of(message: Any) -> dict[str, Any]:
    """The attributes of a span, a log or a point."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in message.attributes}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on loopback, `receiver.address`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.received.append(KINDS[self.path].FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
