"""The dashboard served from this process, on a thread of its own: it stays up to date while a cell runs.

There are two links, the operator's and the viewer's; `auth` decides the role of a request. The port and the keys are
stored (`agentrt.discovery`), so an open page connects again when the program is restarted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import panel as pn
from panel.io.server import get_server
from tornado.ioloop import IOLoop
from tornado.netutil import is_valid_ip

from ... import discovery
from ...discovery import PageKeys, ServerRecord
from ...errors import ConfigurationError
from ...feed.source import HasSource
from ...frames import hide_from_debuggers
from ...interruptible import InterruptibleEvent
from ...schema.numbers import count
from ..app.address import ALIASES, NAMING, PAGES
from ..html import span
from ..role import Role
from .auth import Answer, AnswerHandler, JsonHandler, SummaryHandler, TokenAuth
from .content import Content, ManagerPage
from .gate import install
from .links import links_of
from .proxies import host_name, hub_path
from .static_files import omit_webgl

__all__ = ["Server", "serve", "start"]

log = logging.getLogger(__name__)

ROUTES = ("/", *(f"/{page}/{{of}}" if page in NAMING else f"/{page}" for page in (*PAGES, *ALIASES)))
TAKEN = ("/health", "/summary", "/ws", "/favicon.ico")
ANSWER_PATH = re.compile(r"/[\w.-]+")
PORTS_TRIED = 20
TIMEOUT = 20.0  # seconds for the server to start, and to stop
CANCELLING = 5.0  # seconds for what its loop still has to do


class Server:
    """A running dashboard. `url` is the operator's link, `view_url` the link for looking only; `stop()` ends it."""

    def __init__(
        self,
        content: Content,
        address: str,
        keys: PageKeys,
        hosts: Iterable[str],
        proxies: Iterable[str] = (),
        answers: Mapping[str, Answer] | None = None,
    ) -> None:
        self._answers = answers or {}
        self.content = content
        self.address = address
        self.port = keys.port
        self.auth = TokenAuth(keys, hosts, proxies, hub_path(keys.port))
        self._process = os.getpid()
        self.instance = secrets.token_hex(8)
        self._loop = IOLoop(make_current=False)
        self._ready = InterruptibleEvent()
        self._problem: BaseException | None = None
        self._server: Any = None
        self._thread = threading.Thread(target=self._run, name=f"agentrt-page-{self.port}", daemon=True)
        hide_from_debuggers(self._thread)
        self._thread.start()
        if not self._ready.wait(TIMEOUT) or self._problem is not None:
            problem = self._problem or "no answer"
            raise ConfigurationError(f"the page could not be served on port {self.port}: {problem}")
        self._listed = self._add_to_list() if content.listed else None

    def record(self) -> ServerRecord:
        """What the list of servers says of it."""
        started, watches = time.time(), self.content.watches
        return ServerRecord(os.getpid(), self.content.name, self.port, self.url, self.view_url, started, watches)

    def _add_to_list(self) -> Path | None:
        try:
            return discovery.add_server(self.record())
        except ConfigurationError as error:  # the page works without a list
            log.warning("the page is not in the list of servers: %s", error)
            return None

    @property
    def url(self) -> str:
        """The operator's link: look and steer."""
        return self.link(Role.OPERATOR)

    @property
    def view_url(self) -> str:
        """The viewer's link: look only."""
        return self.link(Role.VIEWER)

    def link(self, role: Role, address: str = "") -> str:
        """The link of a role to an address such as `runtime/JFK`; to the first page without one."""
        host = "localhost" if self.address == "0.0.0.0" else self.address
        return f"http://{host}:{self.port}/{address}?token={self.auth.tokens[role]}"

    @property
    def running(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def on_manager_end(self) -> None:
        """Its manager has ended: so does it."""
        self.stop()

    def stop(self) -> None:
        """End it; open pages then say that the connection is lost. Idempotent; nothing in a process that was forked."""
        if os.getpid() != self._process:
            return
        if self.running:
            self._loop.add_callback(self._loop.stop)
            self._thread.join(TIMEOUT)
        if self._listed is not None:
            discovery.remove_server(self._listed)

    def __repr__(self) -> str:
        return f"<Server of {self.content.name!r}: {self.url if self.running else 'stopped'}>"

    def _repr_html_(self) -> str:
        if not self.running:
            return span("The dashboard was stopped.")
        return links_of(self)

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
            loop=self._loop,
            title=dict.fromkeys(ROUTES, self.content.title),
            auth_provider=self.auth,
            sign_sessions=True,
            secret_key=self.auth.session_key,
            include_headers=[],
            include_cookies=[],
            extra_patterns=[
                ("/health", JsonHandler, {"auth": self.auth, "answer": self._health}),
                ("/summary", SummaryHandler, {"answer": self._summary}),
                *((re.escape(path), AnswerHandler, {"answer": answer}) for path, answer in self._answers.items()),
            ],
        )
        omit_webgl(server._tornado)
        self.gate = install(server, self.auth)
        server.start()
        return server

    def _health(self, role: Role | None) -> dict[str, Any]:
        return {"instance": self.instance}

    def _summary(self, at: float | None) -> dict[str, Any]:
        return self.content.summary(at)

    def _page(self) -> Any:
        document: Any = pn.state.curdoc
        return self.content.page(self.auth.role_of_session(document.session_context.id) or Role.VIEWER)

    def _close(self) -> None:
        self.content.close()
        try:
            self._server.stop()
            self._server.unlisten()
            cancel_tasks(self._loop.asyncio_loop)
        except Exception:
            log.exception("the page did not close cleanly")
        finally:
            self._loop.close(all_fds=True)


def cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what a stopped loop still has to do: Python would report each as never awaited, when it is collected."""
    loop.run_until_complete(asyncio.sleep(0))  # what other threads have posted begins its tasks
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=CANCELLING))


def serve(
    manager: HasSource,
    port: int = 0,
    address: str = "127.0.0.1",
    title: str = "",
    note: str = "",
    hosts: Iterable[str] = (),
    auth: bool = True,
    loud: bool = False,
    proxies: Iterable[str] = (),
    evaluator: bool = False,
    answers: Mapping[str, Answer] | None = None,
) -> Server:
    """Serve the dashboard of a manager. Its port and its links are those of the last time, if they are free.

    Args:
        manager: The manager to look at and to steer.
        port: 0 for any free port. If it is taken, one of the next 20 is used, and printed.
        address: The address to bind to.
        title: The title of the page; the name of the manager without one.
        note: A line on each page.
        hosts: The host names that the page is opened under, besides localhost: those of a reverse proxy, or of this
            machine when `address` can be reached from others. See `docs/remote.md`.
        auth: Only True is accepted.
        loud: Whether the note must not be missed.
        proxies: The IP addresses of reverse proxies whose `X-Forwarded-*` headers are believed, `["127.0.0.1"]`.
        evaluator: Whether whoever has the operator's link may have expressions worked out in a stopped activity. That
            is whatever this program can do.
        answers: What is served besides, by path, to whoever has a link: `{"/metrics": function}`. The function is given
            the Accept header of a request, and returns the type and the content of its answer. It is called on the
            server's thread; where the dashboard is in another process, on that of the offer to other processes.

    Returns:
        The server: `url`, `view_url`, `port`, `stop()`.

    Raises:
        ConfigurationError: No port is free, `hosts` is missing, `auth` is False, or a path of `answers` is taken or is
            none.
    """
    if not auth:
        raise ConfigurationError(
            "the dashboard is never served without a token; hand on server.view_url to let others look"
        )
    page = ManagerPage(manager.source, title, note, loud, evaluator=evaluator)
    return start(page, port, address, hosts, proxies, answers)


def start(
    content: Content,
    port: int = 0,
    address: str = "127.0.0.1",
    hosts: Iterable[str] = (),
    proxies: Iterable[str] = (),
    answers: Mapping[str, Answer] | None = None,
) -> Server:
    """Serve any content; the arguments are those of `serve`."""
    port = count("port", port, most=65_535, what="a port: 0 for any that is free, or up to 65535")
    names = _host_names(address, hosts)
    answers = _check_answers(answers or {})
    return Server(content, address, _keys(content.name, port, address), names, _ip_addresses(proxies), answers)


def _check_answers(answers: Mapping[str, Answer]) -> Mapping[str, Answer]:
    for path in answers:
        if not ANSWER_PATH.fullmatch(path) or path in ROUTES or path in TAKEN:
            raise ConfigurationError(f"answers has {path!r}; write a path that no page has, as in '/metrics'")
    return answers


def _keys(name: str, port: int, address: str) -> PageKeys:
    """The keys of the last time if their port is free; else new ones, which are stored for the next time."""
    try:
        path, last = discovery.load_keys(name)
    except ConfigurationError:  # said where the page is to be added to the list
        return PageKeys.new(_free_port(port, address))
    if last is not None and port in (0, last.port):
        if _bind_once(last.port, address) is not None:
            return last
        return PageKeys.new(_free_port(port, address))  # a page with those keys is still served
    keys = PageKeys.new(_free_port(port, address))
    discovery.save_keys(path, keys)
    return keys


def _host_names(address: str, hosts: Iterable[str]) -> set[str]:
    names = {_host_name(host) for host in ([hosts] if isinstance(hosts, str) else hosts)} | _hub_names()
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


def _host_name(host: str) -> str:
    name = host_name(host.lower())
    if not name:
        raise ConfigurationError(f"hosts has {host!r}, which is no host name; write it as in 'hub.example.org'")
    return name


def _hub_names() -> set[str]:
    """The host name under which JupyterHub shows this process's server, where JupyterHub says so."""
    return {urlsplit(os.environ.get("JUPYTERHUB_PUBLIC_URL", "")).hostname or ""} - {""}


def _ip_addresses(proxies: Iterable[str]) -> set[str]:
    found = {proxies} if isinstance(proxies, str) else set(proxies)
    for each in found:
        if not is_valid_ip(each):
            raise ConfigurationError(f"proxies has {each!r}, which is no IP address; write it as in '127.0.0.1'")
    return found


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _free_port(port: int, address: str) -> int:
    """A free port: this one, else one of the next ones."""
    for candidate in range(port, port + PORTS_TRIED + 1) if port else (0,):
        found = _bind_once(candidate, address)
        if found is not None:
            if found != port and port:
                print(f"port {port} is taken; the dashboard is on {found}")
            return found
    raise ConfigurationError(f"ports {port} to {port + PORTS_TRIED} are all taken; give another, or 0 for any free one")


def _bind_once(port: int, address: str) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
