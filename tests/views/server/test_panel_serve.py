"""`panel serve dashboard/app.py`, as the README has it, and what happens without the file that it names."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agentrt.views.role import Role
from tests.harness.client import Answer, ask, connect, session_token
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE, wait_until

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.search(r"`panel (serve [^`]*)`", README).group(1).split()

pytestmark = pytest.mark.slow


class Served:
    """The command in a process of its own, and what it has printed so far."""

    def __init__(self, arguments: list[str], place: Path, ready: str) -> None:
        self.printed = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "panel", *arguments, "--port", "0"],
            cwd=ROOT,
            env={**os.environ, "AGENTRT_RUNTIME_DIR": str(place)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        wait_until(lambda: re.search(ready, self.printed) or self.process.poll() is not None, what="it is served")
        self.port = int(re.search(r"http://localhost:(\d+)", self.printed).group(1))

    def _read(self) -> None:
        for line in self.process.stdout:
            self.printed += line

    def link(self, role: Role) -> str:
        """The path of a link, with its token."""
        link = urlsplit(re.search(rf"^{role}: (\S+)$", self.printed, re.MULTILINE).group(1))
        return f"{link.path}?{link.query}"

    def ask(self, path: str, **options: str) -> Answer:
        return ask(self.port, path, **options)

    def connect(self, cookie: str, session: str) -> int:
        return asyncio.run(connect(f"ws://127.0.0.1:{self.port}/app/ws", session, Cookie=cookie))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def served(place):
    with serving(Served(COMMAND, place, "viewer: http")) as served:
        yield served


def test_the_command_of_the_readme_asks_for_a_link(served):
    for path in ("/", "/app", "/app/metadata", "/app/autoload.js?bokeh-autoload-element=1"):
        assert served.ask(path).status in (401, 404)
        assert served.ask(path, Host="evil.example").status == 403
    assert served.ask("/app?token=wrong").status == 401
    assert served.ask("/app", method="POST").status == 405
    assert served.connect("", "x") == 401


def test_each_link_has_its_role(served):
    pages, cookies = {}, {}
    for role in Role:
        answer = served.ask(served.link(role))
        assert answer.status == 200
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        pages[role] = session_token(answer.text)
        cookies[role] = answer.getheader("Set-Cookie").split(";")[0]
        for each in Role:
            assert served.link(each).partition("=")[2] not in answer.text
    assert served.ask("/app?bokeh-session-id=x", Cookie=cookies[Role.VIEWER]).status == 403
    assert served.connect(cookies[Role.VIEWER], pages[Role.VIEWER]) == 101
    assert served.connect(cookies[Role.VIEWER], pages[Role.OPERATOR]) == 403
    assert served.connect(cookies[Role.OPERATOR], pages[Role.OPERATOR]) == 101


def test_its_log_has_no_token(served):
    links = {served.link(role).partition("=")[2] for role in Role}
    for token in links:
        served.ask(f"/app?token={token}", Host="evil.example")
        served.ask(f"/app/nothing?token={token}")
    lines = [line for line in served.printed.splitlines() if not line.startswith(tuple(f"{role}: " for role in Role))]
    assert not [line for line in lines if any(token in line for token in links)]


def test_its_links_stay_the_same(served, place):
    with serving(Served(COMMAND, place, "viewer: http")) as again:
        assert again.link(Role.OPERATOR) == served.link(Role.OPERATOR)


def test_without_the_file_nothing_is_shown(place):
    with serving(Served(COMMAND[:2], place, "Bokeh app running at")) as without:
        page = without.ask("/app").text
        assert "Three towers" not in page
        wait_until(lambda: "not served without access control" in without.printed, what="it says why")


@pytest.mark.browser
def test_a_viewer_looks_at_it(served, page):
    page.goto(f"http://localhost:{served.port}{served.link(Role.VIEWER)}")
    page.get_by_text("This link is for looking only").first.wait_for()
    page.locator("tbody tr").first.wait_for()
