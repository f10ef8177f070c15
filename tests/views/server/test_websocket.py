"""Frames that no page sends: the connection ends, the log has one short line, and the server goes on."""

import asyncio
import base64
import gc
import json
import logging
import os
import re
import socket
import struct
import warnings
from types import SimpleNamespace

import pytest
from panel.io.server import WSHandler
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from agentrt import RuntimeManager
from agentrt.views.role import Role
from agentrt.views.server import websocket
from agentrt.views.server.server import serve
from tests.harness.client import close, session_token
from tests.harness.shown import serving

LONG = "x" * 1_000_000


@pytest.fixture(scope="module")
def server():
    with RuntimeManager(loop="thread", name="frames") as manager:
        manager.create("a", 0, lambda activity, state: state)
        with serving(serve(manager)) as server:
            yield server


@pytest.fixture
def lines(caplog):
    """The lines that the server has logged, with their tracebacks."""
    caplog.set_level(logging.INFO)
    return lambda: [logging.Formatter().format(record) for record in caplog.records]


def address(server, scheme: str, path: str) -> str:
    return f"{scheme}://127.0.0.1:{server.port}/{path}?token={server.auth.tokens[Role.VIEWER]}"


async def page_token(server) -> str:
    page = await AsyncHTTPClient().fetch(address(server, "http", ""))
    return session_token(page.body.decode())


async def send(server, *frames: str | bytes) -> int | None:
    """Send frames when the connection is acknowledged. How the server ended it: its code."""
    headers = {"Sec-WebSocket-Protocol": f"bokeh, {await page_token(server)}"}
    connection = await websocket_connect(HTTPRequest(address(server, "ws", "ws"), headers=headers))
    for _ in range(3):  # an acknowledgement has three parts
        await connection.read_message()
    for frame in frames:
        connection.write_message(frame, binary=isinstance(frame, bytes))
    while await connection.read_message() is not None:
        pass
    connection.close()
    return connection.close_code


def message(kind: str, content: object, **header: object) -> list[str]:
    return [json.dumps({"msgid": "1", "msgtype": kind, **header}), "{}", json.dumps(content)]


@pytest.mark.parametrize(
    "frames",
    [
        ["[]", "{}", json.dumps(LONG)],
        [LONG, LONG, LONG],
        [LONG.encode()],
        message(LONG, {}),
        [*message("PATCH-DOC", {"events": []}, num_buffers=100), *[json.dumps({"id": "1"}), LONG.encode()] * 100],
        message("ACK", {"content": LONG}),
        [*message("PATCH-DOC", {"events": []}, num_buffers=2), json.dumps({"other": LONG})],
        ["y" * (websocket.MOST_BYTES + 1)],
        ["{}"] * (3 * websocket.MOST_FRAMES),
    ],
    ids=[
        "no header",
        "no JSON",
        "binary",
        "unknown",
        "buffers",
        "not expected",
        "other buffer",
        "too long",
        "too many",
    ],
)
def test_what_is_no_message_ends_the_connection(server, lines, frames):
    code = asyncio.run(asyncio.wait_for(send(server, *frames), 30))
    assert code in (1009, 10000, 10001, None)
    assert max(map(len, lines()), default=0) < 6000


def test_a_message_that_fails_is_answered_and_not_logged(server, lines):
    async def ask() -> str:
        headers = {"Sec-WebSocket-Protocol": f"bokeh, {await page_token(server)}"}
        connection = await websocket_connect(HTTPRequest(address(server, "ws", "ws"), headers=headers))
        for _ in range(3):
            await connection.read_message()
        for frame in message("PATCH-DOC", {"events": [{"kind": LONG, "model": LONG}]}):
            connection.write_message(frame)
        answer = [await connection.read_message() for _ in range(3)]
        await close(connection)
        return answer[0]

    assert json.loads(asyncio.run(ask()))["msgtype"] == "ERROR"
    assert any("PATCH-DOC could not be carried out" in line for line in lines())
    assert max(map(len, lines())) < 6000


@pytest.mark.slow
def test_a_frame_before_the_connection_is_acknowledged_logs_no_traceback(server, lines):
    token = asyncio.run(page_token(server))
    key = base64.b64encode(os.urandom(16)).decode()
    handshake = (
        f"GET /ws?token={server.auth.tokens[Role.VIEWER]} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Protocol: bokeh, {token}\r\n\r\n"
    )
    frame = b"\x81" + struct.pack(">BH", 0x80 | 126, 1000) + b"\0\0\0\0" + b"z" * 1000
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(handshake.encode() + frame + frame)
        while connection.recv(65536):
            pass
    early = [line for line in lines() if "before the connection was acknowledged" in line]
    assert len(early) == 1
    assert not [line for line in lines() if "Traceback" in line or "zzz" in line]


def test_a_page_that_goes_away_while_it_is_written_to_is_no_error(monkeypatch):
    """Nobody looks at the error of a write whose session has ended."""

    async def fail():
        raise WebSocketClosedError

    async def main():
        problems = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        protocol = SimpleNamespace(write_message=lambda message, binary=False: asyncio.ensure_future(fail()))
        monkeypatch.setattr(WSHandler, "get_websocket_protocol", lambda self: protocol)
        found = websocket.PageSocket.get_websocket_protocol(websocket.PageSocket.__new__(websocket.PageSocket))
        written = found.write_message("", binary=True)
        await asyncio.wait([written])
        assert isinstance(written.exception(), WebSocketClosedError)  # who awaits it still gets it
        del written
        found.write_message("")
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        return problems

    assert asyncio.run(main()) == []


@pytest.mark.parametrize("path", ["", "runtime/a"])
def test_a_page_whose_session_has_ended_meanwhile_finds_its_styles_here(server, path):
    async def forget() -> None:
        for context in server._server._tornado._applications.values():
            await context._cleanup_sessions(-1)

    async def go() -> str:
        page = await AsyncHTTPClient().fetch(address(server, "http", path))
        done = asyncio.run_coroutine_threadsafe(forget(), server._loop.asyncio_loop)
        await asyncio.wrap_future(done)
        headers = {"Sec-WebSocket-Protocol": f"bokeh, {session_token(page.body.decode())}"}
        request = HTTPRequest(address(server, "ws", f"{path}/ws".strip("/")), headers=headers)
        connection = await websocket_connect(request)
        for _ in range(3):  # an acknowledgement has three parts
            await connection.read_message()
        for part in message("PULL-DOC-REQ", {}):
            connection.write_message(part)
        parts = [await connection.read_message() for _ in range(3)]
        await close(connection)
        return "".join(parts)

    document = asyncio.run(go())
    sheets = set(re.findall(r'[^"]*/css/loading\.css', document))
    assert sheets
    assert all(sheet.removeprefix("../../").startswith("static/") for sheet in sheets), sheets


def test_messages_that_nobody_sends_are_no_coroutines_left_behind(server, recwarn):
    """Bokeh makes all messages of a change, then sends one after the other; a server may stop in between."""
    warnings.simplefilter("always")
    handler = object.__new__(websocket.PageSocket)
    message = handler.send_message(SimpleNamespace())
    del message
    gc.collect()
    assert not recwarn.list


def test_a_message_is_sent_when_it_is_awaited():
    sent = []

    class Message:
        async def send(self, socket):
            sent.append(socket)

    handler = object.__new__(websocket.PageSocket)
    first = handler.send_message(Message())
    assert sent == []
    asyncio.run(wait_for(first))
    assert sent == [handler]


async def wait_for(message):
    await message
