"""Authentication of the served dashboard, and its JSON answers for programs.

The token of a link is exchanged for a signed cookie that scripts can't read and other sites can't send. A request under
another host name (DNS rebinding) is refused, for a page, a WebSocket and a JSON answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from tornado.web import HTTPError, RequestHandler, create_signed_value, decode_signed_value

from ...discovery import PageKeys
from ..role import Role

__all__ = ["JsonHandler", "TokenAuth"]


# No other site may show a page in a frame, where a click could be stolen, or get its link with the token as a referrer.
SECURITY_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class TokenAuth(AuthProvider):
    """Bokeh's authentication with the tokens of a server. `role_of(request)` is the one place that decides."""

    def __init__(self, keys: PageKeys, hosts: Iterable[str]) -> None:
        super().__init__()
        port = keys.port
        self.tokens = {Role.OPERATOR: keys.operator, Role.VIEWER: keys.viewer}
        self.hosts = {f"{host}:{port}" for host in hosts}
        # Cookies know no ports: two servers on one host would take each other's.
        self.cookie = f"agentrt-{port}"
        self._secret = bytes.fromhex(keys.secret)

    @property
    def get_user(self) -> Any:
        """Bokeh asks this on every page and every WebSocket."""
        return self._authenticate

    @property
    def login_url(self) -> str:
        """There is no login page: the link has the token."""
        return "/"

    def check_host(self, request: Any) -> None:
        """Refuse a request under the name of another host. Raises `HTTPError`."""
        if request.host.lower() not in self.hosts:
            raise HTTPError(403, reason="this host name is not served here")

    def _authenticate(self, handler: Any) -> str:
        self.check_host(handler.request)
        role = self.role_of(handler.request)
        if role is None:
            raise HTTPError(401, reason="open the link with the token that was printed when the server started")
        if "Upgrade" not in handler.request.headers:
            for name, value in SECURITY_HEADERS.items():
                handler.set_header(name, value)
        if "token" in handler.request.arguments:
            handler.set_cookie(self.cookie, self.sign(role), httponly=True, samesite="Strict", path="/")
        return role.value

    def sign(self, role: Role) -> str:
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


class JsonHandler(RequestHandler):
    """A JSON answer at an address of its own. Unless it is `open_to_all`, it needs a role, as a page does."""

    def initialize(self, auth: TokenAuth, answer: Callable[[Role | None], Any], open_to_all: bool = False) -> None:
        """Tornado calls it with the options of the route."""
        self.auth = auth
        self.answer = answer
        self.open_to_all = open_to_all

    def get(self) -> None:
        """The answer."""
        self.auth.check_host(self.request)
        role = self.auth.role_of(self.request)
        if role is None and not self.open_to_all:
            raise HTTPError(401)
        self.set_header("Cache-Control", "no-store")
        self.write(self.answer(role))
