"""Pictures of every view, to look at: `python -m tests.screenshots` writes them to `.screenshots/views/`.

A scene is a manager in some condition: empty, calm, busy, failing, ended, many. Each is shown light and dark, 1440,
1024 and 400 pixels wide, page by page. `python -m tests.screenshots busy failing --pages flow timeline --widths 400
--themes dark` makes only these.
"""

import argparse
import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from playwright.sync_api import Browser, Page

import agentrt
from agentrt.demo import load_day, towers
from agentrt.views.app.address import OF_RUNTIME, TABS, Address
from agentrt.views.server.server import Server, serve
from tests.harness.browser import chromium

FOLDER = Path(__file__).parents[1] / ".screenshots" / "views"
THEMES = {"light": "default", "dark": "dark"}
WIDTHS = {1440: 1500, 1024: 1300, 400: 1400}
# What is there once a page is drawn.
SIGNS = {"": "input[placeholder='search runtimes']:visible", "timeline": "canvas", "activity": "h2"}
SIGNS |= dict.fromkeys(OF_RUNTIME, "header h2")
HEAD = 64  # pixels above what a page scrolls
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class Book(msgspec.Struct, frozen=True):
    """The state of the scenes' runtimes."""

    orders: int = 0
    last: str = ""
    note: str = ""


async def work(activity, book, ctx):
    """Takes as long as it is told, and fails where it is told to."""
    await ctx.sleep(activity.payload.get("takes", 0.1))
    if activity.payload.get("fails"):
        raise ValueError(f"order {activity.payload['order']} has no address")
    return Book(book.orders + 1, f"order {activity.payload['order']}", book.note)


def empty(manager):
    return None


def calm(manager):
    for name in ("counter", "mailer", "indexer"):
        manager.create(name, Book(), work)
    for n in range(5):
        manager.run(manager["mailer"].ask({"order": n, "takes": 0.01}))
    return "mailer"


def busy(manager):
    day = load_day()
    tower = towers(manager, day, speed=900)
    tower.start()
    manager.run(asyncio.sleep(25))
    manager.speed = 60
    return "LGA"


def failing(manager):
    for name in ("orders", "mailer", HOSTILE):
        manager.create(name, Book(note=HOSTILE), work, supervision="stop", standard_capacity=40)
    for n in range(12):
        manager["orders"].send_nowait({"order": n, "takes": 0.05, "fails": True})
    for n in range(38):
        manager["mailer"].send_nowait({"order": n, "takes": 1.7})
        manager[HOSTILE].send_nowait({"order": HOSTILE, "takes": 0.01, "fails": n == 30})
    manager.run(asyncio.sleep(2))
    return "orders"


async def land(activity, book, ctx):
    """Has steps, to stop at."""
    flight = activity.payload
    with ctx.step("descend"):
        height = flight["height"]
        with ctx.step("flaps"):
            await ctx.sleep(0.01)
        with ctx.step("gear"):
            height -= 500
    with ctx.step("park"):
        await ctx.sleep(0.01)
    return Book(book.orders + 1, flight["flight"], f"came down from {height} m")


def stopped(manager):
    runtime = manager.create("JFK", Book(), land)
    for n in range(4):
        manager.run(runtime.ask({"flight": f"UA{n}", "height": 900}))
    runtime.breakpoints.add(step="gear", when="height > 3000")
    runtime.breakpoints.add(error=True)
    for n in range(3):
        runtime.send_nowait({"flight": f"DL{n}", "height": 3400})
    while runtime.breakpoints.stop is None:
        manager.run(asyncio.sleep(0.01))
    return "JFK"


def ended(manager):
    runtime = manager.create("orders", Book(), work)
    for n in range(30):
        runtime.send_nowait({"order": n, "takes": 0.05}, priority=n % 3 == 0)
    manager.run(asyncio.sleep(1))
    manager.run(runtime.terminate())
    return "orders"


def many(manager):
    for n in range(10_000):
        manager.create(f"agent-{n:05}", Book(), work)
    for n in range(0, 10_000, 37):
        manager[f"agent-{n:05}"].send_nowait({"order": n, "takes": 0.2 + n % 7, "fails": n % 5 == 0})
    return "agent-00037"


SCENES: dict[str, Callable] = {f.__name__: f for f in (empty, calm, busy, failing, stopped, ended, many)}


@contextmanager
def scene(name: str) -> Iterator[tuple[Server, str | None]]:
    """The server of a scene, and the runtime to show."""
    clock = load_day().clock() if name == "busy" else None
    with agentrt.RuntimeManager(name=name.capitalize(), loop="thread", clock=clock) as manager:
        shown = SCENES[name](manager)
        note = load_day().note if name == "busy" else ""
        server = serve(manager, note=note, evaluator=name == "stopped")
        try:
            yield server, shown
        finally:
            server.stop()


def pages(source, shown: str | None) -> dict[str, Address]:
    """The pages of a scene: those of all runtimes, those of the one to show, and its last activity."""
    found = {"first": Address(), **{name: Address(name) for name in ("timeline", "flow", "dead-letters")}}
    if shown is not None:
        # One that has ended has a tab for its events only.
        found |= {
            page: Address(page, shown) for page in (OF_RUNTIME if shown in source.runtimes else ("runtime", "events"))
        }
        records = source.frame().records
        ended = [record.id for record in records if record.runtime == shown and hasattr(record, "fate")]
        found |= {"activity": Address("activity", str(ended[-1]))} if ended else {}
    return found


def moments(source, shown: str | None) -> dict[str, Address]:
    """The same pages as they were in the middle of what is recorded."""
    records = source.frame().records
    if not records:
        return {}
    middle = records[len(records) // 2].sequence
    found = pages(source, shown)
    return {f"{name}-then": at._replace(moment=middle) for name, at in found.items() if name != "activity"}


def open_page(page: Page, address: Address) -> None:
    """Go there as a person does who is on the dashboard already."""
    page.evaluate("(path) => { history.pushState({}, '', path); dispatchEvent(new Event('popstate')) }", f"/{address}")
    if address.moment is not None:
        page.get_by_text("As it was at").wait_for()
    page.wait_for_function("(of) => document.title.includes(of)", arg=address.of or address.page)
    if address.page in TABS:
        page.get_by_role("tab", name=TABS[address.page], selected=True).wait_for()
    if address.page in SIGNS:
        page.locator(SIGNS[address.page]).filter(has_text=address.of).first.wait_for()
    page.wait_for_timeout(2500)
    page.wait_for_function("() => !window.Bokeh?.documents.some((doc) => !doc.is_idle)")
    assert page.title() != "owned"


def unfold(page: Page, width: int) -> None:
    """Make the window as high as the page: what it scrolls is in a box of its own, which no picture shows whole."""
    height = page.locator(".main-content").evaluate("(box) => box.scrollHeight")
    if height > page.viewport_size["height"] - HEAD:
        page.set_viewport_size({"width": width, "height": height + HEAD})
        page.wait_for_timeout(600)


def shoot(browser: Browser, server, shown: str | None, name: str, options: argparse.Namespace) -> None:
    source = server.content.source
    addresses = pages(source, shown) | moments(source, shown)
    for theme, width in itertools.product(options.themes, options.widths):
        page = browser.new_page(viewport={"width": width, "height": WIDTHS[width]})
        page.goto(server.url + f"&theme={THEMES[theme]}")
        page.locator(".say").first.wait_for()
        page.wait_for_function("() => !window.Bokeh?.documents.some((doc) => !doc.is_idle)")
        for kind in options.pages or addresses:
            if kind in addresses:
                open_page(page, addresses[kind])
                picture = FOLDER / f"{name}-{kind}-{theme}-{width}.png"
                unfold(page, width)
                page.screenshot(path=picture, animations="disabled")
                page.set_viewport_size({"width": width, "height": WIDTHS[width]})
        page.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots")
    parser.add_argument("scenes", nargs="*", default=list(SCENES), choices=[*SCENES, []])
    parser.add_argument("--pages", nargs="*", default=[])
    parser.add_argument("--themes", nargs="*", default=list(THEMES), choices=THEMES)
    parser.add_argument("--widths", nargs="*", type=int, default=list(WIDTHS), choices=WIDTHS)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name in options.scenes:
            with scene(name) as (server, shown):
                shoot(browser, server, shown, name, options)
            print(name, "done", flush=True)


if __name__ == "__main__":
    main()
