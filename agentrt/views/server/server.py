"""The dashboard served from this process, on a thread of its own: it goes on while a cell runs.

Two links, the operator's and the viewer's; `door` says who may come in. A page that is left open comes back when the
program is started anew: its port and keys are kept, see `agentrt.discovery`.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import panel as pn
from panel.io.server import get_server
from tornado.ioloop import IOLoop
from tornado.web import ErrorHandler

from ... import discovery
from ...discovery import PageKeys, ServerRecord
from ...errors import ConfigurationError
from ...feed.source import HasSource
from ...schema.numbers import count
from ..app.address import ALIASES, NAMING, PAGES
from ..html import a, span
from ..role import Role
from .auth import Answer, Door
from .content import Content, ManagerPage

__all__ = ["Server", "serve", "start"]

log = logging.getLogger(__name__)

ROUTES = ("/", *(f"/{page}/{{of}}" if page in NAMING else f"/{page}" for page in (*PAGES, *ALIASES)))
TRIES = 20
PATIENCE = 20.0


class Server:
    """A running dashboard. `url` is the operator's link, `view_url` one to look only; `stop()` ends it."""

    def __init__(self, content: Content, address: str, keys: PageKeys, hosts: Iterable[str]) -> None:
        self.content = content
        self.address = address
        self.port = keys.port
        self.door = Door(keys, hosts)
        self.instance = secrets.token_hex(8)
        self._loop = IOLoop(make_current=False)
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._server: Any = None
        self._thread = threading.Thread(target=self._run, name=f"agentrt-page-{self.port}", daemon=True)
        self._thread.start()
        if not self._ready.wait(PATIENCE) or self._problem is not None:
            problem = self._problem or "no answer"
            raise ConfigurationError(f"the page could not be served on port {self.port}: {problem}")
        self._entered = self._enter() if content.listed else None

    def _enter(self) -> Path | None:
        mine = ServerRecord(os.getpid(), self.content.name, self.port, self.url, self.view_url, time.time())
        try:
            return discovery.add_server(mine)
        except ConfigurationError as error:  # the page works without a list
            log.warning("the page is not in the list of servers: %s", error)
            return None

    @property
    def url(self) -> str:
        """The operator's link: see and steer."""
        return self.link(Role.OPERATOR)

    @property
    def view_url(self) -> str:
        """The viewer's link: see."""
        return self.link(Role.VIEWER)

    def link(self, role: Role, address: str = "") -> str:
        """The link of a role, to the first page or to an address such as `runtime/JFK`."""
        host = "localhost" if self.address == "0.0.0.0" else self.address
        return f"http://{host}:{self.port}/{address}?token={self.door.tokens[role]}"

    @property
    def running(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it: pages say that the connection is lost. Idempotent."""
        if self.running:
            self._loop.add_callback(self._loop.stop)
            self._thread.join(PATIENCE)
        if self._entered is not None:
            discovery.remove_server(self._entered)

    def __repr__(self) -> str:
        return f"<Server of {self.content.name!r}: {self.url if self.running else 'stopped'}>"

    def _repr_html_(self) -> str:
        if not self.running:
            return span("The dashboard was stopped.")
        view = a("view only", href=self.view_url, target="_blank")
        return a("open the dashboard", href=self.url, target="_blank") + " · " + view

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
            dict.fromkeys(ROUTES, self._page),
            port=self.port,
            address=self.address,
            websocket_origin=sorted(self.door.hosts),
            loop=self._loop,
            title=dict.fromkeys(ROUTES, self.content.title),
            auth_provider=self.door,
            extra_patterns=[
                ("/health", Answer, {"door": self.door, "answer": self._health, "open_to_all": True}),
                ("/summary", Answer, {"door": self.door, "answer": self._summary}),
            ],
        )
        # Bokeh hands its pages to scripts of any origin there; a page of another port of this host has our cookie.
        server._tornado.add_handlers(".*", [(r"/(?:.*/)?autoload\.js", ErrorHandler, {"status_code": 404})])
        server.start()
        return server

    def _health(self, role: Role | None) -> dict[str, Any]:
        return {"instance": self.instance}

    def _summary(self, role: Role | None) -> dict[str, Any]:
        return self.content.summary()

    def _page(self) -> Any:
        document: Any = pn.state.curdoc
        return self.content.page(self.door.role_of(document.session_context.request) or Role.VIEWER)

    def _close(self) -> None:
        self.content.close()
        try:
            self._server.stop()
            self._server.unlisten()
        except Exception:
            log.exception("the page did not close cleanly")
        finally:
            self._loop.close(all_fds=True)


def serve(
    manager: HasSource,
    port: int = 0,
    address: str = "127.0.0.1",
    title: str = "",
    note: str = "",
    hosts: Iterable[str] = (),
    auth: bool = True,
    loud: bool = False,
) -> Server:
    """Serve the dashboard of a manager, with the port and the links it had when it was served last, if they are free.

    Port 0 is any free one; if `port` is taken, one of the next 20, and it says so. Bound elsewhere than to this machine
    it needs `hosts`, the names it is asked for under. `note` is shown on the page, `loud` so that nobody misses it.
    """
    if not auth:
        raise ConfigurationError(
            "the dashboard is never served without a token; hand on server.view_url to let others look"
        )
    return start(ManagerPage(manager.source, title, note, loud), port, address, hosts)


def start(content: Content, port: int = 0, address: str = "127.0.0.1", hosts: Iterable[str] = ()) -> Server:
    """Serve any content, see `serve`."""
    port = count("port", port, most=65_535, what="a port: 0 for any that is free, or up to 65535")
    names = _names(address, hosts)
    return Server(content, address, _keys(content.name, port, address), names)


def _keys(name: str, port: int, address: str) -> PageKeys:
    """Those of the last time where they still do; else new ones, kept for the next time."""
    try:
        path, last = discovery.load_keys(name)
    except ConfigurationError:  # said where the page is to be added to the list
        return PageKeys.new(_free(port, address))
    if last is not None and port in (0, last.port):
        if _bindable(last.port, address) is not None:
            return last
        return PageKeys.new(_free(port, address))  # its page is still served: it keeps what it has
    keys = PageKeys.new(_free(port, address))
    discovery.save_keys(path, keys)
    return keys


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
