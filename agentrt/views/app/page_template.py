"""The page around what is shown: its head, its colours, its type."""

from __future__ import annotations

from typing import Any

import param
from panel.util import edit_readonly  # type: ignore[attr-defined]
from panel_material_ui.template.base import Page

__all__ = ["sheet"]

FONT = {"fontFamily": 'system-ui, "Segoe UI", Roboto, sans-serif'}
THEME = {
    "light": {"palette": {"primary": {"main": "#0B5C8C"}}, "typography": FONT},
    "dark": {"palette": {"primary": {"main": "#7CC0EE"}}, "typography": FONT},
}
BAR = {
    ".MuiAppBar-root": {"backgroundColor": "#0B4A70", "backgroundImage": "none", "color": "#fff"},
    # It stays, unseen and without a name, although there is to be no indicator: who listens to a page would hear it.
    ".MuiAppBar-root > .MuiLinearProgress-root": {"display": "none"},
}


class Still(param.Parameterized):
    """What a page follows in place of Panel's own word for "busy"."""

    busy = param.Boolean(default=False, constant=True)


def sheet(**options: Any) -> Page:
    """A page of this dashboard; `options` are those of `Page`."""
    page = Page(theme_config=THEME, sx=BAR, busy_indicator=None, **options)
    # Panel has one word for "busy" for the whole process. Pages that follow it are changed by a click on any other,
    # without their lock, and that click then fails. A plain False would stop that too, but Panel's state would keep
    # hold of every page that was ever made.
    with edit_readonly(page):
        page.busy = Still().param.busy
    return page
