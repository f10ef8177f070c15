"""People who watch: `python -m benchmarks.visitors URL N` opens N pages in a real browser until its input ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .child import ROOT


@contextmanager
def visitors(url: str, n: int, *, elsewhere: bool = False) -> Iterator[None]:
    """`n` pages of a dashboard are open and drawn, or `elsewhere` only open, see `listeners`.

    Whoever it is runs in another process: its CPU is not counted here.
    """
    if not n:
        yield
        return
    who = "benchmarks.listeners" if elsewhere else "benchmarks.visitors"
    command = [sys.executable, "-m", who, url, str(n)]
    people = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert people.stdin is not None
    assert people.stdout is not None
    try:
        if people.stdout.readline().strip() != "here":
            raise RuntimeError(f"the visitors did not come: exit code {people.wait()}")
        yield
    finally:
        people.stdin.close()
        people.wait(60)


def main() -> None:
    from tests.harness.browser import chromium

    url, n = sys.argv[1], int(sys.argv[2])
    with chromium() as browser:
        context = browser.new_context()
        for _ in range(n):
            page = context.new_page()
            page.goto(url)
            page.locator(".say").first.wait_for(timeout=120_000)
        print("here", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
