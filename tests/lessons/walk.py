"""Go through lessons in a real JupyterLab: `python -m tests.lessons.walk 3 10 --themes dark` makes pictures to look at.

They are written to `.screenshots/lessons/`, a page of 1,500 pixels each. It says how long the cells ran, one after the
other, what failed in them, what axe finds serious in what they show, and how small the smallest text of that is.
"""

import argparse
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from agentrt.lessons import Lesson, lessons
from tests.harness.browser import chromium
from tests.harness.lab import CELLS, SETTINGS, Lab
from tests.harness.screenshot import FOLDER
from tests.harness.shown import serious, serving

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTH, PAGE, FRAME = 1100, 1500, 300  # pixels; the frame is what JupyterLab has around a notebook
LONGEST = 300.0  # seconds of one cell
END = f"Math.max(...{CELLS}.map(cell => cell.node.offsetTop + cell.node.offsetHeight))"
SHOWN = ".jp-OutputArea-output"
SMALLEST = """selector => {
  const sizes = new Map()
  const look = root => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) look(node.shadowRoot)
      const own = [...node.childNodes].some(each => each.nodeType === 3 && each.data.trim())
      if (own && node.checkVisibility()) {
        const size = parseFloat(getComputedStyle(node).fontSize)
        if (!sizes.has(size)) sizes.set(size, node.textContent.trim().slice(0, 40))
      }
    }
  }
  document.querySelectorAll(selector).forEach(look)
  const least = Math.min(...sizes.keys())
  return sizes.size ? `${least} px: ${sizes.get(least)}` : "none"
}"""
TO_TOP = "for (const box of document.querySelectorAll('.jp-Notebook, .jp-WindowedPanel-outer')) box.scrollTop = 0"


def walk(lab: Lab, browser: Browser, lesson: Lesson, theme: str) -> str:
    """Run it and save its pictures. Returns what there is to say."""
    page = browser.new_page(viewport={"width": WIDTH, "height": PAGE})
    notebook = lab.open(page, lesson.path)
    page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
    started, failed = time.monotonic(), []
    for index in notebook.code_cells():
        notebook.start(index)
        notebook.finish(index, LONGEST)
        failed += notebook.errors(index)
    took = time.monotonic() - started
    height = int(page.evaluate(END)) + FRAME
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.wait_for_timeout(2500)
    page.evaluate(TO_TOP)
    page.wait_for_timeout(500)
    for top in range(0, height, PAGE):
        clip = {"x": 0, "y": top, "width": WIDTH, "height": min(PAGE, height - top)}
        page.screenshot(path=FOLDER / "lessons" / f"{lesson.path.stem}-{theme}-{top // PAGE}.png", clip=clip)
    said = [f"smallest text {page.evaluate(SMALLEST, SHOWN)}", *failed, *serious(page, SHOWN)]
    page.close()
    lab.end_kernels()
    return f"{lesson.path.stem} {theme}: {took:.0f} s, " + "\n    ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lessons.walk")
    parser.add_argument("numbers", nargs="*", type=int)
    parser.add_argument("--themes", nargs="*", default=list(THEMES), choices=THEMES)
    options = parser.parse_args()
    wanted = [lesson for lesson in lessons() if not options.numbers or lesson.number in options.numbers]
    (FOLDER / "lessons").mkdir(parents=True, exist_ok=True)
    for theme in options.themes:
        SETTINGS["@jupyterlab/apputils-extension/themes"] = {"theme": THEMES[theme]}
        with tempfile.TemporaryDirectory() as place, serving(Lab(Path(place))) as lab, chromium() as browser:
            lab.wait()
            for lesson in wanted:
                print(walk(lab, browser, lesson, theme), flush=True)


if __name__ == "__main__":
    main()
