"""Sessions without a browser: `python -m benchmarks.listeners URL N` keeps N sessions open until its input ends.

To the server they are ordinary pages: each is requested, opens its WebSocket, reports that it has loaded, and receives
all messages. Only the drawing is left out: real visitors draw on their own machines, not on this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from typing import Any
from urllib.parse import urljoin, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

LOADED = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}},
}
LARGEST = 100 << 20  # bytes of a message


async def page(url: str) -> tuple[str, str, HTTPResponse]:
    """Follow the redirects of a link: the last URL, the cookies that were set, and the response."""
    client, cookies = AsyncHTTPClient(), ""
    while True:
        request = HTTPRequest(url, follow_redirects=False, headers={"Cookie": cookies}, request_timeout=60)
        answer = await client.fetch(request, raise_error=False)
        cookies = "; ".join([cookies, *(each.split(";")[0] for each in answer.headers.get_list("Set-Cookie"))])
        if "Location" not in answer.headers:
            return url, cookies.strip("; "), answer
        url = urljoin(url, answer.headers["Location"])


async def session(url: str) -> WebSocketClientConnection:
    """Open a session, up to the message that its page has loaded."""
    url, cookies, answer = await page(url)
    token = re.search(r'"token":"([^"]+)"', answer.body.decode())
    if token is None:
        raise RuntimeError(f"no page of a dashboard: status {answer.code}")
    place = urlsplit(url)
    headers = {"Cookie": cookies, "Origin": f"{place.scheme}://{place.netloc}"}
    request = HTTPRequest(f"ws://{place.netloc}{place.path.rstrip('/')}/ws", headers=headers)
    socket = await websocket_connect(request, subprotocols=["bokeh", token[1]], max_message_size=LARGEST)
    for _ in range(3):  # the three parts of the acknowledgement
        await socket.read_message()
    for part in ({"msgid": "1", "msgtype": "PATCH-DOC"}, {}, {"events": [LOADED]}):
        await socket.write_message(json.dumps(part))
    return socket


async def listen(socket: Any) -> None:
    while await socket.read_message() is not None:
        pass


async def main() -> None:
    url, n = sys.argv[1], int(sys.argv[2])
    tasks = [asyncio.create_task(listen(await session(url))) for _ in range(n)]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    gone = sum(task.done() for task in tasks)
    os._exit(3 if gone else 0)


if __name__ == "__main__":
    asyncio.run(main())
