"""How one session is fed: one client of the manager's hub, one batch of changes a flush, none when nothing changed.

A view is anything with `update(update) -> bool`. It draws what is new, and returns whether it will look different soon
by itself: a bar that grows while an activity runs, a rate that falls. Such a view is updated again after `AGAIN`.
Views change only inside a flush, which runs where the session's models may be touched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Protocol, TypeVar

import panel as pn
from panel.io.notebook import block_comm
from panel.io.state import set_curdoc

from ..activity import Activity
from ..events import Event, Outcome
from ..feed.source import Frame, Source
from .writes import write_all_messages

__all__ = ["Feed", "Schedule", "Session", "Update", "View", "feed_notebook", "feed_page", "run_now"]

log = logging.getLogger(__name__)

PAUSE = 0.1
AWAY = 0.25  # seconds between two checks whether a page is connected again
AGAIN = 0.25  # seconds until a view that changes by itself is updated again
Call = Callable[[], Any]
# Runs a call later, where the models of the session may be changed; a callback of a button may be on any thread.
Schedule = Callable[[Call], Any]
T = TypeVar("T")


def run_now(call: Call) -> Any:
    """A `Schedule` that does not wait: for a page whose callbacks run where its models may be changed."""
    return call()


class Update:
    """What a flush brings: the time, the records since the last one, and which runtimes they are about."""

    def __init__(
        self, at: float, records: list[Any], changed: set[str], *, missed: int = 0, first: bool = False
    ) -> None:
        self.at = at
        self.records = records
        self.changed = changed
        self.missed = missed
        self.first = first
        self._once: dict[Any, Any] = {}

    def once(self, key: Any, work_out: Callable[[], T]) -> T:
        """The result of `work_out()`, a pure function of the records; run once for all views of all sessions."""
        if key not in self._once:
            self._once[key] = work_out()
        found: T = self._once[key]
        return found

    @cached_property
    def of(self) -> dict[str, list[Any]]:
        """The records by runtime, grouped once for all views."""
        found: dict[str, list[Any]] = defaultdict(list)
        for record in self.records:
            found[record.runtime].append(record)
        return found

    @cached_property
    def activities(self) -> list[Activity[Any]]:
        """The activities that were accepted. Like `outcomes` and `events`, found once for all views."""
        return [record for record in self.records if isinstance(record, Activity)]

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """The outcomes."""
        return [record for record in self.records if isinstance(record, Outcome)]

    @cached_property
    def failures(self) -> list[Outcome]:
        """The outcomes that are not done."""
        return [outcome for outcome in self.outcomes if outcome.kind != "done"]

    @cached_property
    def events(self) -> list[Event]:
        """The events."""
        return [record for record in self.records if isinstance(record, Event)]

    def after(self, sequence: int) -> Update:
        """Only what is newer than that record."""
        records = [record for record in self.records if record.sequence > sequence]
        return Update(self.at, records, {record.runtime for record in records}, missed=self.missed)


class View(Protocol):
    """What a feed keeps up to date."""

    def update(self, update: Update) -> bool | None:
        """Draw what is new. Returns whether it will look different soon by itself."""


class Feed:
    """Keeps the views of one session up to date.

    Args:
        source: What the views are drawn from.
        schedule: Runs a call where models may be changed. Any thread.
        later: Does so after some seconds.
        batch: Is open while a flush changes models; then it sends all changes together.
        alive: Whether the session still exists; once it does not, the feed stops.
    """

    def __init__(
        self,
        source: Source,
        schedule: Callable[[Call], Any],
        later: Callable[[float, Call], Any],
        batch: Callable[[], AbstractContextManager[Any]] = nullcontext,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self.source = source
        self.schedule = schedule
        self.later = later
        self.batch = batch
        self.alive = alive
        self.views: list[View] = []
        self.moving: set[int] = set()
        self._drawn: dict[int, int] = {}  # by view: the last record that was drawn when it was added
        self._armed = False
        self._armed_at = self._fed_at = 0.0
        self._detach: Call | None = None
        self._session = self  # the feed that starts and stops with the session
        self._companions: list[Feed] = []

    def start(self) -> Feed:
        """Attach to the source, once; its companions as well."""
        if self._detach is None:
            self._detach = self.source.attach(self.flush, self.schedule)
        for each in self._companions:
            each.start()
        return self

    def stop(self) -> None:
        """Detach from the source, and remove every view; its companions as well. Idempotent."""
        detach, self._detach = self._detach, None
        self.views.clear()
        if self in self._session._companions:
            self._session._companions.remove(self)
        for each in tuple(self._companions):
            each.stop()
        if detach is not None:
            detach()

    @property
    def running(self) -> bool:
        """Whether it is attached to the source."""
        return self._detach is not None

    def beside(self, source: Source) -> Feed:
        """A feed of the same session, of a source in which nothing changes: it draws a view once."""
        feed = Feed(source, self.schedule, self.later, self.batch, self.alive)
        feed._session = self._session
        return feed

    def accompany(self, source: Source) -> Feed:
        """A feed of the same session, of another source that changes as well: it starts and stops with the session."""
        feed, session = self.beside(source), self._session
        session._companions.append(feed)
        return feed.start() if session.running else feed

    def follow(self, view: View) -> Call:
        """Draw a view from all records now, and keep it up to date. Returns what ends that. Call it in the session."""
        frame = self.source.frame()
        update = Update(frame.at, frame.records, frame.changed, missed=frame.missed, first=True)
        self.views.append(view)
        self._feed(update, [view])
        self._drawn[id(view)] = max((record.sequence for record in frame.records), default=0)
        return lambda: self.unfollow(view)

    def unfollow(self, view: View) -> None:
        """Stop updating this view."""
        self.views = [each for each in self.views if each is not view]
        self.moving.discard(id(view))
        self._drawn.pop(id(view), None)

    def flush(self, frame: Frame) -> None:
        """Bring every view up to date. The source calls it, through `schedule`."""
        if self.running and not self.alive():
            self.stop()
        if self.running:
            if frame.shared is None:
                frame.shared = Update(frame.at, frame.records, frame.changed, missed=frame.missed)
            self._feed(frame.shared, self.views)
            self._fed_at = time.monotonic()

    def _again(self) -> None:
        self._armed = False
        if self._fed_at > self._armed_at:  # a flush has updated them since
            self._arm()
        elif self.running:
            started = time.thread_time()
            update = Update(self.source.now(), [], set())
            self._feed(update, [view for view in self.views if id(view) in self.moving])
            self.source.charge(time.thread_time() - started)

    def _feed(self, update: Update, views: list[View]) -> None:
        with self.batch():
            for view in list(views):
                drawn = self._drawn.pop(id(view), None) if update.records else None
                self._update(view, update if drawn is None else update.after(drawn))
        self._arm()

    def _arm(self) -> None:
        if self.moving and not self._armed:
            self._armed, self._armed_at = True, time.monotonic()
            self.later(max(AGAIN, self.source.watching().pause), self._again)

    def _update(self, view: View, update: Update) -> None:
        try:
            moves = view.update(update)
        except Exception:  # the other views go on
            log.exception("a view failed and is no longer brought up to date: %r", view)
            self.unfollow(view)
            return
        (self.moving.add if moves else self.moving.discard)(id(view))


def feed_page(source: Source, doc: Any) -> Feed:
    """The feed of a served session; it ends with the session. Call it while the page is made.

    It starts when the page has loaded: the browser would not get what changes before.
    """
    session = Session(doc)
    feed = Feed(source, session.schedule, session.later, batch=lambda: pn.io.hold(doc))
    doc.on_session_destroyed(lambda context: feed.stop())

    def begin() -> None:
        feed.start()

    pn.state.onload(begin)
    return feed


class Session:
    """Runs calls on the loop of a served session, with its document locked.

    The page and the callbacks of its buttons may be on other threads: Bokeh 3.10 calls them on those of a pool.

    It does not use `doc.add_next_tick_callback`: a tick that is added while the document is on hold gets lost now and
    then.
    """

    def __init__(self, doc: Any) -> None:
        write_all_messages()
        self.doc = doc
        self.loop = _serving_loop(doc)
        self.tasks: set[asyncio.Task[None]] = set()

    def schedule(self, call: Call) -> None:
        """Run a call soon. Any thread."""
        self.loop.call_soon_threadsafe(self._start, call)

    def later(self, seconds: float, call: Call) -> None:
        """Run a call after some seconds. Any thread."""
        self.loop.call_soon_threadsafe(self.loop.call_later, seconds, self._start, call)

    def _start(self, call: Call) -> None:
        task = self.loop.create_task(self._run(call))
        self.tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a page could not be brought up to date", exc_info=error)

    async def _run(self, call: Call) -> None:
        if (session := await self._wait_for_browser()) is not None:
            await session.with_document_locked(self._inside, call)

    async def _wait_for_browser(self) -> Any:
        """The session of the server, once a browser is connected to it; None when it has ended."""
        # There is none yet while the page is made on another thread. No browser is connected: the page was closed, and
        # the server keeps its session for a while, or it reconnects.
        while (context := self.doc.session_context) is not None:
            session = context.session
            if session is not None and (session.connection_count or session.destroyed):
                return None if session.destroyed else session
            del context, session  # or a page that could not be made would be waited for
            await asyncio.sleep(AWAY)
        return None

    async def _inside(self, call: Call) -> None:
        # A coroutine runs on the loop. Bokeh 3.10 would call a plain function on a thread of a pool, those of two pages
        # at once.
        with set_curdoc(self.doc):
            call()


def _serving_loop(doc: Any) -> asyncio.AbstractEventLoop:
    """The loop of the server that a document is served by; without a server, the one that runs here."""
    server = doc.session_context.server_context
    loop = server.application_context.io_loop if server is not None else asyncio.get_running_loop()
    return getattr(loop, "asyncio_loop", loop)


def feed_notebook(
    source: Source,
    output: Any,
    loop: asyncio.AbstractEventLoop,
    batch: Callable[[], AbstractContextManager[Any]] | None = None,
) -> Feed:
    """The feed of an output in a notebook, on the loop of the kernel; not started. It ends when the output is removed.

    Jupyter drops messages over about 1,000 a second: a cell gets its changes a little later, and together. What
    `batch` returns sends them; by default Panel does.
    """
    return Feed(
        source,
        schedule=lambda call: loop.call_soon_threadsafe(loop.call_later, PAUSE, call),
        later=loop.call_later,
        batch=batch or (lambda: _push_together(output)),
        alive=lambda: bool(output._models),
    )


@contextmanager
def _push_together(output: Any) -> Iterator[None]:
    # Without `block_comm` each property is a message of three parts.
    with block_comm():
        yield
    pn.io.push_notebook(output)
