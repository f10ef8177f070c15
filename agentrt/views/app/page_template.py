"""The page around a dashboard: its header, its colours, its fonts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.io.resources import LOCAL_DIST
from panel.util import edit_readonly  # type: ignore[attr-defined]
from panel_material_ui.base import _env
from panel_material_ui.template.base import Page

from ..html import escape
from ..text import plain

__all__ = ["page_template"]

FONT = {"fontFamily": 'system-ui, "Segoe UI", Roboto, sans-serif'}
THEME = {
    "light": {"palette": {"primary": {"main": "#0B5C8C"}}, "typography": FONT},
    "dark": {"palette": {"primary": {"main": "#7CC0EE"}}, "typography": FONT},
}
BAR = {
    ".MuiAppBar-root": {"backgroundColor": "#0B4A70", "backgroundImage": "none", "color": "#fff"},
    # It exists even without a busy indicator, has no name, and a screen reader would read it.
    ".MuiAppBar-root > .MuiLinearProgress-root": {"display": "none"},
}


# Addresses are paths: what a page loads later has to be found from its first folder, whatever its address is by then.
# The bundle that draws the page is imported only once the page's document has come: fetch it before.
BASE = '<base href="FOLDER"><link rel="preload" as="fetch" crossorigin href="BUNDLE">'
HEAD = """{% extends "base.html" %}
{% block preamble %}BASE{{ super() }}{% endblock %}
{% block postamble %}{{ super() }}<script>SCRIPT</script>{% endblock %}"""
SCRIPT = Path(__file__).with_name("theme.js").read_text(encoding="utf-8")


class NeverBusy(param.Parameterized):
    """A page follows this in place of the "busy" of Panel."""

    busy = param.Boolean(default=False, constant=True)


def page_template(folder: str = "", **options: Any) -> Page:
    """A page of this dashboard.

    Args:
        folder: The way to the folder that its files are found from; empty for the folder of its address.
        **options: Those of `Page`.
    """
    template = _template(folder, plain(_bundle_url(), 500)) if folder else _template("", "")
    page = Page(theme_config=THEME, sx=BAR, busy_indicator=None, template=template, **options)
    # Panel has one "busy" for the whole process. A click on any other page changes a page that follows it, without its
    # lock, and that click then fails. A plain False would prevent this too, but Panel's state would then keep a
    # reference to every page that was ever made.
    with edit_readonly(page):
        page.busy = NeverBusy().param.busy
    _find_styles_here()
    return page


def _find_styles_here() -> None:
    """Say where styles are found, before the page is written.

    On a slow connection a session may have ended before its page asks for it. It is made again then, but not the page,
    and Panel would look for its styles on the web.
    """
    document: Any = pn.state.curdoc
    if document is not None:
        folder = f"{pn.state.rel_path}/" if pn.state.rel_path else ""
        document._template_variables.setdefault("dist_url", f"{folder}{LOCAL_DIST}")


@lru_cache(maxsize=16)
def _template(folder: str, bundle: str) -> Any:
    base = BASE.replace("FOLDER", escape(folder)).replace("BUNDLE", bundle) if folder else ""
    return _env.from_string(HEAD.replace("BASE", base).replace("SCRIPT", SCRIPT))


def _bundle_url() -> str:
    """The address of the script that draws a page, as the page that is made now will ask for it."""
    return str(Page._render_esm(server=True))
