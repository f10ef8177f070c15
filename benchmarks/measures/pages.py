"""The first page over many runtimes in a real browser: how soon it is there, how often it changes, and what it holds.

`here` the dashboard is served by the process of the agents, `apart` by one of its own. A hundred of the runtimes work.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psutil

from agentrt import RuntimeManager
from agentrt.limits import Limits

from .. import child as process
from ..measure import ONE_KIND, Measure, Sample
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures
from ..visitors import FRAMES
from ..work import Kind, add

BUSY, RATE = 100, 1_000  # runtimes that work, and activities a second that they get together
WATCHED = 4.0  # seconds
VISITS = 3  # by a browser that has stored nothing; the median counts
PATIENCE = 120_000  # milliseconds


async def send_steadily(manager: Any, ids: list[str]) -> None:
    while True:
        for id in ids:
            manager.send_nowait(id, 1)
        await asyncio.sleep(BUSY / RATE)


def child(runtimes: str, where: str) -> Figures:
    n = int(runtimes)
    if not n:
        return {"paint s": 0.0}
    with RuntimeManager(loop="thread", name="many") as manager:
        for each in range(n):
            manager.create_entry(f"agent-{each:06}", 0, add, Limits())
        feeding = manager.submit(
            send_steadily(manager, [f"agent-{each:06}" for each in range(0, n, max(1, n // BUSY))])
        )
        server: Any = manager.serve(process=True) if where == "apart" else manager.serve()
        try:
            found = look(server.url, n)
        finally:
            feeding.cancel()
        found["MB"] = psutil.Process().memory_info().rss / 1e6
        if where == "apart":
            found["dashboard MB"] = psutil.Process(server.pid).memory_info().rss / 1e6
        server.stop()
        return found


def look(url: str, n: int) -> Figures:
    """Open the page, watch it, and use its table."""
    from tests.harness.browser import chromium

    with chromium() as browser:
        visits = sorted(visit(browser, url) for _ in range(VISITS))
        page = browser.new_context().new_page()
        pause = watch_page(page, url)
        used = {name: use(page) for name, use in USES.items()}
    return {"paint s": visits[VISITS // 2], "s a frame": pause, **used}


def watch_page(page: Any, url: str) -> float:
    """Open the first page, and say how many seconds pass from one of its frames to the next."""
    page.goto(url)
    page.locator(".react-flow__node").first.wait_for(timeout=PATIENCE)
    page.evaluate(FRAMES)
    page.wait_for_timeout(1000 * WATCHED)
    return WATCHED / max(1, int(page.evaluate("window.frames_seen")))


def visit(browser: Any, url: str) -> float:
    """Seconds until a browser that has stored nothing has drawn the first line and the table."""
    context = browser.new_context()
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(".say").first.wait_for(timeout=PATIENCE)
    page.locator("tbody tr").first.wait_for(timeout=PATIENCE)
    took = time.perf_counter() - started
    context.close()
    return took


def _search(page: Any) -> float:
    started = time.perf_counter()
    page.get_by_placeholder("search runtimes").fill("agent-0012")
    page.get_by_text(" of ").filter(has_text="100 of").first.wait_for(timeout=PATIENCE)
    took = time.perf_counter() - started
    page.get_by_placeholder("search runtimes").fill("")
    page.get_by_text("1 to 25 of").wait_for(timeout=PATIENCE)
    return took


def _sort(page: Any) -> float:
    started = time.perf_counter()
    page.get_by_role("button", name="processed").click()
    page.locator('th[aria-sort="descending"]').wait_for(timeout=PATIENCE)
    return time.perf_counter() - started


def _turn(page: Any) -> float:
    started = time.perf_counter()
    page.get_by_role("button", name="next page").click()
    page.get_by_text("26 to 50 of").wait_for(timeout=PATIENCE)
    return time.perf_counter() - started


USES = {"search s": _search, "sort s": _sort, "turn s": _turn}


def first_page(where: str) -> Sample:
    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        found = {n: process.figures("pages", n, where) for n in size.shown}
        return {f"{n} {name}": value for n, figures in found.items() for name, value in figures.items()}

    return sample


MEASURES = [
    Measure(
        "pages", "the first page over many runtimes, in a real browser", "shown", first_page("here"), "0 paint s",
        ONE_KIND, 1,
    ),
    Measure(
        "pages apart", "the same, from a dashboard in a process of its own", "shown", first_page("apart"),
        "0 paint s", ONE_KIND, 1,
    ),
]  # fmt: skip
