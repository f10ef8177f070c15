"""Access control for `panel serve app.py --auth-module auth.py`: the same as of `manager.serve()`.

The file that `--auth-module` names has two lines:

    get_user = protect("my dashboard")
    login_url = "/"

and the app asks `role_of_page()`, which raises where that file is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import panel as pn
from panel.io.server import Server as PanelServer
from tornado.web import HTTPError

from ... import discovery
from ...discovery import PageKeys
from ...errors import ConfigurationError
from ..role import Role
from .auth import TokenAuth
from .gate import install
from .proxies import host_name

__all__ = ["protect", "role_of_page"]

MARK = "agentrt_auth"  # the attribute of a request with what has checked it
UNPROTECTED = (
    "this page is not served without access control; start it with `panel serve dashboard/app.py --auth-module "
    "dashboard/auth.py`, or another file that calls agentrt.views.server.panel_serve.protect"
)


def protect(name: str) -> Callable[[Any], str]:
    """Ask for a token on every server that this process starts; its links are printed when it does.

    Call it in the file that `panel serve --auth-module` names, and nowhere else: it changes Panel's server class.

    Args:
        name: The links stay the same as long as this name and the working directory do.

    Returns:
        The function that Bokeh wants to be named `get_user`.
    """
    auths: dict[Any, TokenAuth] = {}
    server_class: Any = PanelServer
    start_server = server_class.start

    def start(server: Any) -> None:
        auths[server._tornado] = _protect_server(server, name)
        start_server(server)

    def get_user(handler: Any) -> str:
        auth = auths.get(handler.application)
        if auth is None:
            raise HTTPError(401)
        setattr(handler.request, MARK, auth)
        return str(auth.get_user(handler))

    server_class.start = start
    return get_user


def role_of_page() -> Role:
    """The role of the session that is being made now.

    Raises:
        ConfigurationError: The server has no access control.
    """
    context: Any = pn.state.curdoc.session_context if pn.state.curdoc is not None else None
    auth: TokenAuth | None = getattr(getattr(context, "request", None), MARK, None)
    role = auth.role_of_session(context.id) if auth is not None else None
    if role is None:
        raise ConfigurationError(UNPROTECTED)
    return role


def _protect_server(server: Any, name: str) -> TokenAuth:
    application = server._tornado
    names = {host_name(origin) for origin in application.websocket_origins} - {""}
    auth = TokenAuth(_keys_of_command(name, server.port), names | {"localhost", "127.0.0.1"})
    # What `manager.serve()` passes to Bokeh as arguments. `panel serve` takes them from the command line only.
    application._sign_sessions, application._secret_key = True, auth.session_key
    application._include_headers, application._include_cookies = [], []
    install(server, auth)
    for path in sorted(application.applications):
        for role, token in auth.tokens.items():
            print(f"{role}: http://localhost:{server.port}{application.prefix}{path}?token={token}", flush=True)
    return auth


def _keys_of_command(name: str, port: int) -> PageKeys:
    """The tokens of the last time, for this port."""
    path, last = discovery.load_keys(f"panel serve {name}")
    keys = msgspec.structs.replace(last, port=port) if last is not None else PageKeys.new(port)
    discovery.save_keys(path, keys)
    return keys
