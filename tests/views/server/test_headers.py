"""What every answer of the server says to a browser."""

import pytest

from agentrt import RuntimeManager
from agentrt.views.role import Role
from agentrt.views.server.server import serve
from tests.harness.client import ask
from tests.harness.shown import loaded, serving


@pytest.fixture(scope="module")
def server():
    with RuntimeManager(loop="thread", name="headers") as manager:
        manager.create("a", 0, lambda activity, state: state)
        with serving(serve(manager)) as server:
            yield server


ANSWERS = ["/", "/flow", "/runtime/a", "/summary", "/health", "/nothing", "/static/js/bokeh.min.js", "/autoload.js"]


@pytest.mark.parametrize("by", ["nobody", "operator", "another host"])
@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_says_what_a_browser_may_do_with_it(server, path, by):
    headers = {"Host": "evil.example"} if by == "another host" else {}
    if by == "operator":
        headers["Cookie"] = f"{server.auth.cookie}={server.auth.sign(Role.OPERATOR)}"
    answer = ask(server.port, path, **headers)
    policy = dict(each.split(" ", 1) for each in answer.getheader("Content-Security-Policy").split("; "))
    assert policy["default-src"] in ("'self'", "'none'")
    assert policy["frame-ancestors"] in ("'self'", "'none'")
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Cross-Origin-Opener-Policy") == "same-origin"
    assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert answer.getheader("Server") is None
    if "/static/" not in path or answer.status != 200:
        assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Set-Cookie") is None


def test_the_cookie_of_a_link_is_for_this_server_only(server):
    answer = ask(server.port, f"/?token={server.auth.tokens[Role.VIEWER]}")
    (cookie,) = answer.headers.get_all("Set-Cookie")
    assert {part.strip() for part in cookie.split(";")[1:]} == {"HttpOnly", "Path=/", "SameSite=Strict"}


@pytest.mark.browser
@pytest.mark.parametrize("address", ["", "runtime/a", "flow", "timeline"])
def test_a_page_runs_under_its_own_policy(server, page, guard, address):
    broken: list[str] = []
    page.on("console", lambda message: broken.append(message.text) if "Content Security" in message.text else None)
    page.goto(server.link(Role.OPERATOR, address))
    page.get_by_role("link", name="Overview").wait_for()
    loaded(page)
    assert broken == []
