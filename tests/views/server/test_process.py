"""The dashboard in a process of its own: seen in a real browser, killed, and left behind by its manager."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from agentrt import RuntimeManager, discovery
from agentrt.errors import ConfigurationError
from agentrt.views.server.process import ServerProcess
from tests.harness.guard import Guard, leave_pages
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE, wait_until, within
from tests.support import add

pytestmark = pytest.mark.slow  # each process loads Panel

PROGRAM = """
import os, sys, agentrt
manager = agentrt.RuntimeManager(loop="thread", name=sys.argv[1])
runtime = manager.create(sys.argv[2], 0, lambda activity, state: state + activity.payload)
runtime.send_nowait(1).result(60)
if sys.argv[3] == "serve":
    server = manager.serve(process=True, note="from a program")
    print(server.pid, server.url, flush=True)
else:
    print("ready", flush=True)
assert not {"panel", "bokeh"} & set(sys.modules)
sys.stdin.read()
"""


def run_program(name: str, id: str, how: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-c", PROGRAM, name, id, how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(PATIENCE)
    process.stdin.close()
    process.stdout.close()


@pytest.mark.browser
def test_the_page_outlives_its_manager_and_comes_back(page: Page, guard: Guard) -> None:
    first, said = run_program("lasting", "one", "serve")
    pid, url = said.split()
    second = None
    try:
        page.goto(url)
        expect(page.get_by_text("The runtime is fine.")).to_be_visible()
        expect(page.get_by_text("from a program")).to_be_visible()
        first.kill()
        killed = time.monotonic()
        expect(page.get_by_role("alert").filter(has_text="there is no answer")).to_be_visible()
        assert time.monotonic() - killed < within(2)
        expect(page.get_by_text("The runtime is fine.")).to_be_visible()  # the last picture
        page.goto(f"{url.partition('?')[0]}runtime/one")  # and pages that are opened now
        expect(page.get_by_role("alert").filter(has_text="there is no answer")).to_be_visible()
        expect(page.get_by_role("heading", name="State")).to_be_visible()
        page.go_back()
        expect(page.get_by_text("The runtime is fine.")).to_be_visible()
        second, said = run_program("lasting", "two", "wait")
        came = time.monotonic()
        expect(page.get_by_role("alert").filter(has_text="there is no answer")).to_have_count(0)
        expect(page.get_by_text("two").first).to_be_visible()
        assert time.monotonic() - came < within(2)
        expect(page.get_by_text("one", exact=True)).to_have_count(0)
    finally:
        leave_pages()
        for each in filter(None, (first, second)):
            end(each)
        os.kill(int(pid), signal.SIGTERM)


@pytest.mark.browser
def test_kill_of_the_dashboard_is_not_noticed_by_the_agents(page: Page, guard: Guard) -> None:
    guard.allow_loss()
    with RuntimeManager(loop="thread", name="steady") as manager:
        runtime = manager.create("a", 0, add)
        server = manager.serve(process=True)
        page.goto(server.url)
        expect(page.get_by_text("The runtime is fine.")).to_be_visible()
        page.get_by_role("button", name="Pause all").click()
        wait_until(lambda: runtime.paused)
        [paused] = [each for each in manager.source.frame().records if each.kind == "paused"]
        assert paused.who == "operator (page)"
        page.get_by_role("button", name="Resume all").click()
        wait_until(lambda: not runtime.paused)
        page.evaluate("window.isOld = true")
        os.kill(server.pid, signal.SIGKILL)
        for n in range(1, 200):
            assert runtime.send_nowait(1).result(PATIENCE).state == n
        wait_until(lambda: not server.running)
        wait_until(lambda: not manager._offer.readers)
        with serving(manager.serve(process=True)) as again:
            assert again.pid != server.pid
            assert again.port == server.port  # so that pages that were open connect again
            page.wait_for_function("!window.isOld")
            expect(page.get_by_text("The runtime is fine.")).to_be_visible()


@pytest.fixture(scope="module")
def served():
    with RuntimeManager(loop="thread", name="aside") as manager:
        manager.create("a", 0, add)
        with serving(manager.serve(process=True, title="Aside <b>")) as server:
            yield manager, server
        assert not server.running


def test_there_is_one_dashboard_for_a_manager(served):
    manager, server = served
    assert manager.serve(process=True).pid == server.pid
    command = [sys.executable, "-m", "agentrt", "watch", "aside", "--no-browser"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert found.returncode == 0
    assert f"aside has a dashboard already, in process {server.pid}:" in found.stdout
    assert server.url in found.stdout


def test_it_is_listed_and_answers(served):
    manager, server = served
    [record] = [each for each in discovery.list_servers() if each.name == "aside"]
    assert (record.pid, record.watches, record.url) == (server.pid, os.getpid(), server.url)
    with urllib.request.urlopen(server.url) as answer:
        assert "Aside &lt;b&gt;" in answer.read().decode()
    assert repr(server) == f"<ServerProcess of 'aside', process {server.pid}: {server.url}>"
    assert server.view_url in server._repr_html_()
    assert manager.server.pid == server.pid


def test_it_stays_when_the_manager_is_closed():
    with RuntimeManager(loop="thread", name="leaving") as manager:
        server = manager.serve(process=True)
    assert server.running
    found = ServerProcess(server.record)  # as a program that is started again finds it
    found.stop()
    wait_until(lambda: not server.running)
    server.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wings": 2}, "unknown option 'wings'; there are port, address"),
        ({"auth": False}, "never served without a token"),
        ({"address": "0.0.0.0"}, "can be reached from other machines"),
        ({"port": 70_000}, "a port: 0 for any that is free"),
    ],
    ids=str,
)
def test_what_can_not_be_served_is_said(options, words):
    with RuntimeManager(loop="thread", name="wrong") as manager, pytest.raises(ConfigurationError, match=words):
        manager.serve(process=True, **options)


def test_a_manager_that_is_not_offered_is_not_served_elsewhere():
    with (
        RuntimeManager(loop="thread", name="private", offer=False) as manager,
        pytest.raises(ConfigurationError, match="not offered to other processes; make it with offer=True"),
    ):
        manager.serve(process=True)


def test_what_the_program_serves_besides_is_asked_of_it_each_time():
    asked = iter(range(100))
    pages = {"/figures": lambda accept: ("text/plain", f"{accept}: {next(asked)}".encode())}
    with RuntimeManager(loop="thread", name="figures") as manager:
        server = manager.serve(process=True, answers=pages)
        with serving(server):
            found = [fetch(server, "/figures") for _ in range(2)]
            manager.close()
            assert fetch(server, "/figures") == (503, "")
    assert found == [(200, "text/x: 0"), (200, "text/x: 1")]


def fetch(server: ServerProcess, path: str) -> tuple[int, str]:
    """The answer to a program that has the viewer's token."""
    token = parse_qs(urlsplit(server.view_url).query)["token"][0]
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/x"}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
