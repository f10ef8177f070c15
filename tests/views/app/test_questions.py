"""Each question that a person who debugs has: from the first page, in two clicks at the most, in visible text."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page

from agentrt import Runtime, RuntimeManager
from agentrt.views.server.server import serve
from tests.harness.shown import loaded, serving
from tests.harness.wait import PATIENCE, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MOST = 2


async def relay(activity, seen, ctx):
    """Passes orders on to the store, and waits for the ledger when it is told to."""
    if activity.payload == "wait":
        balance = await ctx.ask("ledger", "balance")
        return seen + balance
    with ctx.step("pass on"):
        await ctx.send("store", activity.payload)
    return seen + 1


async def store(activity, stock, ctx):
    """Fails for an order that is out of stock."""
    await ctx.sleep(0.01)
    if activity.payload < 0:
        raise ValueError(f"out of stock: {activity.payload}")
    return stock + activity.payload


async def ledger(activity, balance, ctx):
    """Takes for ever."""
    patience = 3600
    await ctx.sleep(patience)
    return balance


async def keep_ordering(desk: Runtime, vault: Runtime) -> None:
    """Send orders: however long the questions take, "the last minute" is never empty, nor without a failure."""
    while True:
        await desk.ask(1)
        vault.send_nowait(-7)
        await asyncio.sleep(1)


class Visitor:
    """A person at the first page, whose clicks are counted."""

    def __init__(self, page: Page, link: str) -> None:
        self.page = page
        self.clicks = 0
        page.goto(link)
        page.locator(".say").first.wait_for()
        loaded(page)

    def click(self, on: Locator) -> None:
        on.first.click()
        self.clicks += 1
        assert self.clicks <= MOST

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until this can be read."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=re.compile(name))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)


@pytest.fixture(scope="module")
def manager() -> Iterator[RuntimeManager]:
    """A shop that works, with trouble: the ledger hangs, the clerk waits for it, the vault failed, the till is full."""
    with RuntimeManager(loop="thread", name="A shop") as manager:
        manager.create("ledger", 0, ledger)
        manager.create("store", 0, store)
        desk, clerk = manager.create("desk", 0, relay), manager.create("clerk", 0, relay)
        till = manager.create("till", 0, store, standard_capacity=20)
        gone = manager.create("gone", 0, store)
        for n in range(30):
            desk.send_nowait(n, priority=n % 2 == 0).result(PATIENCE)
        wait_until(lambda: manager["store"].processed == 30, what="the store has worked")
        vault = manager.create("vault", 0, store)
        with pytest.raises(Exception, match="out of stock"):
            vault.send_nowait(-7).result(PATIENCE)
        gone.pause()
        gone.send_nowait(41)
        manager.run(gone.terminate())
        till.pause()
        for n in range(19):
            till.send_nowait(100 + n, priority=n == 18)
        clerk.send_nowait("wait")
        wait_until(lambda: manager["ledger"].status == "processing", what="the ledger hangs")
        orders = manager.submit(keep_ordering(desk, vault))
        yield manager
        orders.cancel()


@pytest.fixture(scope="module")
def link(manager: RuntimeManager) -> Iterator[str]:
    with serving(serve(manager)) as server:
        yield server.url


@pytest.fixture
def visitor(page: Page, link: str) -> Visitor:
    return Visitor(page, link)


def test_is_anything_wrong_right_now(visitor: Visitor) -> None:
    visitor.sees(re.compile(r"1 of 6 runtimes is failing"))
    visitor.sees(re.compile(r"standard lane is over 90 % full"))
    assert visitor.clicks == 0


def test_which_runtime_hangs_and_on_which_line(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("td").get_by_role("button", name="ledger", exact=True))
    visitor.sees("await ctx.sleep(patience)")
    visitor.sees("3600")
    visitor.sees(re.compile(r"for \d"))


def test_what_waits_oldest_first(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("td").get_by_role("button", name="till", exact=True))
    page = visitor.page
    page.get_by_text(re.compile(r"\b100\b")).locator("visible=true").first.wait_for()
    page.get_by_text(re.compile(r"\b117\b")).locator("visible=true").first.wait_for()
    top = [page.get_by_text(re.compile(rf"\b{n}\b")).locator("visible=true").first.bounding_box() for n in (100, 117)]
    assert top[0]["y"] < top[1]["y"]


def test_who_is_talking_to_whom_how_much(visitor: Visitor) -> None:
    visitor.sees("Who sends to whom")
    visitor.sees(re.compile(r"desk → store"))
    visitor.sees(re.compile(r"outside → desk"))
    assert visitor.clicks == 0


def test_what_happened_in_what_order(visitor: Visitor) -> None:
    visitor.sees(re.compile(r"activities ended in the last minute, \d+ of them not done"))
    visitor.click(visitor.link("Timeline"))
    visitor.sees("What happened, in what order")
    visitor.click(visitor.page.get_by_role("button", name=re.compile(r"activity \d+ of")))
    visitor.sees("Who caused it, and what it caused")


def test_why_did_this_activity_fail_and_who_caused_it(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator(".say").get_by_role("button", name="vault"))
    visitor.click(visitor.page.locator(".problem").get_by_role("button", name=re.compile("activity")))
    visitor.sees("Why it failed")
    visitor.sees("ValueError")
    visitor.sees(re.compile(r"raise ValueError"))
    visitor.sees("sent from outside: no activity caused it")
    visitor.sees("The state before and after")


def test_did_priority_activities_overtake(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("td").get_by_role("button", name="desk", exact=True))
    visitor.click(visitor.page.get_by_role("tab", name="Waits"))
    visitor.sees(re.compile("of 100 priority activities 95 waited less than"))
    visitor.sees("p99")


def test_is_this_queue_stable(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("td").get_by_role("button", name="store", exact=True))
    visitor.click(visitor.page.get_by_role("tab", name="Theory"))
    visitor.sees(re.compile(r"^\s*(Stable|Probably stable)"))


def test_was_anything_lost(visitor: Visitor, manager: RuntimeManager) -> None:
    assert manager.fates().adds_up
    visitor.sees(re.compile(r"[\d,]+ accepted"))
    visitor.sees(re.compile(r"\d+ failed"))
    visitor.sees(re.compile(r"pending"))
    visitor.click(visitor.link("Dead letters"))
    visitor.sees(re.compile(r"\b41\b"))
    visitor.sees(re.compile(r"terminated"))


def test_what_does_watching_cost(visitor: Visitor) -> None:
    visitor.sees(re.compile("watching costs"))
    assert visitor.clicks == 0
