"""A page that is reached from elsewhere: through a tunnel, the real jupyter-server-proxy, a real nginx."""

import asyncio
import re
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page
from tornado.httputil import HTTPHeaders

from agentrt import RuntimeManager
from agentrt.errors import ConfigurationError
from agentrt.views.role import Role
from agentrt.views.server.auth import Way
from agentrt.views.server.proxies import read_way
from agentrt.views.server.server import serve
from tests.harness import nginx
from tests.harness.client import ask, connect, session_token
from tests.harness.guard import Guard
from tests.harness.lab import Lab
from tests.harness.nginx import Nginx
from tests.harness.place import free_port, jupyter_environment
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE, wait_until

PROXY = "127.0.0.1"


@pytest.fixture(scope="module")
def manager():
    with RuntimeManager(loop="thread", name="proxied") as manager:
        manager.create("a b", 0, lambda activity, state: state + activity.payload)
        yield manager


@pytest.fixture
def server(manager):
    with serving(serve(manager, hosts=["hub.example.org"], proxies=[PROXY])) as server:
        yield server


FORWARDED = {
    "Host": "127.0.0.1:5006",
    "X-Forwarded-For": "192.0.2.9, 192.0.2.1, 127.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "my.host",
    "X-Forwarded-Prefix": "/agents",
}


def test_the_headers_of_a_proxy_are_read_from_whom_it_was_told_to_believe():
    assert read_way(HTTPHeaders(FORWARDED), PROXY, {PROXY}) == Way("my.host", "/agents/", True, "192.0.2.1")
    assert read_way(HTTPHeaders(FORWARDED), "192.0.2.7", {PROXY}) == Way("127.0.0.1:5006", "/", False, "192.0.2.7")
    assert read_way(HTTPHeaders(FORWARDED), PROXY, set()) == Way("127.0.0.1:5006", "/", False, PROXY)


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "agents", "/a;Domain=evil.example", "/a/../b?c", "/a b", "https://x/"]
)
def test_a_prefix_is_a_path_or_nothing(prefix):
    headers = HTTPHeaders({"Host": "x", "X-Forwarded-Prefix": prefix})
    assert read_way(headers, PROXY, {PROXY}).path == "/"


def test_a_host_and_a_proxy_that_are_none_are_refused(manager):
    for wrong in ("https://hub.example.org", "a b", "", "hub/x"):
        with pytest.raises(ConfigurationError, match="no host name"):
            serve(manager, hosts=[wrong])
    with pytest.raises(ConfigurationError, match="no IP address"):
        serve(manager, proxies=["localhost"])


def test_the_name_that_jupyterhub_says_is_known(manager, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_URL", "https://hub.example.net:8443/user/ada/")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    with serving(serve(manager)) as server:
        token = server.auth.tokens[Role.VIEWER]
        answer = ask(server.port, f"/?token={token}", Host="hub.example.net:8443")
        assert answer.status == 200
        assert f"Path=/user/ada/proxy/{server.port}/;" in answer.getheader("Set-Cookie")
        assert "Path=/;" in ask(server.port, f"/?token={token}").getheader("Set-Cookie")
        assert ask(server.port, f"/?token={token}", Host="hub.example.org").status == 403


def look_around(page, front: str, token: str) -> None:
    """Open the first page, go to a runtime, reload it there, and go back: everything below this front."""
    outside: list[str] = []
    own = front.partition("://")[2]
    page.on(
        "request", lambda request: None if own in request.url or "blob:" in request.url else outside.append(request.url)
    )
    page.on("websocket", lambda opened: None if own in opened.url else outside.append(opened.url))
    page.goto(f"{front}?token={token}")
    page.get_by_text("The runtime is fine.").wait_for()
    page.get_by_role("button", name="a b").first.click()
    page.locator("header .chip", has_text="idle").wait_for()
    assert page.url == f"{front}runtime/a%20b"
    page.reload()
    page.locator("header .chip", has_text="idle").wait_for()
    assert page.url == f"{front}runtime/a%20b"
    link = page.get_by_role("link", name="Flow")
    assert link.evaluate("(link) => link.href") == f"{front}flow"
    link.click()
    page.locator("nav a[aria-current]", has_text="Flow").wait_for()
    assert page.url == f"{front}flow"
    health = page.evaluate("(front) => fetch(front + 'health').then((answer) => answer.status)", front)
    assert health == 200
    assert outside == []


# ---- ssh -L: a port of its own


class Tunnel:
    """What `ssh -L` is for a browser: another port whose connections come out at the server's."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.thread.start()
        self.ready.wait(PATIENCE)

    async def _serve(self) -> None:
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._join, "127.0.0.1", 0) as listener:
            self.port = listener.sockets[0].getsockname()[1]
            self.ready.set()
            await self.end.wait()

    async def _join(self, reader, writer) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.to)
        await asyncio.gather(_pour(reader, inner_writer), _pour(inner_reader, writer))

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(PATIENCE)


async def _pour(reader, writer) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
def tunnel(server):
    with serving(Tunnel(server.port)) as tunnel:
        yield tunnel


def test_a_tunnel_brings_no_foreign_name(server, tunnel):
    token = server.auth.tokens[Role.VIEWER]
    assert ask(tunnel.port, f"/?token={token}").status == 200
    assert ask(tunnel.port, f"/?token={token}", Host=f"evil.example:{tunnel.port}").status == 403
    assert ask(tunnel.port, "/").status == 401


@pytest.mark.browser
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_page_works_through_a_tunnel(server, tunnel, page, name):
    look_around(page, f"http://{name}:{tunnel.port}/", server.auth.tokens[Role.VIEWER])


# ---- jupyter-server-proxy


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """A Jupyter server as JupyterHub starts it: below a path. Its address."""
    folder = tmp_path_factory.mktemp("jupyter")
    port = free_port()
    options = ["--ServerApp.base_url=/user/ada/", "--IdentityProvider.token=", "--ServerApp.password=", "--no-browser"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", *options, f"--port={port}", "--ip=127.0.0.1", "--allow-root"],
        env=jupyter_environment(folder),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: _answers(port, "/user/ada/api/status"), what="Jupyter answers")
    yield f"http://localhost:{port}/user/ada/"
    process.terminate()
    process.wait(PATIENCE)


def _answers(port: int, path: str) -> bool:
    try:
        return ask(port, path).status == 200
    except OSError:
        return False


@pytest.mark.lab
def test_a_page_works_through_jupyter_server_proxy(server, jupyter, page):
    look_around(page, f"{jupyter}proxy/{server.port}/", server.auth.tokens[Role.OPERATOR])
    (cookie,) = [each for each in page.context.cookies() if each["name"] == server.auth.cookie]
    assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"]) == (
        f"/user/ada/proxy/{server.port}/",
        True,
        "Strict",
    )


@pytest.mark.lab
def test_jupyter_server_proxy_brings_no_foreign_name(server, jupyter):
    port = int(re.search(r":(\d+)/", jupyter).group(1))
    path = f"/user/ada/proxy/{server.port}/?token={server.auth.tokens[Role.VIEWER]}"
    # Jupyter itself asks for the name too: it is told to let any pass, as it is behind JupyterHub.
    assert ask(port, path).status == 200
    assert ask(port, path, Host="evil.example").status == 403


# ---- the links in a cell of JupyterLab

CELLS = [
    "import agentrt\n"
    "async def add(activity, state):\n"
    "    return state + activity.payload\n"
    "manager = agentrt.RuntimeManager(name='in a notebook')\n"
    "runtime = manager.create('sum', 0, add)\n"
    "server = manager.serve()",
    "server",
    "runtime",
    "print(server.port)",
]


def proxied(lab: Lab, port: str, path: str = "") -> str:
    """The start of a link that leads through the proxy of this JupyterLab."""
    return f"{lab.url}/proxy/{port}/{path}?token="


@pytest.mark.lab
def test_the_links_in_a_cell_lead_through_the_proxy_of_jupyterlab(jupyterlab: Lab, page: Page):
    notebook = jupyterlab.open(page, CELLS, name="links.ipynb")
    for index in range(len(CELLS)):
        notebook.run(index)
    port = notebook.output(3).strip()
    for index, words, path in ((1, "open the dashboard", ""), (1, "view only", ""), (2, "page", "runtime/sum")):
        link = notebook.cell(index).get_by_role("link", name=words)
        wait_until(
            lambda link=link, path=path: link.evaluate("(a) => a.href").startswith(proxied(jupyterlab, port, path)), 20
        )
        with page.context.expect_page() as opened:
            link.click()
        opened.value.get_by_text("idle").first.wait_for()
        assert opened.value.url == proxied(jupyterlab, port, path or "").partition("?")[0]
        opened.value.close()
    assert "serve(hosts" not in notebook.output(1)


@pytest.mark.lab
def test_a_cell_says_what_to_do_where_the_name_is_not_known(jupyterlab: Lab, page: Page, guard: Guard):
    guard.allow("403")
    page.route("**/proxy/*/health", lambda route: route.fulfill(status=403))
    notebook = jupyterlab.open(page, CELLS, name="hint.ipynb")
    for index in range(2):
        notebook.run(index)
    notebook.wait_for_output(1, r'manager.serve\(hosts=\["127.0.0.1"\]\)')
    port = urlsplit(notebook.cell(1).get_by_role("link", name="view only").evaluate("(a) => a.href")).port
    assert port != urlsplit(jupyterlab.url).port, "the link stays as it is"
    page.unroute("**/proxy/*/health")  # done as it says, and the cell run again
    notebook.run(1)
    link = notebook.cell(1).get_by_role("link", name="view only")
    wait_until(lambda: link.evaluate("(a) => a.href").startswith(proxied(jupyterlab, str(port))))
    assert "serve(hosts" not in notebook.output(1)


# ---- nginx, with TLS and a path


@pytest.fixture
def secured(server, tmp_path):
    if nginx.find() is None:
        pytest.skip(nginx.MISSING)
    with serving(Nginx(tmp_path, server.port)) as found:
        yield found


def test_nginx_as_in_the_documentation_has_cookies_for_tls_and_its_path(server, secured):
    path = f"/agents/?token={server.auth.tokens[Role.VIEWER]}"
    for host in (f"localhost:{secured.port}", "hub.example.org"):
        answer = ask(secured.port, path, tls=True, Host=host)
        assert answer.status == 200
        parts = {part.strip() for part in answer.getheader("Set-Cookie").split(";")[1:]}
        assert parts == {"HttpOnly", "Path=/agents/", "SameSite=Strict", "Secure"}
        assert f"wss://{host}" in answer.getheader("Content-Security-Policy")
    assert ask(secured.port, path, tls=True, Host="evil.example").status == 403


def test_nginx_lets_a_page_of_its_own_name_connect_only(server, secured):
    answer = ask(secured.port, f"/agents/?token={server.auth.tokens[Role.VIEWER]}", tls=True, Host="hub.example.org")
    session = session_token(answer.text)
    cookie = answer.getheader("Set-Cookie").split(";")[0]

    async def all_of_them() -> list[int]:
        url, headers = f"wss://127.0.0.1:{secured.port}/agents/ws", {"Host": "hub.example.org", "Cookie": cookie}
        origins = ("https://hub.example.org", "https://evil.example", "http://localhost")
        return [await connect(url, session, Origin=origin, **headers) for origin in origins]

    assert asyncio.run(all_of_them()) == [101, 403, 403]


@pytest.mark.browser
def test_a_page_works_through_nginx(server, secured, new_page):
    page = new_page(ignore_https_errors=True)
    look_around(page, f"https://localhost:{secured.port}/agents/", server.auth.tokens[Role.VIEWER])
