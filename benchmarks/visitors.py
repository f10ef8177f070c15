"""Visitors of a dashboard: `python -m benchmarks.visitors URL N` opens N pages in a browser until its input ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .child import ROOT
from .niceness import make_nice

# Counts how often something that is shown changes, in frames of at least 50 ms.
FRAMES = """() => {
  window.frames_seen = 0
  let last = 0
  const watch = (root) => {
    new MutationObserver(() => {
      const now = performance.now()
      if (now - last > 50) { window.frames_seen += 1; last = now }
    }).observe(root, {subtree: true, childList: true, characterData: true, attributes: true})
    for (const node of root.querySelectorAll("*")) if (node.shadowRoot) watch(node.shadowRoot)
  }
  watch(document)
}"""


@contextmanager
def visitors(url: str, n: int, *, elsewhere: bool = False, niceness: int = 0) -> Iterator[None]:
    """Keep `n` pages of a dashboard open: drawn by a browser, or with `elsewhere` only received, see `listeners`.

    Both run in another process: its CPU time is not counted here.
    """
    if not n:
        yield
        return
    module = "benchmarks.listeners" if elsewhere else "benchmarks.visitors"
    command = [sys.executable, "-m", module, url, str(n)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the pages did not open: exit code {process.wait()}")
        if niceness:  # only now: on a busy machine the pages would never open
            make_nice(process.pid, niceness)
        yield
    finally:
        make_nice(process.pid, 0)
        process.stdin.close()
        process.wait(60)


def main() -> None:
    from tests.harness.browser import chromium

    url, n = sys.argv[1], int(sys.argv[2])
    with chromium() as browser:
        context = browser.new_context()
        for _ in range(n):
            page = context.new_page()
            page.goto(url)
            page.locator(".say").first.wait_for(timeout=120_000)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
