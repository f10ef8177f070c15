"""The links of a dashboard in a cell. In JupyterLab they lead through jupyter-server-proxy where that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ..html import Markup, a, div, script, span

__all__ = ["Linked", "links_of", "page_link"]

CODE = Path(__file__).parents[1].joinpath("link.js").read_text(encoding="utf-8")
THROUGH_PROXY = script(f"{{{CODE}leadThroughProxy(document.currentScript.parentElement, true)}}")


class Linked(Protocol):
    """What has the two links of a dashboard."""

    @property
    def url(self) -> str:
        """The operator's link."""

    @property
    def view_url(self) -> str:
        """The viewer's link."""


def page_link(words: str, url: str, address: str = "", title: str | None = None) -> Markup:
    """A link to an address such as `runtime/JFK` of a dashboard, in a tab of its own."""
    link = urlsplit(url)
    href = link._replace(path=f"/{address}").geturl()
    return a(words, href=href, target="_blank", rel="noopener", title=title, data_port=link.port)


def links_of(server: Linked) -> Markup:
    """Both links; and room for what to write where the host name that a browser has is not known to the server."""
    links = page_link("open the dashboard", server.url), " · ", page_link("view only", server.view_url)
    return div(links, span(data_host_hint="")) + THROUGH_PROXY
