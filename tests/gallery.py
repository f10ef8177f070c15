"""The pictures of docs/gallery.md and of the README: `python -m tests.gallery` makes them, in a real browser.

They show the three towers in the evening of a day with a thunderstorm: the dashboard, as it is served, and each view,
exported as a file of its own. Of each there is a light picture and a dark one, `name.png` and `name-dark.png`: the site
shows what goes with its theme. `python -m tests.gallery dashboard mailbox` makes only these.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page, ViewportSize

import agentrt
from agentrt.demo import load_day, towers
from agentrt.views.server.server import serve
from tests.harness.browser import chromium
from tests.harness.shown import IDLE, serving

DASHBOARD = "dashboard"
FOLDER = Path(__file__).parents[1] / "docs" / "gallery"
WIDTH, LOWEST, HIGHEST, BELOW = 1000, 120, 760, 12  # pixels
WINDOW: ViewportSize = {"width": 1440, "height": 1080}  # of the dashboard
COLOURS = 96
EVENING = "18:20"
OF_MANAGER = ("overview", "fleet", "timeline", "flow")
Scheme = Literal["light", "dark"]
SCHEMES: dict[Scheme, str] = {"light": "", "dark": "-dark"}  # each with the end of its names
THEMES: dict[Scheme, str] = {"light": "default", "dark": "dark"}
OF_RUNTIME = ("mailbox", "where", "waits", "theory", "inject", "events")


@contextmanager
def evening() -> Iterator[agentrt.RuntimeManager]:
    """The three towers."""
    day = load_day()
    with agentrt.RuntimeManager(name="Three towers", loop="thread", clock=day.clock()) as manager:
        airports = towers(manager, day, speed=5_000)
        airports.start()
        manager.run(airports.until(EVENING))
        manager.speed = 60  # what is drawn is the last hour, and not the last minute
        yield manager


def save(picture: bytes, path: Path) -> None:
    """Write a picture with few colours: a tenth of the bytes, and nobody sees it."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    ground = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    drawn = ImageChops.difference(image, ground).getbbox() or (0, 0, 0, image.height)
    image = image.crop((0, 0, image.width, min(drawn[3] + BELOW, image.height, HIGHEST)))
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def settle(page: Page) -> None:
    """Wait until all is drawn, and has faded in."""
    page.wait_for_function(IDLE)
    page.wait_for_timeout(1500)


def draw(browser: Browser, file: Path, name: str, scheme: Scheme) -> None:
    """The picture of an exported view."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HIGHEST}, color_scheme=scheme)
    page.goto(file.as_uri())
    settle(page)
    page.set_viewport_size({"width": WIDTH, "height": LOWEST})  # a page is never less high than its window
    page.wait_for_timeout(500)
    height = page.evaluate("() => document.documentElement.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": max(LOWEST, min(height, HIGHEST))})
    page.wait_for_timeout(500)
    save(page.screenshot(animations="disabled"), FOLDER / f"{name}{SCHEMES[scheme]}.png")
    page.close()


def draw_dashboard(browser: Browser, address: str) -> None:
    """Both pictures of the first page, of about the same moment, for the README."""
    pages = {scheme: browser.new_page(viewport=WINDOW) for scheme in SCHEMES}
    for scheme, page in pages.items():
        page.goto(f"{address}&theme={THEMES[scheme]}")
        page.locator(".react-flow__edge-textwrapper").first.wait_for()
    for page in pages.values():
        settle(page)
    for scheme, page in pages.items():
        picture = Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
        path = FOLDER.parent / f"{DASHBOARD}{SCHEMES[scheme]}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        page.close()


def views_of(manager: agentrt.RuntimeManager) -> Iterator[tuple[agentrt.Runtime | agentrt.RuntimeManager, str, str]]:
    """Each view of the gallery: of what, which one, and the name of its picture."""
    busiest = max(manager.runtimes(), key=lambda runtime: sum(runtime.depth))
    late = next(record for record in reversed(manager.source.frame().records) if record.kind == "done")
    yield from ((busiest, name, name) for name in OF_RUNTIME)
    yield from ((manager, name, f"all-{name}") for name in OF_MANAGER)
    yield manager, f"activity/{late.id}", "activity"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.gallery")
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    FOLDER.mkdir(exist_ok=True)
    with evening() as manager, chromium() as browser, tempfile.TemporaryDirectory() as place:
        views = [view for view in views_of(manager) if not names or view[2] in names]
        for of, view, name in views:
            of.export(Path(place) / f"{name}.html", view)  # all of them first: the day goes on while one is drawn
        if not names or DASHBOARD in names:
            with serving(serve(manager)) as server:
                draw_dashboard(browser, server.url)
        for _, _, name in views:
            for scheme in SCHEMES:
                draw(browser, Path(place) / f"{name}.html", name, scheme)
            print(name, "done", flush=True)


if __name__ == "__main__":
    main()
