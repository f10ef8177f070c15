"""The dashboard over 10,000 runtimes of which 1,000 are busy: first paint, pace, the browser's share, and memory.

`AGENTRT_WATCH_MINUTES=30 pytest tests/views/server/test_many_runtimes.py` watches for as long; without it, for some
seconds. What is compared with a limit is processor time where that is what is meant: others may use the machine too.
"""

import asyncio
import gc
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from playwright.sync_api import CDPSession, Page

from agentrt import RuntimeManager
from agentrt.limits import Limits
from agentrt.views.server.server import serve
from benchmarks.visitors import FRAMES
from tests.harness.shown import loaded, serving
from tests.harness.wait import within

MINUTES = float(os.environ.get("AGENTRT_WATCH_MINUTES", "0.3"))
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600 + int(90 * MINUTES))]
ALL, BUSY = 10_000, 1_000
PAINTED, SHARE, PACE = 2.0, 0.5, 2.0
GROWTH = 1.15


async def work(activity: Any, done: int, ctx: Any) -> int:
    await ctx.sleep(activity.payload)
    return done + 1


async def feed(manager: RuntimeManager, ids: list[str]) -> None:
    """Keep them busy: one activity a second each, that takes about as long."""
    chance = random.Random(7)
    while True:
        for id in ids:
            if sum(manager[id].depth) < 3:
                manager.send_nowait(id, chance.uniform(0.2, 1.2), priority=chance.random() < 0.2)
        await asyncio.sleep(1)


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread", name="Many", seed=7) as manager:
        for n in range(ALL):
            manager.create_entry(f"agent-{n:05}", 0, work, Limits())
        feeding = manager.submit(feed(manager, [f"agent-{n:05}" for n in range(0, ALL, ALL // BUSY)]))
        yield manager
        feeding.cancel()


class Browser:
    """What Chromium says of a page, through the DevTools protocol."""

    def __init__(self, page: Page) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        # Of its own thread: what others take of a shared machine is not the page's.
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    @property
    def metrics(self) -> dict[str, float]:
        found = self.session.send("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in found}

    @property
    def heap(self) -> float:
        self.session.send("HeapProfiler.collectGarbage")
        return self.metrics["JSHeapUsedSize"]


def memory() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss)


def test_ten_thousand_runtimes(manager: RuntimeManager, page: Page) -> None:
    with serving(serve(manager)) as server:
        browser = Browser(page)
        asked = time.monotonic()
        page.goto(server.url)
        page.locator(".say").first.wait_for()
        painted = browser.metrics["TaskDuration"]
        print(f"\npainted after {time.monotonic() - asked:.1f} s, {painted:.1f} s of the browser's main thread")
        assert painted < PAINTED
        loaded(page)
        page.evaluate(FRAMES)
        page.wait_for_function("window.frames_seen > 10")  # it has settled: from here on nothing may grow
        page.evaluate("window.frames_seen = 0")
        began, before, heap, rss = time.monotonic(), browser.metrics, browser.heap, memory()
        page.wait_for_timeout(60_000 * MINUTES)
        worked, seconds = browser.metrics["TaskDuration"] - before["TaskDuration"], time.monotonic() - began
        pace, heap_now, rss_now = page.evaluate("window.frames_seen") / seconds, browser.heap, memory()
        print(f"{seconds:.0f} s: {100 * worked / seconds:.0f} % of the main thread, {pace:.1f} Hz")
        print(f"browser {heap / 1e6:.0f} -> {heap_now / 1e6:.0f} MB, server {rss / 1e6:.0f} -> {rss_now / 1e6:.0f} MB")
        assert worked / seconds < SHARE
        assert pace >= PACE / within(1)
        assert heap_now < GROWTH * heap + 8e6
        assert rss_now < GROWTH * rss + 40e6
        assert manager.fates().adds_up
