"""The harness holds what it promises: shown on a page, a notebook and a kernel of a few lines each."""

import ast
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.harness import browser
from tests.harness.guard import Guard, guarded, leaves
from tests.harness.kernel import Kernel, KernelDied
from tests.harness.lab import Lab
from tests.harness.screenshot import is_blank, shoot
from tests.harness.shown import serving
from tests.harness.wait import wait_until

TESTS = Path(__file__).parents[1]
PAGES = {
    "/": "<h1>Hello</h1><p style='background: teal'>there</p>",
    "/blank": "",
    "/console": "<script>console.error('something is wrong')</script>",
    "/raises": "<script>throw new Error('broken')</script>",
    "/outside": "<img src='http://example.com/spy.png'>",
    "/socket": "<script>new WebSocket('ws://example.com/feed')</script>",
    "/popup": "<a href='/console' target='_blank'>more</a>",
    "/missing-part": "<script src='/nowhere.js'></script>",
    "/loading": "<script async src='/never.js'></script>",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/never.js":
            self.server.asked.set()
            self.server.ended.wait()
            return
        body = PAGES.get(self.path)
        self.send_response(404 if body is None and self.path != "/favicon.ico" else 200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>t</title>{body or ''}".encode())

    def log_message(self, *args: object) -> None:
        """Quiet."""


class Site(http.server.ThreadingHTTPServer):
    """Serves `PAGES`; a script of one of them is not there before it stops."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving(Site()) as site:
        yield site.url


@pytest.mark.parametrize(
    ("url", "outside"),
    [
        ("http://127.0.0.1:5006/app", False),
        ("ws://localhost:5006/app/ws", False),
        ("http://[::1]:1/", False),
        ("data:image/png;base64,AA", False),
        ("blob:http://localhost/1", False),
        ("https://example.com/", True),
        ("http://127.0.0.1.example.com/", True),
        ("wss://example.com/feed", True),
    ],
)
def test_what_leaves_the_machine(url: str, outside: bool) -> None:
    assert leaves(url) is outside


def test_wait_until_says_what_it_waited_for() -> None:
    assert wait_until(lambda: "there") == "there"
    with pytest.raises(TimeoutError, match="the bus"):
        wait_until(lambda: 0, timeout=0.05, what="the bus")


def test_a_missing_browser_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(browser, "installed", lambda: None)
    assert browser.main([]) == 1
    assert capsys.readouterr().out.splitlines() == [browser.MISSING]


@pytest.mark.browser
def test_a_good_page_passes(page: Page, guard: Guard, site: str) -> None:
    page.goto(site)
    expect(page.get_by_role("heading", name="Hello")).to_be_visible()
    assert f"{site}/" in guard.requests
    assert not is_blank(shoot(page, "harness/hello"))


@pytest.mark.browser
def test_a_blank_page_is_seen_to_be_blank(page: Page, site: str) -> None:
    page.goto(f"{site}/blank")
    assert is_blank(shoot(page, "harness/blank"))


@pytest.mark.browser
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/console", "something is wrong"),
        ("/raises", "page error: .*broken"),
        ("/outside", "left this machine: http://example.com/spy.png"),
        ("/socket", "left this machine: ws://example.com/feed"),
        ("/missing-part", "404"),
    ],
)
def test_the_guard_fails(chromium: Browser, site: str, path: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message), guarded(chromium) as guard:
        guard.context.new_page().goto(site + path)


@pytest.mark.browser
def test_the_guard_watches_every_page_of_the_context(chromium: Browser, site: str) -> None:
    with guarded(chromium) as guard:
        page = guard.context.new_page()
        page.goto(f"{site}/popup")
        with guard.context.expect_page() as popup:
            page.get_by_text("more").click()
        popup.value.wait_for_load_state()
        with pytest.raises(AssertionError, match="something is wrong"):
            guard.check()
        guard.allow("something is wrong")


@pytest.mark.browser
def test_pages_leave_a_server_before_it_stops(page: Page, guard: Guard) -> None:
    with serving(Site()) as site:
        page.goto(f"{site.url}/loading", wait_until="commit")
        wait_until(site.asked.is_set, what="it loads a script")
    assert page.url == "about:blank"
    guard.check()


@pytest.mark.browser
def test_what_a_test_provokes_is_allowed_by_name(page: Page, guard: Guard, site: str) -> None:
    guard.allow("404.*nowhere.js")
    page.goto(f"{site}/missing-part")


@pytest.mark.browser
def test_pages_of_other_kinds(new_page: Callable[..., Page], site: str) -> None:
    page = new_page(color_scheme="dark", viewport={"width": 400, "height": 800})
    page.goto(site)
    assert page.evaluate("innerWidth") == 400
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


@pytest.mark.lab
def test_a_notebook_in_jupyterlab(jupyterlab: Lab, page: Page) -> None:
    cells = [
        "answer = 6 * 7\nanswer",
        "from IPython.display import HTML\nHTML('<button onclick=\"this.innerText = 42\">press</button>')",
        "1 / 0",
        "import threading\nprint('waiting')\nthreading.Event().wait()",
    ]
    notebook = jupyterlab.open(page, cells)
    assert len(notebook) == 4
    assert notebook.run(0) == "42"
    assert notebook.run(1) == "press"
    notebook.cell(1).get_by_role("button", name="press").click()
    notebook.wait_for_output(1, "^42$")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run(2)
    notebook.start(3)
    notebook.wait_for_output(3, "waiting")
    notebook.interrupt()
    notebook.finish(3)
    assert notebook.errors(3) == ["KeyboardInterrupt: "]
    assert notebook.run(0) == "42"
    shoot(page, "harness/jupyterlab")


@pytest.mark.lab
def test_run_all_runs_every_code_cell(jupyterlab: Lab, page: Page) -> None:
    notebook = jupyterlab.open(page, ["x = 1", "x += 1", "print('x is', x)"], name="three.ipynb")
    notebook.run_all()
    assert notebook.output(2) == "x is 2"


@pytest.mark.lab
def test_the_kernels_of_a_test_end_with_it(jupyterlab: Lab, page: Page) -> None:
    notebook = jupyterlab.open(page, ["import os\nos.getpid()"], name="pid.ipynb")
    pid = int(notebook.run(0))
    page.close()
    jupyterlab.end_kernels()
    wait_until(lambda: not psutil.pid_exists(pid), what="it has ended")


@pytest.mark.lab
def test_jupyterlab_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.wait()
    lab.stop()
    assert not psutil.pid_exists(lab.process.pid)


@pytest.mark.kernel
def test_a_kernel_answers(kernel: Kernel) -> None:
    assert kernel.alive()
    assert kernel.run("print('hello')\n[1, 2]").text == "hello\n[1, 2]"
    assert kernel.run("import agentrt").error is None


@pytest.mark.kernel
def test_an_error_is_in_the_answer(kernel: Kernel) -> None:
    answer = kernel.run("1 / 0")
    assert answer.error == "ZeroDivisionError: division by zero"
    assert "1 / 0" in answer.traceback
    assert kernel.alive()


@pytest.mark.kernel
def test_the_stop_button(kernel: Kernel) -> None:
    answer = kernel.start("print('going')\nwhile True: pass")
    kernel.until(answer, "going")
    kernel.interrupt()
    assert kernel.finish(answer).error == "KeyboardInterrupt: "
    assert kernel.alive()


@pytest.mark.kernel
def test_a_restart_forgets(kernel: Kernel) -> None:
    kernel.run("x = 1")
    kernel.restart()
    assert kernel.run("x").error == "NameError: name 'x' is not defined"


@pytest.mark.kernel
def test_a_dead_kernel_is_noticed(kernel: Kernel) -> None:
    with pytest.raises(KernelDied):
        kernel.run("import os\nos._exit(1)")


@pytest.mark.kernel
def test_a_kernel_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    pid = kernel.pid
    kernel.stop()
    assert not psutil.pid_exists(pid)


def functions_that_stop_a_server(code: str) -> list[str]:
    """The functions that use a page, or give the link of one, and stop its server while pages may still show it."""
    found = []
    for function in ast.walk(ast.parse(code)):
        if not isinstance(function, ast.FunctionDef):
            continue
        text = ast.unparse(function)
        gives = any(isinstance(node, ast.Yield) and "server" in ast.unparse(node) for node in ast.walk(function))
        opens = gives or any(argument.arg == "page" for argument in function.args.args)
        if opens and "server.stop()" in text and "allow_loss()" not in text and "leave_pages()" not in text:
            found.append(function.name)
    return found


def test_no_server_ends_while_a_page_shows_it() -> None:
    # What a page sends to a server that has just ended is an error in its console: now and then, on a busy machine.
    assert functions_that_stop_a_server("def test_it(page):\n    server = serve()\n    server.stop()\n") == ["test_it"]
    assert functions_that_stop_a_server("def link():\n    yield server.url\n    server.stop()\n") == ["link"]
    assert (
        functions_that_stop_a_server("def test_it(page):\n    with serving(serve()) as server:\n        pass\n") == []
    )
    found = {
        str(file.relative_to(TESTS)): names
        for file in sorted(TESTS.rglob("test_*.py"))
        if (names := functions_that_stop_a_server(file.read_text(encoding="utf-8")))
    }
    assert found == {}, "end it with `tests.harness.shown.serving`"
