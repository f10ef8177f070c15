"""A corpus of script injections through every string of every view, in a real Chromium: none runs or fetches."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import pytest
from playwright.sync_api import Page

from agentrt import RuntimeManager
from agentrt.views.app.address import Address
from agentrt.views.server.managers import ManagersPage
from agentrt.views.server.server import serve, start
from tests.harness.injections import INJECTIONS
from tests.harness.shown import loaded, serving
from tests.harness.wait import PATIENCE, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
EACH = 9
SETS = [tuple(INJECTIONS[n : n + EACH]) for n in range(0, len(INJECTIONS), EACH)]
PAGES = ["", "flow", "timeline", "dead-letters"]


class Odd(Exception):
    """Says what it is told."""


async def odd(activity: Any, state: Any, ctx: Any) -> Any:
    """Every string goes through its steps, its logs, its measures, its locals, its sends and its errors."""
    strings = [
        each for each in (activity.payload if isinstance(activity.payload, tuple) else ()) if isinstance(each, str)
    ]
    for string in strings:
        with ctx.step(string):
            ctx.log(string)
            ctx.metric(string, 1)
    if strings and activity.key and activity.key.startswith("to "):
        await ctx.send(strings[0], strings[0])
    if activity.key and activity.key.startswith("hang"):
        await ctx.sleep(3600)
    if isinstance(activity.payload, str):
        raise Odd(activity.payload) from Odd(activity.payload)
    return activity.payload


def busy(manager: RuntimeManager, strings: tuple[str, ...]) -> None:
    """Runtimes that are named, that hold and that fail with these strings; some wait, one hangs, one is dead."""
    for string in strings:
        runtime = manager.create(string, strings, odd)
        runtime.send_nowait(strings, key=string).result(PATIENCE)
        with pytest.raises(Exception, match=r"."):
            runtime.send_nowait(string, priority=True).result(PATIENCE)
        runtime.send_nowait(strings, key=f"to {string}").result(PATIENCE)
        runtime.send_nowait(strings, key=f"hang {string}")
        for _ in range(2):
            runtime.send_nowait((string, {string: string}), key=None)
    gone = manager.create(f"gone {strings[0]}", strings, odd)
    gone.pause()
    gone.send_nowait(strings)
    manager.run(gone.terminate())


@pytest.fixture(scope="module")
def manager() -> Iterator[RuntimeManager]:
    odd.__name__ = odd.__qualname__ = INJECTIONS[0]
    with RuntimeManager(loop="thread", name=INJECTIONS[6]) as manager:
        for strings in SETS:
            busy(manager, strings)
        wait_until(lambda: manager[INJECTIONS[0]].status == "processing")
        yield manager


@pytest.fixture(scope="module")
def server(manager: RuntimeManager) -> Iterator[Any]:
    with serving(serve(manager, note=INJECTIONS[6], title=INJECTIONS[6], loud=True)) as server:
        yield server


def look_around(page: Page) -> None:
    """Wait for the page, open all that opens, and let the mouse go over everything."""
    loaded(page)
    page.evaluate(AROUND)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


AROUND = """() => {
  const deep = function* (root) {
    for (const node of root.querySelectorAll("*")) { yield node; if (node.shadowRoot) yield* deep(node.shadowRoot) }
  }
  for (const node of [...deep(document)]) {
    if (node.tagName === "DETAILS") node.open = true
    for (const kind of ["mouseover", "mouseenter", "mousemove", "focus"])
      node.dispatchEvent(new MouseEvent(kind, {bubbles: true, composed: true}))
  }
}"""


def clean(page: Page) -> None:
    assert page.evaluate("window.owned") is None
    assert page.title() != "owned"


def test_the_corpus_is_large() -> None:
    assert len(set(INJECTIONS)) == len(INJECTIONS) >= 60


def test_it_bites_where_strings_are_not_escaped(guard: Any, page: Page) -> None:
    guard.allow("")
    bites = 0
    for string in INJECTIONS:
        page.set_content(f"<!doctype html><body><div title='{string}'>{string}</div>", wait_until="commit")
        page.wait_for_function("() => document.readyState === 'complete'")
        page.evaluate(AROUND)
        bites += page.evaluate("window.owned") == 1
        page.goto("about:blank")
    assert bites > len(INJECTIONS) // 3, bites


@pytest.mark.parametrize("address", PAGES)
def test_the_pages_of_all(server: Any, page: Page, address: str) -> None:
    page.goto(server.link("operator", address))
    page.locator("nav a").first.wait_for()
    look_around(page)
    for _ in range(len(INJECTIONS) // 25 if address == "" else 0):
        page.get_by_role("button", name="next page").or_(page.locator("[aria-label='next page']")).first.click()
        look_around(page)
    for opens in page.locator("[data-do=open]").all()[:3]:
        opens.click()
        look_around(page)
    clean(page)


@pytest.mark.parametrize("place", range(len(SETS)))
def test_the_pages_of_a_runtime(manager: RuntimeManager, server: Any, page: Page, place: int) -> None:
    id = SETS[place][place % len(SETS[place])]
    records = [record for record in manager.ring.since(0)[0] if record.runtime == id]
    failed = next(record.id for record in records if record.kind == "failed")
    hangs = manager[id].snapshot().current.id
    page.goto(server.link("operator", str(Address("mailbox", id))))
    for address in (
        None,
        Address("events", id),
        Address("inject", id),
        *(Address("activity", str(n)) for n in (failed, hangs)),
    ):
        if address is not None:
            page.evaluate(
                f"() => {{ history.pushState({{}}, '', '/{address}'); window.dispatchEvent(new Event('popstate')) }}"
            )
        page.locator("header h2").first.wait_for()
        look_around(page)
        clean(page)


@pytest.mark.parametrize("name", ["fleet", "overview", "flow", "timeline", "dead_letters.view"])
def test_a_saved_view(manager: RuntimeManager, guard: Any, page: Page, name: str, tmp_path: Any) -> None:
    guard.allow("file:///")
    page.goto(attrgetter(name)(manager)().save(tmp_path / "view.html").as_uri())
    page.locator(".live > *, canvas, .react-flow").first.wait_for()
    look_around(page)
    clean(page)


def test_a_saved_view_of_a_runtime(manager: RuntimeManager, guard: Any, page: Page, tmp_path: Any) -> None:
    guard.allow("file:///")
    runtime = manager[INJECTIONS[7]]
    for make in (runtime.where_now, runtime.mailbox, runtime.events, runtime.inject, runtime.timeline):
        page.goto(make().save(tmp_path / "view.html").as_uri())
        page.locator(".live > *, canvas").first.wait_for(state="attached")
        look_around(page)
        clean(page)


def test_the_page_of_several_managers(manager: RuntimeManager, server: Any, page: Page) -> None:
    with serving(start(ManagersPage())) as both:
        page.goto(both.url)
        page.locator(".manager").first.wait_for()
        look_around(page)
        clean(page)


def test_the_pictures_that_are_shown_without_a_kernel(manager: RuntimeManager, page: Page) -> None:
    html = manager._repr_mimebundle_()[0]["text/html"]
    html += "".join(manager[id]._repr_mimebundle_()[0]["text/html"] for id in INJECTIONS if id in manager)
    page.set_content(html)
    page.evaluate(AROUND)
    clean(page)
