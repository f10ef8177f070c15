"""axe on every page, light and dark, with something going on: nothing serious, nothing critical."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from agentrt import RuntimeManager
from agentrt.views.server.managers import ManagersPage
from agentrt.views.server.server import serve, start
from tests.harness.shown import loaded, serving
from tests.harness.wait import PATIENCE, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ["", "runtime/clerk", "mailbox/clerk", "inject/clerk", "events/clerk", "runtime/empty", "runtime/nobody"]
PAGES += ["flow", "timeline", "dead-letters", "activity/LAST", "activity/999999"]


async def clerk(activity, count: int, ctx) -> int:
    """Fails for a word, hangs for a list."""
    if isinstance(activity.payload, str):
        raise ValueError(activity.payload)
    await ctx.send("empty", 1)
    await ctx.sleep(3600 if isinstance(activity.payload, list) else 0)
    return count + 1


@pytest.fixture(scope="module")
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread", name="For all") as manager:
        manager.create("empty", 0, lambda activity, state: state)
        busy = manager.create("clerk", 0, clerk)
        gone = manager.create("gone", 0, clerk)
        gone.pause()
        gone.send_nowait("late")
        manager.run(gone.terminate())
        for n in range(5):
            busy.send_nowait(n, priority=n % 2 == 0).result(PATIENCE)
        with pytest.raises(Exception, match="no"):
            busy.send_nowait("no").result(PATIENCE)
        for n in ([1], 2, 3):
            busy.send_nowait(n, priority=n == 3)
        wait_until(lambda: busy.status == "processing")
        yield manager


@pytest.fixture(scope="module")
def server(manager: RuntimeManager) -> Iterator[object]:
    with serving(serve(manager, note="a note", loud=True)) as server:
        yield server


def grave(page: Page) -> list[str]:
    loaded(page)
    found = Axe().run(page).response["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {node['html'][:200]}" for each in bad for node in each["nodes"]]


@pytest.mark.parametrize("theme", ["default", "dark"])
@pytest.mark.parametrize("address", PAGES)
def test_every_page(manager, server, page: Page, address: str, theme: str) -> None:
    last = max(record.id for record in manager.ring.since(0)[0] if record.kind == "accepted")
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server.link('operator', address.replace('LAST', str(last)))}&theme={theme}")
    page.locator("nav a").first.wait_for()
    assert grave(page) == []


@pytest.mark.parametrize("theme", ["default", "dark"])
def test_the_page_of_several_managers(server, page: Page, theme: str) -> None:
    with serving(start(ManagersPage())) as both:
        page.goto(f"{both.url}&theme={theme}")
        page.locator(".manager").first.wait_for()
        assert grave(page) == []


def test_the_help_of_the_keys(server, page: Page) -> None:
    page.goto(server.url)
    page.locator(".say").first.wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="keyboard").wait_for()
    assert grave(page) == []
