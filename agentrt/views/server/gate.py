"""What each request passes first: before its body is read, before Bokeh sees it, and before anything of it is logged.

Here it is decided whose request it is. Then what proves it is taken out of the request, so that no page carries it and
no log line has it: the token of a link, all cookies, and ids of sessions, which are the server's own.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Awaitable
from typing import Any, cast
from urllib.parse import unquote, unquote_plus, urlsplit

from bokeh.server.views.ws import WSHandler
from bokeh.util.token import check_token_signature, get_session_id, get_token_payload
from panel.io.resources import COMPONENT_PATH
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    parse_cookie,
)

from ..role import Role
from .auth import TokenAuth, Visit
from .headers import PageHeaders, secure
from .proxies import host_name, read_way
from .rate import Rate
from .static_files import install_static_files
from .websocket import MOST_BYTES, PageSocket

__all__ = ["Gate", "Refusal", "install"]

log = logging.getLogger(__name__)

OPEN = ("/health", "/favicon.ico")  # they say nothing of a manager, and need no role; nor do files
FILES = "/static/"
SESSION_IDS = {"bokeh-session-id", "bokeh-token"}  # parameters with which Bokeh lets a request choose its session
SECRET_HEADERS = ("Cookie", "Authorization", "Sec-WebSocket-Protocol")
ADVICE = {405: {"Allow": "GET"}, 429: {"Retry-After": "1"}}  # headers that belong to a status
LINK_NEEDED = "open the link with the token that was printed when the server started"
MOST_REQUESTS = 100  # a second from one address, without files
OWN_IDS = "the ids of sessions are the server's own"


class Refusal(Exception):
    """A request that goes no further: its status, and a sentence for whoever sent it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Gate(HTTPServerConnectionDelegate):
    """Stands between the HTTP server and its application."""

    def __init__(self, application: Any, auth: TokenAuth) -> None:
        self.application = application
        self.auth = auth
        self.rate = Rate(MOST_REQUESTS)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Tornado calls it for each request."""
        return Entrance(self, server_conn, request_conn)

    def _imports(self, path: str) -> bool:
        """Whether Panel would import a module, which may do anything, to look for a file of a component in it."""
        below = f"{self.application.prefix}/{COMPONENT_PATH}"
        return path.startswith(below) and unquote(path[len(below) :]).partition("/")[0] not in sys.modules

    def admit(self, line: RequestStartLine, headers: HTTPHeaders, address: str) -> tuple[RequestStartLine, Visit]:
        """Decide whose request from this address it is, and take the secrets out of it. Raises `Refusal`."""
        way = read_way(headers, address, self.auth.proxies, self.auth.path)
        self._check_size(line, headers, way.address)
        if host_name(way.host) not in self.auth.hosts:
            raise Refusal(403, "this host name is not served here")
        path, token, query = split_target(line.path)
        # Bokeh gives its pages to scripts of any origin at the first.
        if path.endswith("/autoload.js") or self._imports(path):
            raise Refusal(404, "there is no such page")
        if "Bokeh-Session-Id" in headers:
            raise Refusal(403, OWN_IDS)
        visit = self.auth.visit(token, cookie_value(headers, self.auth.cookie), bearer_of(headers))._replace(way=way)
        if visit.role is None and path not in OPEN and not self._is_file(path):
            raise Refusal(401, LINK_NEEDED)
        if "Upgrade" in headers:
            self._check_websocket(headers, visit)
        headers["Host"] = way.host
        protocol = headers.get("Sec-WebSocket-Protocol")
        for name in SECRET_HEADERS:
            headers.pop(name, None)
        if protocol is not None:
            headers["Sec-WebSocket-Protocol"] = protocol
        return line._replace(path=f"{path}?{query}" if query else path), visit

    def _is_file(self, path: str) -> bool:
        """Whether it is a file that is the same for every manager."""
        return path.startswith(f"{self.application.prefix}{FILES}")

    def _check_size(self, line: RequestStartLine, headers: HTTPHeaders, address: str) -> None:
        """Nothing here has a use for a body, so none is read."""
        if not self._is_file(line.path) and not self.rate.allow(address):
            raise Refusal(429, "too many requests a second from this address")
        if line.method != "GET":
            raise Refusal(405, "only GET is answered here")
        if headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers:
            raise Refusal(413, "a request here has no body")

    def _check_websocket(self, headers: HTTPHeaders, visit: Visit) -> None:
        """A WebSocket comes from a page of this server, and opens a session of its own role or a lower one."""
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != visit.way.host:
            raise Refusal(403, "a page of another origin can't connect")
        token = headers.get("Sec-WebSocket-Protocol", "").partition(",")[2].strip()
        session = self._role_of_token(token)
        if session is None or visit.role not in (Role.OPERATOR, session):
            raise Refusal(403, OWN_IDS)

    def _role_of_token(self, token: str) -> Role | None:
        """The role of the session that Bokeh's token opens; None for a token that was not made here, or is too old."""
        try:
            if not check_token_signature(token, secret_key=self.auth.session_key, signed=True):
                return None
            if get_token_payload(token)["session_expiry"] <= time.time():
                return None
            return self.auth.role_of_session(get_session_id(token))
        except (ValueError, KeyError, TypeError):  # it is no token at all
            return None


def install(server: Any, auth: TokenAuth) -> Gate:
    """Put a gate in front of a Bokeh server that has not started; what it answers has its headers and its limits."""
    application = server._tornado
    for rule in application.wildcard_router.rules:
        if isinstance(rule.target, type) and issubclass(rule.target, WSHandler):
            rule.target = rule.handler_class = PageSocket
    install_static_files(application)
    application.settings["websocket_max_message_size"] = MOST_BYTES
    application.add_transform(PageHeaders)
    gate = server._http.request_callback = Gate(application, auth)
    return gate


class Entrance(HTTPMessageDelegate):
    """One request: answered here if it is refused, else passed to the application."""

    def __init__(self, gate: Gate, server_conn: object, request_conn: HTTPConnection) -> None:
        self.gate = gate
        self.server_conn = server_conn
        self.connection: Any = request_conn
        self._next: HTTPMessageDelegate | None = None

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        """Tornado calls it when the first line and the headers are there; the body is not."""
        line = cast(RequestStartLine, start_line)
        try:
            line, visit = self.gate.admit(line, headers, self.connection.context.remote_ip)
        except Refusal as refusal:
            self._refuse(line, refusal)
            return None
        self.gate.auth.visits[self.connection] = visit
        self._next = self.gate.application.start_request(self.server_conn, self.connection)
        return self._next.headers_received(line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A part of the body."""
        return self._next.data_received(chunk) if self._next is not None else None

    def finish(self) -> None:
        """The request is complete."""
        if self._next is not None:
            self._next.finish()

    def on_connection_close(self) -> None:
        """The browser has gone before it had the answer."""
        if self._next is not None:
            self._next.on_connection_close()

    def _refuse(self, line: RequestStartLine, refusal: Refusal) -> None:
        path = line.path.partition("?")[0][:200]
        log.info("%s %r refused, %s: %s", line.method, path, refusal.status, refusal.reason)
        body = f"{refusal.status}: {refusal.reason}\n".encode()
        headers = HTTPHeaders({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
        headers["Cache-Control"] = "no-store"
        secure(headers)
        headers.update(ADVICE.get(refusal.status, {}))
        answer = ResponseStartLine("HTTP/1.1", refusal.status, refusal.reason)
        self.connection.write_headers(answer, headers, None if line.method == "HEAD" else body)
        self.connection.finish()


def split_target(target: str) -> tuple[str, str | None, str]:
    """The path of a request, the token in its query if there is one, and the rest of its query. Raises `Refusal`."""
    path, _, query = target.partition("?")
    token: str | None = None
    rest = []
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        name = unquote_plus(name)
        if name in SESSION_IDS:
            raise Refusal(403, OWN_IDS)
        if name != "token":
            rest.append(piece)
        elif value and token is None:
            token = unquote_plus(value)
    return path, token, "&".join(filter(None, rest))


def bearer_of(headers: HTTPHeaders) -> str:
    """The token that a program sends, such as a scraper of metrics: `Authorization: Bearer ...`; empty without one."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def cookie_value(headers: HTTPHeaders, name: str) -> str:
    """The value of a cookie; empty without one."""
    return parse_cookie("; ".join(headers.get_list("Cookie"))).get(name, "")
