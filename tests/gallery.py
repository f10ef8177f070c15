"""The pictures of docs/gallery.md: `python -m tests.gallery` makes them, in a real browser.

Each view is exported as a file of its own, of the three towers in the evening of a day with a thunderstorm. Of each
there is a light picture and a dark one, `name.png` and `name-dark.png`: the site shows what goes with its theme.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops
from playwright.sync_api import Browser

import agentrt
from agentrt.demo import load_day, towers
from tests.harness.browser import chromium

FOLDER = Path(__file__).parents[1] / "docs" / "gallery"
WIDTH, LOWEST, HIGHEST, BELOW = 1000, 120, 760, 12  # pixels
COLOURS = 96
EVENING = "18:20"
OF_MANAGER = ("overview", "fleet", "timeline", "flow")
SCHEMES: dict[Literal["light", "dark"], str] = {"light": "", "dark": "-dark"}  # each with the end of its names
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


def draw(browser: Browser, file: Path, name: str, scheme: Literal["light", "dark"]) -> None:
    """The picture of an exported view."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HIGHEST}, color_scheme=scheme)
    page.goto(file.as_uri())
    page.wait_for_function("() => window.Bokeh?.documents.length && Bokeh.documents.every((doc) => doc.is_idle)")
    page.wait_for_timeout(1500)
    page.set_viewport_size({"width": WIDTH, "height": LOWEST})  # a page is never less high than its window
    page.wait_for_timeout(500)
    height = page.evaluate("() => document.documentElement.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": max(LOWEST, min(height, HIGHEST))})
    page.wait_for_timeout(500)
    save(page.screenshot(animations="disabled"), FOLDER / f"{name}{SCHEMES[scheme]}.png")
    page.close()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with evening() as manager, chromium() as browser, tempfile.TemporaryDirectory() as place:
        busiest = max(manager.runtimes(), key=lambda runtime: sum(runtime.depth))
        late = next(record for record in reversed(manager.source.frame().records) if record.kind == "done")
        views = [(busiest, name, name) for name in OF_RUNTIME]
        views += [(manager, name, f"all-{name}") for name in OF_MANAGER]
        views += [(manager, f"activity/{late.id}", "activity")]
        for of, view, name in views:
            of.export(Path(place) / f"{name}.html", view)  # all of them first: the day goes on while one is drawn
        for _, _, name in views:
            for scheme in SCHEMES:
                draw(browser, Path(place) / f"{name}.html", name, scheme)
            print(name, "done", flush=True)


if __name__ == "__main__":
    main()
