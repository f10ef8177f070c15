"""`agentrt demo` as a person starts it: one command, and the day is on the page."""

import re
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.harness.guard import leave_pages
from tests.harness.wait import PATIENCE, wait_until

LINK = re.compile(r"https?://\S+")


@pytest.fixture
def demo() -> Iterator[tuple[str, psutil.Process]]:
    """The link that the command prints, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agentrt", "demo", "--no-browser", "--speed", "2000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if found := LINK.search(line):
            break
    else:
        pytest.fail("no link was printed: " + "".join(said))
    yield found.group(), psutil.Process(process.pid)
    leave_pages()
    process.terminate()
    process.wait(PATIENCE)
    process.stdout.close()


@pytest.mark.browser
def test_the_page_is_up_within_ten_seconds_and_the_towers_move(demo, page):
    link, process = demo
    page.goto(link)
    for tower in ("EWR", "JFK", "LGA"):
        page.get_by_text(tower, exact=True).first.wait_for()
    # Ten seconds of work, not of waiting: what a busy machine adds is not ours.
    spent = [each.cpu_times() for each in (process, *process.children())]
    assert sum(each.user + each.system for each in spent) < 10
    done = page.get_by_text(re.compile(r"\b[\d,]+ so far$"))
    before = done.inner_text()
    wait_until(lambda: done.inner_text() != before, what="the count of flights goes on")
