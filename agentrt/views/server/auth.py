"""Authentication of the served dashboard, and its JSON answers for programs.

The token of a link is exchanged for a signed cookie that scripts can't read and other sites can't send. The gate (see
`gate`) reads both, and leaves neither in the request: no handler, no page and no log line ever has them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import secrets
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from bokeh.server.auth_provider import AuthProvider
from tornado.httputil import HTTPConnection
from tornado.web import HTTPError, RequestHandler, create_signed_value, decode_signed_value
from tornado.websocket import WebSocketHandler

from ...discovery import PageKeys
from ...errors import AgentError
from ..role import Role

__all__ = ["Answer", "AnswerHandler", "JsonHandler", "SummaryHandler", "TokenAuth", "Visit"]

Answer = Callable[[str], tuple[str, bytes]]  # from an Accept header to the type and the content

ROLES = {role.value: role for role in Role}
MOST_UNUSED = 50  # sessions of a role that no browser is connected to; each ends after half a minute at most


class Way(NamedTuple):
    """How a browser got here: the host and the path that it has in its address bar, over http or https, and from where.

    Without a proxy that is to be believed this is what the connection says, and the path is `/`.
    """

    host: str = ""
    path: str = "/"
    secure: bool = False
    address: str = ""


class Visit(NamedTuple):
    """What the gate found out about a request: who it is, whether he gets a cookie, and how the browser got here."""

    role: Role | None = None
    cookie: bool = False
    way: Way = Way()


class TokenAuth(AuthProvider):
    """Bokeh's authentication with the tokens of a server.

    `visits` has what the gate found out about each request that is answered now. The ids of sessions are made here:
    each has its role in it and is signed, so that nobody opens a session of another role, or one that he made up.

    Args:
        keys: The tokens of the links, and the secret that signs.
        hosts: The host names that it is opened under, with any port: a tunnel or a proxy may have another.
        proxies: The addresses of the proxies whose `X-Forwarded-*` headers are believed.
        path: Where the first page is under the names in `hosts`, unless such a proxy says so.
    """

    def __init__(self, keys: PageKeys, hosts: Iterable[str], proxies: Iterable[str] = (), path: str = "/") -> None:
        super().__init__()
        self.tokens = {Role.OPERATOR: keys.operator, Role.VIEWER: keys.viewer}
        self.hosts = {host.lower() for host in hosts}
        self.proxies = set(proxies)
        self.path = path
        self._secret = bytes.fromhex(keys.secret)
        # Cookies know no ports: two servers on one host, or behind two tunnels, would take each other's.
        self.cookie = f"agentrt-{hashlib.sha256(b'cookie' + self._secret).hexdigest()[:12]}"
        self.session_key = hashlib.sha256(b"session ids" + self._secret).digest()
        self.visits: WeakKeyDictionary[HTTPConnection, Visit] = WeakKeyDictionary()
        self.most_unused = MOST_UNUSED
        self._asked: dict[str, Any] = {}  # by the id of a session: the handler that has not answered yet

    @property
    def get_user(self) -> Any:
        """Bokeh asks this on every page and every WebSocket."""
        return self._authenticate

    @property
    def login_url(self) -> str:
        """There is no login page: the link has the token."""
        return "/"

    def role_of(self, request: Any) -> Role | None:
        """The role of a request; None for one without."""
        return self.visits.get(request.connection, Visit()).role

    def _authenticate(self, handler: Any) -> str:
        visit = self.visits.get(handler.request.connection, Visit())
        if visit.role is None:
            raise HTTPError(401)
        if not isinstance(handler, WebSocketHandler):
            self._check_sessions(handler.application, visit.role)
            # Bokeh takes the id of the session from here. The gate has refused one that came with the request.
            id = handler.request.headers["Bokeh-Session-Id"] = self.new_session_id(visit.role)
            self._asked[id] = handler
        if visit.cookie:
            flags = {"httponly": True, "samesite": "Strict", "path": visit.way.path, "secure": visit.way.secure}
            handler.set_cookie(self.cookie, self.sign(visit.role), **flags)
        return visit.role.value

    def _check_sessions(self, application: Any, role: Role) -> None:
        sessions = (each for context in application.applications.values() for each in context.sessions)
        unused = {each.id for each in sessions if not each.connection_count}
        # Bokeh 3.10 makes pages on threads of a pool: meanwhile more are asked for, whose sessions do not exist yet.
        self._asked = {id: handler for id, handler in self._asked.items() if not handler._finished}
        unused |= self._asked.keys()
        if sum(self.role_of_session(id) is role for id in unused) >= self.most_unused:
            raise HTTPError(503, reason="too many pages were asked for and not opened; wait half a minute")

    # ---- tokens and cookies

    def sign(self, role: Role) -> str:
        """The signed cookie of a role."""
        return create_signed_value(self._secret, self.cookie, role.value).decode()

    def visit(self, token: str | None, cookie: str, bearer: str = "") -> Visit:
        """Who it is by the token of a link, else by that of a program, which gets no cookie, else by the cookie.

        The viewer's link does not replace a better cookie.
        """
        if token is None and (of_program := self.role_of_token(bearer)) is not None:
            return Visit(of_program)
        by_cookie = self.role_of_cookie(cookie)
        if token is None:
            return Visit(by_cookie)
        role = self.role_of_token(token)
        return Visit(role, role is not None and by_cookie is not Role.OPERATOR)

    def role_of_token(self, token: str) -> Role | None:
        """The role of a token; None for a wrong one."""
        given = token.encode()
        return next((role for role, each in self.tokens.items() if hmac.compare_digest(given, each.encode())), None)

    def role_of_cookie(self, signed: str) -> Role | None:
        """The role that a cookie was signed for; None for a wrong or missing one."""
        found = decode_signed_value(self._secret, self.cookie, signed) if signed else None
        return Role(found.decode()) if found else None

    # ---- sessions

    def new_session_id(self, role: Role) -> str:
        """A new id for a session of a role, signed in Bokeh's way."""
        text = f"{role}-{secrets.token_urlsafe(24)}"
        return f"{text}.{self._signature(text)}"

    def role_of_session(self, id: str) -> Role | None:
        """The role of a session; None for an id that was not made here."""
        text, _, signature = id.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        return ROLES.get(text.partition("-")[0])

    def _signature(self, text: str) -> str:
        digest = hmac.new(self.session_key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class JsonHandler(RequestHandler):
    """A JSON answer at an address of its own. The gate has seen to it that the request has a role, if it needs one."""

    def initialize(self, auth: TokenAuth, answer: Callable[[Role | None], Any]) -> None:
        """Tornado calls it with the options of the route."""
        self.auth = auth
        self.answer = answer

    def get(self) -> None:
        """The answer."""
        self.write(self.answer(self.auth.role_of(self.request)))


class AnswerHandler(RequestHandler):
    """What a function says, at an address of its own. The gate has seen to it that the request has a role."""

    def initialize(self, answer: Answer) -> None:
        """Tornado calls it with the options of the route."""
        self.answer = answer

    def get(self) -> None:
        """The answer."""
        kind, content = self.answer(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", kind)
        self.write(content)


class SummaryHandler(RequestHandler):
    """The summary; with `?at=1764172800.5`, seconds since 1970, as it was then. The gate has seen to the role."""

    def initialize(self, answer: Callable[[float | None], Any]) -> None:
        """Tornado calls it with the options of the route."""
        self.answer = answer

    def get(self) -> None:
        """The answer; 400 where the time is none."""
        text = self.get_query_argument("at", "")
        try:
            at = float(text) if text else None
            if at is not None and not math.isfinite(at):
                raise ValueError(text)
        except ValueError:
            raise HTTPError(400) from None
        try:
            self.write(self.answer(at))
        except AgentError as error:
            self.write({"absent": str(error)[:300]})
