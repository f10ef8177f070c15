import asyncio
import json
import socket

import pytest

from agentrt import RuntimeManager, discovery
from agentrt.discovery import PageKeys
from agentrt.errors import ConfigurationError
from agentrt.views.role import Role
from agentrt.views.server.auth import TokenAuth
from agentrt.views.server.server import serve
from tests.harness.client import Answer, ask, connect
from tests.harness.shown import serving
from tests.support import add


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="tested") as manager:
        manager.create("a", 0, add)
        yield manager


@pytest.fixture
def server(manager):
    with serving(serve(manager)) as server:
        yield server


def get(server, path: str = "/", *, host: str | None = None, cookie: str = "") -> Answer:
    headers = {"Host": host or f"127.0.0.1:{server.port}", **({"Cookie": cookie} if cookie else {})}
    return ask(server.port, path, **headers)


def token(server, role: Role) -> str:
    return f"/?token={server.auth.tokens[role]}"


def cookie_of(response) -> str:
    return response.getheader("Set-Cookie", "").split(";")[0]


async def socket_status(server, *, cookie: str = "", host: str = "", origin: str = "") -> int:
    """What the WebSocket answers: 101 if it opens."""
    at = f"127.0.0.1:{server.port}"
    headers = {"Host": host or at, "Origin": f"http://{origin or at}", **({"Cookie": cookie} if cookie else {})}
    return await connect(f"ws://{at}/ws", "x", **headers)


@pytest.mark.parametrize("role", list(Role))
def test_a_link_is_needed_once(server, role):
    assert get(server).status == 401
    entered = get(server, token(server, role))
    assert entered.status == 200
    assert get(server, cookie=cookie_of(entered)).status == 200
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in entered.getheader("Set-Cookie")
    assert b"tested" in entered.body


@pytest.mark.parametrize("path", ["/?token=", "/?token=wrong", "/?token=%00", "/?token=x&token=y"])
def test_a_wrong_token_is_refused_even_with_a_cookie(server, path):
    cookie = cookie_of(get(server, token(server, Role.OPERATOR)))
    assert get(server, path).status == 401
    if path != "/?token=":
        assert get(server, path, cookie=cookie).status == 401


def test_a_forged_or_foreign_cookie_is_refused(server, manager):
    name = server.auth.cookie
    assert get(server, cookie=f"{name}=operator").status == 401
    cookie = cookie_of(get(server, token(server, Role.VIEWER)))
    assert get(server, cookie=cookie.replace("dmlld2Vy", "b3BlcmF0b3I=")).status == 401
    with serving(serve(manager)) as other:
        theirs = cookie_of(get(other, token(other, Role.OPERATOR)))
        assert theirs.split("=")[0] != name, "two servers on one host keep their cookies apart"
        assert get(server, cookie=f"{name}={theirs.split('=', 1)[1]}").status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.", "localhost.evil.example"]
)
def test_a_foreign_host_name_is_refused_with_the_right_token(server, host):
    assert get(server, token(server, Role.OPERATOR), host=host).status == 403


def test_the_websocket_asks_for_the_same(server):
    cookie = cookie_of(get(server, token(server, Role.VIEWER)))
    at = f"127.0.0.1:{server.port}"

    async def statuses() -> list[int]:
        return [
            await socket_status(server),
            await socket_status(server, cookie=f"{server.auth.cookie}=x"),
            await socket_status(server, cookie=cookie, host="evil.example"),
            await socket_status(server, cookie=cookie, origin="evil.example"),
            await socket_status(server, cookie=cookie, host=at, origin="evil.example:80"),
        ]

    assert asyncio.run(statuses()) == [401, 401, 403, 403, 403]


def test_a_role_is_what_its_token_or_signature_says():
    auth = TokenAuth(PageKeys.new(1), ["localhost"])
    for role in Role:
        assert auth.visit(auth.tokens[role], "")[:2] == (role, True)
        assert auth.visit(None, auth.sign(role))[:2] == (role, False)
        assert auth.visit("x", auth.sign(role)).role is None
    assert auth.visit(None, TokenAuth(PageKeys.new(1), []).sign(Role.OPERATOR)).role is None
    assert auth.visit(None, "operator").role is None
    assert auth.visit(None, "").role is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/runtime/a", "/runtime/a%20b%2Fc", "/activity/1", "/flow", "/timeline", "/dead-letters", "/letters"]
)
def test_every_page_has_a_path_of_its_own_and_the_same_door(server, path):
    assert get(server, path).status == 401
    assert get(server, path, host="evil.example").status == 403
    entered = get(server, f"{path}?token={server.auth.tokens[Role.VIEWER]}")
    assert entered.status == 200
    assert get(server, path, cookie=cookie_of(entered)).status == 200


def test_its_health_is_open_to_all_and_tells_nothing(server):
    response = get(server, "/health")
    assert json.loads(response.body) == {"instance": server.instance}
    assert get(server, "/health", host="evil.example").status == 403


def test_its_summary_needs_a_role(server, manager):
    manager.run(manager["a"].ask(1))
    assert get(server, "/summary").status == 401
    told = json.loads(get(server, f"/summary?token={server.auth.tokens[Role.VIEWER]}").body)
    assert told["sentence"] == "The runtime is fine."
    assert (told["runtimes"], told["wrong"], told["waiting"]) == (1, 0, [0, 0])
    assert told["fates"]["done"] == told["fates"]["accepted"] == 1


def test_a_program_that_is_started_anew_has_its_links_again(manager):
    first = serve(manager)
    first.stop()
    second = serve(manager)
    try:
        assert (second.url, second.view_url) == (first.url, first.view_url)
        assert second.instance != first.instance
        beside = serve(manager)  # while the page is served, another one of that name gets keys of its own
        assert beside.port != second.port
        assert beside.auth.tokens != second.auth.tokens
        beside.stop()
    finally:
        second.stop()
    third = serve(manager)
    third.stop()
    assert third.url == first.url


def test_it_is_on_the_list_as_long_as_it_runs(manager, server):
    assert server.url in [each.url for each in discovery.list_servers()]
    server.stop()
    assert server.url not in [each.url for each in discovery.list_servers()]


def test_a_taken_port_gives_the_next_one_and_says_so(manager, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = serve(manager, port=port)
        try:
            assert port < server.port <= port + 20
            assert f"port {port} is taken; the dashboard is on {server.port}" in capsys.readouterr().out
            assert get(server, token(server, Role.OPERATOR)).status == 200
        finally:
            server.stop()


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "my-machine", "::1"])
def test_what_others_can_reach_needs_to_be_told(manager, address):
    with pytest.raises(ConfigurationError, match="address"):
        serve(manager, address=address)


def test_it_is_never_open_to_all(manager):
    with pytest.raises(ConfigurationError, match="never served without a token"):
        serve(manager, auth=False)


def test_what_it_had_not_begun_when_it_stops_is_cancelled(server):
    tasks: list[asyncio.Task[None]] = []

    def stop_with_work() -> None:
        tasks.append(asyncio.create_task(asyncio.sleep(3600)))
        server._loop.add_callback(lambda: tasks.append(asyncio.create_task(asyncio.sleep(3600))))
        server._loop.stop()

    server._loop.add_callback(stop_with_work)
    server._thread.join(60)
    assert [task.cancelled() for task in tasks] == [True, True]


def test_it_stops_and_lets_go(manager):
    server = serve(manager)
    get(server, token(server, Role.OPERATOR))
    assert server.url in repr(server)
    assert server.view_url in server._repr_html_()
    assert server.url != server.view_url
    server.stop()
    server.stop()
    assert not server.running
    assert "stopped" in repr(server)
    with pytest.raises(OSError, match="refused"):
        get(server)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", server.port))


def test_it_serves_what_else_it_is_given_to_whoever_has_a_link(manager):
    def answer(accept):
        return "text/x-example", f"for {accept}".encode()

    with serving(serve(manager, answers={"/example.txt": answer})) as server:
        assert get(server, "/example.txt").status == 401
        found = ask(
            server.port, f"/example.txt{token(server, Role.VIEWER)[1:]}", Host=f"localhost:{server.port}", Accept="x"
        )
        assert (found.status, found.getheader("Content-Type"), found.text) == (200, "text/x-example", "for x")
        assert found.getheader("Cache-Control") == "no-store"
        assert get(server, "/exampleXtxt").status == 401


@pytest.mark.parametrize("path", ["metrics", "/", "/summary", "/timeline", "/a/b", "/(.*)", "/ws", ""])
def test_a_path_that_is_taken_or_none_is_refused(manager, path):
    with pytest.raises(ConfigurationError, match="write a path that no page has"):
        serve(manager, answers={path: lambda accept: ("", b"")})
