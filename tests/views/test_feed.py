"""feed.py: a served page, whatever thread it is made on, and whatever thread its server calls things on."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from bokeh.document import Document
from tornado.ioloop import IOLoop

from agentrt.views.feed import Session


class ServedPage:
    """A session of a server that calls plain functions on a thread of a pool, as Bokeh does from 3.10 on."""

    connection_count, destroyed = 1, False

    async def with_document_locked(self, inside: Any, call: Any) -> None:
        result = await asyncio.to_thread(inside, call)
        if result is not None:
            await result


def served_document(loop: Any) -> Any:
    doc, application = Document(), SimpleNamespace(io_loop=loop)
    context = SimpleNamespace(
        session=ServedPage(), server_context=None if loop is None else SimpleNamespace(application_context=application)
    )
    doc._session_context = lambda: context  # type: ignore[assignment, return-value]
    return doc


def test_a_page_that_is_made_on_a_thread_of_a_pool_is_drawn_on_the_loop_of_its_server() -> None:
    async def main() -> list[tuple[str, int]]:
        doc, drawn, done = served_document(IOLoop.current()), [], asyncio.Event()
        loop = asyncio.get_running_loop()

        def draw(what: str) -> None:
            drawn.append((what, threading.get_ident()))
            if len(drawn) == 2:
                loop.call_soon_threadsafe(done.set)

        def make() -> None:
            session = Session(doc)
            session.schedule(lambda: draw("soon"))
            session.later(0, lambda: draw("later"))

        await asyncio.to_thread(make)
        await done.wait()
        return sorted(drawn)

    here = threading.get_ident()
    # Debugging, asyncio refuses what may only be called on the thread of the loop.
    assert asyncio.run(main(), debug=True) == [("later", here), ("soon", here)]


def test_a_page_without_a_server_is_drawn_on_the_loop_that_makes_it() -> None:
    async def main() -> bool:
        return Session(served_document(None)).loop is asyncio.get_running_loop()

    assert asyncio.run(main())
