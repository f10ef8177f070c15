"""What a request may bring, and what is left of it behind the gate: every way in that is not the front door."""

import asyncio
import base64
import json
import logging
import re
import socket
import sys
import zlib

import pytest
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.httputil import parse_cookie

from agentrt import RuntimeManager
from agentrt.views.role import Role
from agentrt.views.server.gate import split_target
from agentrt.views.server.rate import Rate
from agentrt.views.server.server import serve
from tests.harness.client import ask, connect, session_token
from tests.harness.shown import serving


@pytest.fixture(scope="module")
def manager():
    with RuntimeManager(loop="thread", name="gated") as manager:
        manager.create("a", 0, lambda activity, state: state)
        yield manager


@pytest.fixture
def server(manager):
    with serving(serve(manager)) as server:
        yield server


def cookie_for(server, role: Role) -> str:
    return f"{server.auth.cookie}={server.auth.sign(role)}"


def unpack(token: str) -> str:
    """All that a session token of Bokeh says to whoever has the page: base64, in it zlib, base64 again."""
    payload = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    inside = zlib.decompress(base64.urlsafe_b64decode(payload["__bk__zlib_"] + "==")).decode()
    for encoded in re.findall(r'"bytes": "([^"]*)"', inside):
        inside += base64.urlsafe_b64decode(encoded + "==").decode()
    return json.dumps(payload) + inside


def session_ids(server) -> set[str]:
    return {each.id for context in server._server._tornado.applications.values() for each in context.sessions}


async def connect_as(server, session: str, role: Role) -> int:
    return await connect(f"ws://127.0.0.1:{server.port}/ws", session, Cookie=cookie_for(server, role))


@pytest.mark.parametrize("way", ["session in the address", "token in the address", "header"])
def test_nobody_chooses_his_session(server, way):
    page = ask(server.port, "/", Cookie=cookie_for(server, Role.OPERATOR)).text
    token = session_token(page)
    (id,) = session_ids(server)
    path, headers = {
        "session in the address": (f"/?bokeh-session-id={id}", {}),
        "token in the address": (f"/?%62okeh-token={token}", {}),
        "header": ("/", {"Bokeh-Session-Id": id}),
    }[way]
    answer = ask(server.port, path, Cookie=cookie_for(server, Role.VIEWER), **headers)
    assert answer.status == 403
    assert token not in answer.text
    assert session_ids(server) == {id}


def test_the_session_of_a_page_opens_for_its_role_and_a_higher_one_only(server):
    tokens = {role: session_token(ask(server.port, "/", Cookie=cookie_for(server, role)).text) for role in Role}

    async def all_pairs() -> dict[tuple[str, str], int]:
        return {(of, by): await connect_as(server, tokens[of], by) for of in Role for by in Role}

    status = asyncio.run(all_pairs())
    assert status.pop((Role.OPERATOR, Role.VIEWER)) == 403
    assert set(status.values()) == {101}


def test_an_id_that_is_made_up_makes_no_session(server):
    mine = server.auth.new_session_id(Role.VIEWER)
    raised = mine.replace("viewer", "operator")
    made_up = [
        "x",
        "a.b.c",
        generate_jwt_token("made-up"),
        generate_jwt_token(mine),
        generate_jwt_token(raised, secret_key=b"theirs", signed=True),
        generate_jwt_token(raised, secret_key=server.auth.session_key, signed=True),
        generate_jwt_token(mine, secret_key=server.auth.session_key, signed=True, expiration=-1),
    ]

    async def all_of_them() -> list[int]:
        return [await connect_as(server, each, Role.VIEWER) for each in made_up]

    assert set(asyncio.run(all_of_them())) == {403}
    assert session_ids(server) == set()


def test_the_source_of_a_page_has_neither_token_nor_cookie(server):
    for role in Role:
        link = f"/?token={server.auth.tokens[role]}&theme=dark"
        cookie = cookie_for(server, role)
        for path, headers in ((link, {}), ("/?theme=dark", {"Cookie": f"other=secret; {cookie}"})):
            page = ask(server.port, path, **headers).text
            said = page + unpack(session_token(page))
            assert "dark" in said
            for secret in (*server.auth.tokens.values(), cookie.partition("=")[2], "secret"):
                assert secret not in said


@pytest.mark.parametrize("host", ["evil.example", ""])
def test_no_line_of_the_log_has_a_token(server, caplog, host):
    caplog.set_level(logging.DEBUG)
    secrets = [*server.auth.tokens.values(), "wrong-one", server.auth.sign(Role.OPERATOR)]
    headers = {"Host": host} if host else {}
    for token in secrets:
        for path in ("/", "/nothing", "/metadata", "/ws", "/static/nothing.js", "/summary"):
            ask(server.port, f"{path}?token={token}", Cookie=f"{server.auth.cookie}={secrets[-1]}", **headers)
    lines = "\n".join(record.getMessage() + (record.exc_text or "") for record in caplog.records)
    assert lines
    assert not [secret for secret in secrets if secret in lines]


def test_the_viewers_link_does_not_take_the_operators_cookie(server):
    operator = cookie_for(server, Role.OPERATOR)
    answer = ask(server.port, f"/?token={server.auth.tokens[Role.VIEWER]}", Cookie=operator)
    assert answer.status == 200
    assert answer.getheader("Set-Cookie") is None
    (id,) = session_ids(server)
    assert server.auth.role_of_session(id) is Role.VIEWER, "what the link asks for is what it shows"
    answer = ask(server.port, f"/?token={server.auth.tokens[Role.OPERATOR]}", Cookie=cookie_for(server, Role.VIEWER))
    signed = parse_cookie(answer.getheader("Set-Cookie"))[server.auth.cookie]
    assert server.auth.role_of_cookie(signed) is Role.OPERATOR


def answer_to(server, request: str) -> str:
    """The first line that comes back when this was sent and nothing more."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request.replace("HOST", f"127.0.0.1:{server.port}").encode())
        return connection.recv(4096).decode().partition("\r\n")[0]


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize("length", ["Content-Length: 98000000", "Transfer-Encoding: chunked", "Content-Length: 1"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "OPTIONS"])
def test_a_body_is_not_waited_for(server, method, length, role):
    query = f"?token={server.auth.tokens[role]}" if role else ""
    line = answer_to(server, f"{method} /{query} HTTP/1.1\r\nHost: HOST\r\n{length}\r\n\r\n")
    assert int(line.split()[1]) == (413 if method == "GET" else 405)


@pytest.mark.parametrize(
    "path",
    [
        "/runtime/static/metadata",
        "/runtime/static/",
        "/flow/static/x",
        "/components/bokeh/x/static/y",
        "/?/static/",
        "/%73ummary",
        "/summary/",
        "http://127.0.0.1/summary",
        "//health",
    ],
)
def test_what_only_looks_like_a_file_needs_a_role(server, path):
    assert ask(server.port, path).status == 401


@pytest.mark.parametrize("path", ["/components/this/s/__css__/x", "/components/%74his/s/__css__/x"])
def test_no_request_imports_a_module(server, path):
    assert "this" not in sys.modules
    assert ask(server.port, path, Cookie=cookie_for(server, Role.OPERATOR)).status == 404
    assert "this" not in sys.modules


def test_a_page_that_is_asked_for_as_a_websocket_has_an_id_of_the_server(server):
    viewer = cookie_for(server, Role.VIEWER)
    token = session_token(ask(server.port, "/", Cookie=viewer).text)
    headers = {"Upgrade": "websocket", "Sec-WebSocket-Protocol": f"bokeh, {token}", "Cookie": viewer}
    assert ask(server.port, "/", **headers).status == 200
    assert {server.auth.role_of_session(id) for id in session_ids(server)} == {Role.VIEWER}
    assert server.auth.role_of_session(generate_session_id(server.auth.session_key, signed=True)) is None


def test_an_address_has_so_many_requests_a_second(server):
    server.gate.rate = Rate(3, clock=lambda: 1.0)
    assert [ask(server.port, "/health").status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert ask(server.port, "/?static=/static/").status == 429
    assert ask(server.port, "/static/js/bokeh.min.js").status == 200
    server.gate.rate = Rate(3, clock=lambda: 2.0)
    assert ask(server.port, "/health").status == 200


def test_pages_that_nobody_opens_are_limited_for_each_role(server):
    server.auth.most_unused = 3
    viewer, operator = cookie_for(server, Role.VIEWER), cookie_for(server, Role.OPERATOR)
    assert [ask(server.port, "/", Cookie=viewer).status for _ in range(5)] == [200, 200, 200, 503, 503]
    assert ask(server.port, "/", Cookie=operator).status == 200
    assert len(session_ids(server)) == 4


@pytest.mark.parametrize(
    ("target", "split"),
    [
        ("/", ("/", None, "")),
        ("/?", ("/", None, "")),
        ("/flow?token=a%2Bb&theme=dark", ("/flow", "a+b", "theme=dark")),
        ("/?theme=dark&token=", ("/", None, "theme=dark")),
        ("/?t%6Fken=a&token=b", ("/", "a", "")),
    ],
)
def test_a_target_is_split(target, split):
    assert split_target(target) == split


@pytest.mark.parametrize("role", list(Role))
def test_a_program_gets_in_with_a_token_and_gets_no_cookie(server, role):
    answer = ask(server.port, "/summary", Authorization=f"Bearer {server.auth.tokens[role]}")
    assert (answer.status, answer.getheader("Set-Cookie")) == (200, None)
    page = ask(server.port, "/", Authorization=f"bearer  {server.auth.tokens[role]}")
    assert (page.status, page.getheader("Set-Cookie")) == (200, None)
    assert server.auth.tokens[role] not in page.text


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"])
def test_another_authorization_is_none(server, header):
    said = header.format(token=server.auth.tokens[Role.VIEWER])
    assert ask(server.port, "/summary", Authorization=said).status == 401
    assert ask(server.port, "/summary", Authorization=said, Cookie=cookie_for(server, Role.VIEWER)).status == 200


def test_a_program_does_not_get_in_under_a_foreign_name(server):
    bearer = f"Bearer {server.auth.tokens[Role.VIEWER]}"
    assert ask(server.port, "/summary", Authorization=bearer, Host="evil.example").status == 403
