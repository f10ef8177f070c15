"""How a browser got here, by what the connection says, or by what a proxy says that is to be believed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from tornado.httputil import HTTPHeaders
from tornado.netutil import is_valid_ip

from .auth import Way

__all__ = ["LOOPBACK", "host_name", "hub_path", "read_way"]

LOOPBACK = frozenset({"localhost", "127.0.0.1"})

PREFIXES = ("X-Forwarded-Prefix", "X-ProxyContextPath", "X-Forwarded-Context")  # jupyter-server-proxy sends all three
HOST = re.compile(r"[a-z0-9.-]+(:[0-9]+)?")
PATH = re.compile(r"(/[A-Za-z0-9._~%@+-]+)+/?")


def read_way(headers: HTTPHeaders, address: str, proxies: Collection[str], path: str = "/") -> Way:
    """The way of a request that came from this address.

    Args:
        headers: Its headers.
        address: Where the connection comes from.
        proxies: The addresses whose `X-Forwarded-*` headers are believed; from others they are not read.
        path: Where the first page is under a name that is not this machine's own, where no such header says so.
    """
    host = headers.get("Host", "").lower()
    if address not in proxies:
        return Way(host, "/" if host_name(host) in LOOPBACK else path, address=address)
    secure = _nearest(headers, "X-Forwarded-Proto") == "https"
    host = _nearest(headers, "X-Forwarded-Host").lower() or host
    return Way(host, _prefix(headers), secure, _client(headers, proxies) or address)


def hub_path(port: int) -> str:
    """Where JupyterHub shows this port to its user, and to nobody else."""
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    return f"{prefix.rstrip('/')}/proxy/{port}/" if PATH.fullmatch(prefix) else "/"


def host_name(host: str) -> str:
    """The name of a host without its port; empty for what is none.

    >>> host_name("localhost:9000"), host_name("my.host"), host_name("[::1]:80"), host_name("a, b")
    ('localhost', 'my.host', '', '')
    """
    return host.partition(":")[0] if HOST.fullmatch(host) else ""


def _nearest(headers: HTTPHeaders, name: str) -> str:
    """What the nearest proxy has added: each appends to what it was given."""
    return headers.get(name, "").rpartition(",")[2].strip()


def _client(headers: HTTPHeaders, proxies: Collection[str]) -> str:
    """The last address that is not a proxy's."""
    for each in reversed(headers.get("X-Forwarded-For", "").split(",")):
        if is_valid_ip(each.strip()) and each.strip() not in proxies:
            return each.strip()
    return ""


def _prefix(headers: HTTPHeaders) -> str:
    """The path under which this server stands; it ends with a slash."""
    found = (headers.get(name, "") for name in PREFIXES)
    path = next((each for each in found if PATH.fullmatch(each)), "")
    return f"{path.rstrip('/')}/"
