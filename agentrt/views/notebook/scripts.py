"""What a page needs before it can show a view: Bokeh and Panel, from this machine, so nothing is fetched."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import panel
from bokeh.resources import INLINE
from panel.io.notebook import _autoload_js, require_components
from panel.io.resources import Resources, bundle_resources, set_resource_mode

__all__ = ["page_scripts"]

STYLES = Path(panel.__file__).parent / "_templates" / "jupyter.css"
SHIM = '{"shimMode": true}'


@cache
def page_scripts() -> tuple[tuple[str, str, str], ...]:
    """The elements of the head of the page: each with its kind, its text and its type."""
    with set_resource_mode("inline"):
        resources = Resources.from_bokeh(INLINE, notebook=True)
        bundle = bundle_resources(None, resources, notebook=True, enable_mathjax=False)
        bundle.css_files = []  # which would be asked from Jupyter, that does not have them
        configs, requirements, exports, skip = require_components()
        code = _autoload_js(
            bundle=bundle,
            configs=configs,
            requirements=requirements,
            exports=exports,
            skip_imports=skip,
            ipywidget=False,
        )
    return (
        ("script", SHIM, "esms-options"),
        ("style", STYLES.read_text(encoding="utf-8"), ""),
        ("script", code, "text/javascript"),
    )
