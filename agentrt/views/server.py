"""The dashboard served from this process, on a thread of its own: it goes on while a cell runs.

Two links: the operator's and the viewer's. A link's token is exchanged for a signed cookie that scripts can't read and
other sites can't send. Who asks under a foreign host name (DNS rebinding) is refused, on the page and on the WebSocket.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import socket
import threading
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

import panel as pn
from bokeh.server.auth_provider import AuthProvider
from panel.io.server import get_server
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RedirectHandler, create_signed_value, decode_signed_value

from ..errors import ConfigurationError
from .feed import Feed, feed_page
from .page import dashboard
from .role import Role

__all__ = ["Door", "Server", "serve"]

log = logging.getLogger(__name__)

TRIES = 20
PATIENCE = 20.0


class Door(AuthProvider):
    """Who may come in, and as what. `role_of(request)` is the one place that decides it."""

    def __init__(self, port: int, hosts: Iterable[str]) -> None:
        super().__init__()
        self.tokens = {role: secrets.token_urlsafe(24) for role in Role}
        self.hosts = {f"{host}:{port}" for host in hosts}
        # Cookies know no ports: two servers on one host would take each other's.
        self.cookie = f"agentrt-{port}"
        self._secret = secrets.token_bytes(32)

    @property
    def get_user(self) -> Any:
        """Bokeh asks this on every page and every WebSocket."""
        return self._enter

    @property
    def login_url(self) -> str:
        """There is no login page: the link is the key."""
        return "/"

    def _enter(self, handler: Any) -> str:
        if handler.request.host.lower() not in self.hosts:
            raise HTTPError(403, reason="this host name is not served here")
        role = self.role_of(handler.request)
        if role is None:
            raise HTTPError(401, reason="open the link with the token that was printed when the server started")
        if "token" in handler.request.arguments:
            handler.set_cookie(self.cookie, self.stamp(role), httponly=True, samesite="Strict", path="/")
        return role.value

    def stamp(self, role: Role) -> str:
        """The signed cookie of a role."""
        return create_signed_value(self._secret, self.cookie, role.value).decode()

    def role_of(self, request: Any) -> Role | None:
        """The role of a request: its token's, else its cookie's. None for a wrong or missing one."""
        given = request.arguments.get("token")
        if given:
            return next(
                (role for role, token in self.tokens.items() if hmac.compare_digest(given[0], token.encode())), None
            )
        morsel = request.cookies.get(self.cookie)
        signed = getattr(morsel, "value", morsel)
        found = decode_signed_value(self._secret, self.cookie, signed) if signed else None
        return Role(found.decode()) if found else None


class Server:
    """A running dashboard. `url` is the operator's link, `view_url` one to look only; `stop()` ends it."""

    def __init__(self, manager: Any, address: str, port: int, hosts: Iterable[str], title: str, note: str) -> None:
        self.manager = manager
        self.address = address
        self.port = port
        self.title = title
        self.note = note
        self.door = Door(port, hosts)
        self._loop = IOLoop(make_current=False)
        self._ready = threading.Event()
        self._feeds: WeakSet[Feed] = WeakSet()
        self._problem: BaseException | None = None
        self._server: Any = None
        self._thread = threading.Thread(target=self._run, name=f"agentrt-page-{port}", daemon=True)
        self._thread.start()
        if not self._ready.wait(PATIENCE) or self._problem is not None:
            raise ConfigurationError(f"the page could not be served on port {port}: {self._problem or 'no answer'}")

    @property
    def url(self) -> str:
        """The operator's link: see and steer."""
        return self.link(Role.OPERATOR)

    @property
    def view_url(self) -> str:
        """The viewer's link: see."""
        return self.link(Role.VIEWER)

    def link(self, role: Role, runtime: str | None = None) -> str:
        """The link of a role, to the fleet or to one runtime."""
        host = "localhost" if self.address == "0.0.0.0" else self.address
        to = f"&runtime={quote(runtime)}" if runtime is not None else ""
        return f"http://{host}:{self.port}/?token={self.door.tokens[role]}{to}"

    @property
    def running(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it: pages say that the connection is lost. Idempotent."""
        if self.running:
            self._loop.add_callback(self._loop.stop)
            self._thread.join(PATIENCE)

    def __repr__(self) -> str:
        return f"<Server of {self.manager.name!r}: {self.url if self.running else 'stopped'}>"

    def _repr_html_(self) -> str:
        if not self.running:
            return "<span>The dashboard was stopped.</span>"
        return (
            f'<a href="{escape(self.url)}" target="_blank">open the dashboard</a> · '
            f'<a href="{escape(self.view_url)}" target="_blank">view only</a>'
        )

    # ---- on its thread

    def _run(self) -> None:
        try:
            self._server = self._start()
        except BaseException as error:
            self._problem = error
            return
        finally:
            self._ready.set()
        try:
            self._loop.start()
        finally:
            self._close()

    def _start(self) -> Any:
        server = get_server(
            {"/": self._page},
            port=self.port,
            address=self.address,
            websocket_origin=sorted(self.door.hosts),
            loop=self._loop,
            title=self.title,
            auth_provider=self.door,
            extra_patterns=[(r"/runtime/(.+)", RedirectHandler, {"url": "/?runtime={0}", "permanent": False})],
        )
        server.start()
        return server

    def _page(self) -> Any:
        document: Any = pn.state.curdoc
        role = self.door.role_of(document.session_context.request) or Role.VIEWER
        feed = feed_page(self.manager, document)
        self._feeds.add(feed)
        return dashboard(self.manager, role=role, title=self.title, note=self.note, feed=feed)

    def _close(self) -> None:
        for feed in tuple(self._feeds):
            feed.stop()
        try:
            self._server.stop()
            self._server.unlisten()
        except Exception:
            log.exception("the page did not close cleanly")
        finally:
            self._loop.close(all_fds=True)


def serve(
    manager: Any,
    port: int = 0,
    address: str = "127.0.0.1",
    title: str = "",
    note: str = "",
    hosts: Iterable[str] = (),
    auth: bool = True,
) -> Server:
    """Serve the dashboard of a manager. Port 0 is any free one; if `port` is taken, one of the next 20, and it says so.

    Bound elsewhere than to this machine it needs `hosts`, the names it is asked for under. `note` is shown on the page.
    """
    if not auth:
        raise ConfigurationError(
            "the dashboard is never served without a token; hand on server.view_url to let others look"
        )
    names = _names(address, hosts)
    return Server(manager, address, _free(port, address), names, title or manager.name, note)


def _names(address: str, hosts: Iterable[str]) -> set[str]:
    names = {host.lower() for host in hosts}
    if ":" in address:
        raise ConfigurationError(f"address {address!r} is IPv6; give an IPv4 address or a host name")
    if _is_loopback(address):
        return names | {"127.0.0.1", "localhost"}
    if not names:
        raise ConfigurationError(
            f"address {address!r} can be reached from other machines: say under which names, hosts=['my-machine'], "
            "or leave the address out to serve this machine only"
        )
    return names | {"localhost", "127.0.0.1"}


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _free(port: int, address: str) -> int:
    """A free port: the one asked for, else one of the next ones."""
    for candidate in range(port, port + TRIES + 1) if port else (0,):
        found = _bindable(candidate, address)
        if found is not None:
            if found != port and port:
                log.warning("port %s is taken; the dashboard is on %s", port, found)
                print(f"port {port} is taken; the dashboard is on {found}")
            return found
    raise ConfigurationError(f"ports {port} to {port + TRIES} are all taken; give another, or 0 for any free one")


def _bindable(port: int, address: str) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
