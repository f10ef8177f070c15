"""The page around a dashboard: its header, its colours, its fonts."""

from __future__ import annotations

from typing import Any

import param
from panel.util import edit_readonly  # type: ignore[attr-defined]
from panel_material_ui.template.base import Page

__all__ = ["bundle_url", "page_template"]

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


class NeverBusy(param.Parameterized):
    """A page follows this in place of the "busy" of Panel."""

    busy = param.Boolean(default=False, constant=True)


def page_template(**options: Any) -> Page:
    """A page of this dashboard; `options` are those of `Page`."""
    page = Page(theme_config=THEME, sx=BAR, busy_indicator=None, **options)
    # Panel has one "busy" for the whole process. A click on any other page changes a page that follows it, without its
    # lock, and that click then fails. A plain False would prevent this too, but Panel's state would then keep a
    # reference to every page that was ever made.
    with edit_readonly(page):
        page.busy = NeverBusy().param.busy
    return page


def bundle_url() -> str:
    """The address of the script that draws a page, as the page that is made now will ask for it."""
    return str(Page._render_esm(server=True))
