"""Who may do what on the served dashboard: every host, origin, token, cookie, role and command against each other."""

import asyncio
import gc
import inspect
import itertools
import json
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPConnection
from tornado.web import HTTPError

from agentrt import RuntimeManager
from agentrt.discovery import PageKeys
from agentrt.errors import AccessDeniedError
from agentrt.feed.live import LiveSource
from agentrt.feed.source import COMMANDS as SOURCE_COMMANDS
from agentrt.views.live import Live
from agentrt.views.role import Commands, Role
from agentrt.views.server.auth import TokenAuth, Visit
from agentrt.views.server.server import serve
from tests.harness.client import Answer, ask, connect, session_token
from tests.harness.shown import loaded, serving
from tests.harness.wait import wait_until
from tests.support import Gate

PAGES = ["/", "/runtime/a", "/activity/1", "/flow", "/timeline", "/dead-letters", "/beside"]
SECRET = [*PAGES, "/summary", "/metadata", "/runtime/a/metadata"]
# A tunnel has a port of its own. Only the name says whether it is this machine that is asked: a foreign name that leads
# here (DNS rebinding) has no way to be "localhost".
HOSTS = dict.fromkeys(["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "127.0.0.1", "127.0.0.1:1"], True)
HOSTS |= dict.fromkeys(["evil.example", "evil.example:PORT", "localhost.evil.example:PORT", "[::1]:PORT"], False)
GOOD_ORIGINS = ["http://127.0.0.1:PORT", "http://localhost:PORT"]
BAD_ORIGINS = [
    "http://evil.example",
    "http://evil.example:PORT",
    "http://127.0.0.1:1",
    "http://localhost:1",
    "http://127.0.0.1.evil.example:PORT",
    "null",
    "https://127.0.0.1",
]


@pytest.fixture(scope="module")
def manager():
    with RuntimeManager(loop="thread", name="doors") as manager:
        yield manager


@pytest.fixture(scope="module")
def server(manager):
    with serving(serve(manager)) as server:
        server.auth.most_unused = server.gate.rate.most = 100_000
        yield server


@pytest.fixture(scope="module")
def other(manager):
    with serving(serve(manager)) as server:
        yield server


def ask_host(server, path: str, host: str = "127.0.0.1:PORT", **headers: str) -> Answer:
    return ask(server.port, path, Host=host.replace("PORT", str(server.port)), **headers)


def keys(server, other) -> dict[str, tuple[str, str, Role | None]]:
    """A token, a cookie, and what they make of who brings them."""
    operator, viewer = (server.auth.tokens[role] for role in (Role.OPERATOR, Role.VIEWER))
    name = server.auth.cookie
    stamped = {role: f"{name}={server.auth.sign(role)}" for role in Role}
    theirs = f"{name}={other.auth.sign(Role.OPERATOR)}"
    made_up = stamped[Role.VIEWER].replace("dmlld2Vy", "b3BlcmF0b3I=")
    return {
        "nothing": ("", "", None),
        "operator's token": (operator, "", Role.OPERATOR),
        "viewer's token": (viewer, "", Role.VIEWER),
        "operator's cookie": ("", stamped[Role.OPERATOR], Role.OPERATOR),
        "viewer's cookie": ("", stamped[Role.VIEWER], Role.VIEWER),
        "viewer's token over the operator's cookie": (viewer, stamped[Role.OPERATOR], Role.VIEWER),
        "wrong token": ("x" * len(operator), "", None),
        "half a token": (operator[:-1], "", None),
        "token of another server": (other.auth.tokens[Role.OPERATOR], "", None),
        "wrong token with a good cookie": ("x", stamped[Role.OPERATOR], None),
        "cookie of another server": ("", theirs, None),
        "cookie whose role was changed": ("", made_up, None),
        "plain cookie": ("", f"{name}=operator", None),
    }


@pytest.mark.slow
def test_every_page_asks_for_a_good_host_and_a_role(server, other):
    wrong = []
    for (words, (token, cookie, role)), path, (host, good) in itertools.product(
        keys(server, other).items(), SECRET, HOSTS.items()
    ):
        headers = {"Cookie": cookie} if cookie else {}
        status = ask_host(server, f"{path}?token={token}" if token else path, host, **headers).status
        if status != (403 if not good else 200 if role is not None else 401):
            wrong.append((words, path, host, status))
    assert wrong == []


def test_what_needs_no_role_tells_nothing_of_the_manager(server):
    for path in ("/health", "/favicon.ico", "/static/js/bokeh.min.js", "/autoload.js", "/nothing"):
        body = ask_host(server, path).body
        assert b"doors" not in body
        assert not any(token.encode() in body for token in server.auth.tokens.values())


@pytest.mark.parametrize(
    "path", ["/autoload.js", "/flow/autoload.js", "/runtime/a/autoload.js", "/runtime/a%2Fb/autoload.js"]
)
def test_no_script_of_another_origin_gets_a_page(server, path):
    cookie = {"Cookie": f"{server.auth.cookie}={server.auth.sign(Role.OPERATOR)}", "Origin": "http://localhost:1"}
    answer = ask_host(server, f"{path}?bokeh-autoload-element=1", **cookie)
    assert answer.status == 404
    assert answer.getheader("Access-Control-Allow-Origin") is None


def test_a_page_is_in_nobodys_frame_and_its_link_goes_to_nobody(server):
    answer = ask_host(server, f"/?token={server.auth.tokens[Role.VIEWER]}")
    assert "frame-ancestors 'self'" in answer.getheader("Content-Security-Policy")
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    cookie = answer.getheader("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


# ---- the WebSocket


async def connect_from(server, session: str, host: str, origin: str, cookie: str) -> int:
    given = {"Host": host, "Origin": origin, "Cookie": cookie}
    headers = {name: value.replace("PORT", str(server.port)) for name, value in given.items() if value}
    return await connect(f"ws://127.0.0.1:{server.port}/ws", session, **headers)


def test_the_websocket_asks_for_the_same_and_for_its_own_origin(server, other):
    async def everything() -> list[tuple[Any, ...]]:
        wrong = []
        sessions = {role: session_token(ask_host(server, f"/?token={server.auth.tokens[role]}").text) for role in Role}
        cookies = {words: (cookie, role) for words, (token, cookie, role) in keys(server, other).items() if not token}
        for (words, (cookie, role)), host, origin in itertools.product(
            cookies.items(), HOSTS, GOOD_ORIGINS + BAD_ORIGINS
        ):
            status = await connect_from(server, sessions[role or Role.OPERATOR], host, origin, cookie)
            may = role is not None and HOSTS[host] and origin.partition("//")[2].lower() == host.lower()
            if (status == 101) is not may:
                wrong.append((words, host, origin, status))
        return wrong

    assert asyncio.run(everything()) == []


# ---- commands


def given(parameter: inspect.Parameter, runtime: Any) -> Any:
    """Something to call a command with."""
    known = {"id": runtime.id, "knob": "retries", "value": 3, "factor": 2.0, "what": "do it", "act": runtime.pause}
    return known[parameter.name]


RAISING = ("check", "command", "submit", "report_to")  # what is below the commands, see the test after the next one
COMMANDS = sorted(
    name
    for name, value in vars(Commands).items()
    if inspect.isfunction(value) and not name.startswith("_") and name not in RAISING
)


def everything_of(manager) -> Any:
    """All that a command could change."""
    runtimes = [
        (r.id, r.paused, r.retries, r.depth, [a.id for a in r.mailbox_items()], r.status) for r in manager.runtimes()
    ]
    return runtimes, manager.speed, manager.fates(), len(manager.dead_letters)


@pytest.fixture
def busy():
    """One runtime that runs and has activities waiting in both lanes, and a dead letter."""
    gate = Gate()
    with RuntimeManager(loop="thread", name="commands") as manager:
        ended = manager.create("ended", 0, gate)
        ended.pause()
        ended.send_nowait(1)
        manager.run(ended.terminate())
        runtime = manager.create("a", 0, gate)
        for n in range(4):
            runtime.send_nowait(n, priority=n > 2)
        wait_until(lambda: runtime.status == "processing")
        yield manager, runtime


@pytest.mark.parametrize("name", COMMANDS)
def test_a_viewer_carries_out_no_command(busy, name):
    manager, runtime = busy
    said: list[tuple[str, bool]] = []
    commands = Commands(
        manager.source, role=Role.VIEWER, who="a viewer", tell=lambda text, wrong: said.append((text, wrong))
    )
    method = getattr(commands, name)
    before = everything_of(manager)
    arguments = [
        given(parameter, runtime)
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    ]
    assert not method(*arguments)
    assert everything_of(manager) == before
    assert said[-1][1]
    assert "looking only" in said[-1][0]
    assert not [record for record in manager.ring.since(0)[0] if getattr(record, "who", None)]


@pytest.mark.parametrize("name", sorted(SOURCE_COMMANDS))
def test_a_viewer_reaches_no_command_of_the_source(busy, name):
    manager, runtime = busy
    commands = Commands(manager.source, role=Role.VIEWER)
    before = everything_of(manager)
    for give in (commands.command, commands.submit):
        with pytest.raises(AccessDeniedError, match="looking only"):
            give(name, runtime.id)
    assert everything_of(manager) == before


def test_a_source_that_carries_out_no_command_is_only_looked_at(busy):
    manager, runtime = busy

    class Recorded(LiveSource):
        capabilities = frozenset()

    said: list[str] = []
    commands = Commands(Recorded(manager), tell=lambda text, wrong: said.append(text))
    assert not commands.may_steer
    assert not commands.pause(runtime.id)
    assert "can only be looked at" in said[-1]


# What a page could send if its buttons were not off: every message of every pane, fewer than a connection may a second.
EVERYTHING = """async (messages) => {
  const deep = function* (root) {
    for (const node of root.querySelectorAll("*")) { yield node; if (node.shadowRoot) yield* deep(node.shadowRoot) }
  }
  for (const [act, of] of messages) {
    for (const box of [...deep(document)].filter((node) => node.classList?.contains("live"))) {
      const button = document.createElement("button")
      button.dataset.do = act
      button.dataset.with = of
      box.append(button)
      button.click()
      button.remove()
    }
    await new Promise((done) => setTimeout(done, 100))
  }
}"""


@pytest.mark.browser
@pytest.mark.parametrize("address", [path.lstrip("/") for path in PAGES])
def test_a_viewer_who_sends_every_message_changes_nothing(busy, page, address):
    manager, runtime = busy
    with serving(serve(manager)) as server:
        before = everything_of(manager)
        page.goto(server.link("viewer", address.replace("/1", f"/{runtime.mailbox_items()[0].id}")))
        page.get_by_text("This link is for looking only").first.wait_for()
        loaded(page)
        panes = [each for each in gc.get_objects() if isinstance(each, Live)]
        acts = {act for live in panes for act in live.actions} - {"go"}
        waiting = [str(activity.id) for activity in runtime.mailbox_items()]
        page.evaluate(EVERYTHING, [[act, waiting[0]] for act in sorted(acts)])
        for name in ("Dead letters", "Overview"):  # messages are taken in turn: when this one is, all were
            page.locator("nav a", has_text=name).evaluate("(link) => link.click()")
            page.locator("nav a[aria-current]", has_text=name).wait_for()
        assert everything_of(manager) == before
        assert not [record for record in manager.ring.since(0)[0] if getattr(record, "who", None)]


def test_what_is_steered_is_recorded_with_who(busy):
    manager, _ = busy
    commands = Commands(manager.source, who="operator (page)")
    assert commands.pause("a")
    assert commands.set("a", "retries", 2)
    assert commands.speed(2.0)
    acts = {record.kind: record.who for record in manager.ring.since(0)[0] if getattr(record, "who", None)}
    assert set(acts) == {"paused", "limit", "speed"}
    assert set(acts.values()) == {"operator (page)"}
    assert json.dumps(acts)


class Asked:
    """A handler of a page that was asked for and is being made."""

    def __init__(self, auth: TokenAuth, role: Role = Role.VIEWER) -> None:
        self.request = SimpleNamespace(connection=HTTPConnection(), headers={})
        self.application = SimpleNamespace(applications={})
        self._finished = False
        auth.visits[self.request.connection] = Visit(role)
        auth.get_user(self)


def test_pages_that_are_still_being_made_are_limited_as_well():
    auth = TokenAuth(PageKeys.new(1), ["localhost"])
    auth.most_unused = 2
    first, _ = Asked(auth), Asked(auth)
    with pytest.raises(HTTPError, match="too many pages"):
        Asked(auth)
    Asked(auth, Role.OPERATOR)
    first._finished = True
    Asked(auth)
