"""What a page needs before it can show a view: Bokeh and Panel, from this machine, so nothing is fetched."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import bokeh
import panel
from bokeh.resources import INLINE
from panel.io.notebook import AUTOLOAD_NB_JS
from panel.io.resources import Resources, bundle_resources, set_resource_mode

__all__ = ["page_scripts"]

STYLES = Path(panel.__file__).parent / "_templates" / "jupyter.css"
SHIM = '{"shimMode": true}'
PATIENCE = 5000  # milliseconds for Bokeh to load
# What a page would fetch for other components than those of the views: nothing.
FETCHED = {
    "config": {},
    "requirements": (),
    "exports": {},
    "skip_imports": {},
    # Since Panel 1.10.
    "require_skip": (),
    "cdn_dist": "",
    "cdn_map": (),
}


@cache
def page_scripts() -> tuple[tuple[str, str, str], ...]:
    """The elements of the head of the page: each with its kind, its text and its type."""
    with set_resource_mode("inline"):
        resources = Resources.from_bokeh(INLINE, notebook=True)
        bundle = bundle_resources(None, resources, notebook=True, enable_mathjax=False)
        bundle.css_files = []  # which would be asked from Jupyter, that does not have them
        code = AUTOLOAD_NB_JS.render(bundle=bundle, version=bokeh.__version__, force=True, timeout=PATIENCE, **FETCHED)
    return (
        ("script", SHIM, "esms-options"),
        ("style", STYLES.read_text(encoding="utf-8"), ""),
        ("script", code, "text/javascript"),
    )
