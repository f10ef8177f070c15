"""A client that says of itself what no browser would: any host, origin, cookie and session."""

import http.client
import re
import ssl

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.harness.wait import PATIENCE


class Answer(http.client.HTTPResponse):
    """The answer to one request."""

    body: bytes
    text: str


def ask(port: int, path: str = "/", *, method: str = "GET", tls: bool = False, **headers: str) -> Answer:
    """Send one request to this machine, and read all of its answer. No certificate is checked.

    Headers are written as names of Python: `Accept_Encoding="gzip"`.
    """
    if tls:
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=unverified)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.response_class = Answer
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.body = answer.read()
        answer.text = answer.body.decode(errors="replace")
    finally:
        connection.close()
    return answer


def session_token(page: str) -> str:
    """What a page opens its WebSocket with: it is in its source."""
    return re.search(r'"token":"([^"]+)"', page).group(1)


async def connect(url: str, session: str, **headers: str) -> int:
    """What the WebSocket at this address answers; 101 for one that opens and greets, 0 for no answer."""
    headers["Sec-WebSocket-Protocol"] = f"bokeh, {session}"
    try:
        connection = await websocket_connect(HTTPRequest(url, headers=headers, validate_cert=False))
    except Exception as error:
        return getattr(error, "code", 0)
    if await connection.read_message() is None:
        connection.close()
        return 0
    await close(connection)
    return 101


async def close(connection: WebSocketClientConnection) -> None:
    """Close it, and wait until the server has closed its end: a loop that ends earlier leaves the socket open."""
    connection.close()
    while await connection.read_message() is not None:
        pass
