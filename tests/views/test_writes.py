"""writes.py: what Panel is given to write is written, whatever else ends at that moment."""

import asyncio
from typing import Any

import pytest
from bokeh.document import Document
from panel.io import document
from tornado.locks import Lock

from agentrt.views.writes import write_all_messages


class Socket:
    """A connection to a page; the test says when a message has been written."""

    def __init__(self) -> None:
        self.write_lock = Lock()
        self.written: list[asyncio.Future[None]] = []
        self._socket = self.protocol = self

    def create(self, kind: str, events: Any) -> Any:
        return events


def write(socket: Socket, message: Any = None) -> list[asyncio.Future[None]]:
    socket.written.append(asyncio.get_running_loop().create_future())
    return socket.written[-1:]


@pytest.mark.parametrize("turns", range(6))
def test_a_message_that_comes_while_another_one_ends_is_written(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    monkeypatch.setitem(document.extra_socket_handlers, Socket, lambda socket, msg: write(socket, msg))
    write_all_messages()

    async def main() -> list[asyncio.Future[None]]:
        page, doc = Socket(), Document()
        document.schedule_write_events(doc, [page], ["first"])  # type: ignore[list-item]
        await asyncio.sleep(0)
        page.written[0].set_result(None)
        loop = asyncio.get_running_loop()

        def give(left: int) -> None:
            if left:
                loop.call_soon(give, left - 1)
            else:
                document.schedule_write_events(doc, [page], ["second"])  # type: ignore[list-item]

        give(turns)
        for _ in range(20):
            await asyncio.sleep(0)
        return page.written

    assert len(asyncio.run(main())) == 2
