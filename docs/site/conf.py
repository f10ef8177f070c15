"""How Sphinx makes the site. `python -m docs.site` runs it in a folder that has the layout of the repository."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

import agentrt

MODULES = import_module("docs.site.reference").MODULES  # this file is in no package: mypy would find that one twice

project = "agentrt"
author = "the agentrt authors"
copyright = f"2026, {author}"
version = release = agentrt.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["docs/site"]
nb_execution_mode = "off"  # `--execute` runs the lessons
nb_execution_timeout = 600
nb_execution_excludepatterns = ["**/16_three_nodes.ipynb"]  # it starts nodes on Ray
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_ipywidgets_js: dict[
    str, Any
] = {}  # nothing is fetched: a widget can't work without a kernel, and has a text beside it
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]  # a live view has a picture beside it, for pages without a kernel

default_role = "code"  # `name` in a docstring is code, as in Markdown
napoleon_google_docstring = True
napoleon_numpy_docstring = False
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True

html_theme = "pydata_sphinx_theme"
html_title = f"agentrt {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["versions.js"]
html_favicon = "static/icon.svg"
html_context = {"default_mode": "auto"}  # light or dark, as the browser prefers
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "logo": {"text": "agentrt"},  # the menu beside it says which version
    "navbar_align": "left",
    "navbar_start": ["navbar-logo", "version-switcher"],
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}


def link_to_public_name(app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Node) -> nodes.Node | None:
    """A type in a signature links to its public name; one that has none, or is another package's, is only text."""
    role = "refwarn" in node  # written in a text, as :class:`agentrt.Runtime`: what it names has to be there
    if node.get("refdomain") != "py" or role:
        return None
    name = node["reftarget"].rpartition(".")[2]
    domain: Any = env.get_domain("py")
    for module in sorted(MODULES):
        found = domain.objects.get(f"{module}.{name}")
        if found is not None:
            target = app.builder.get_relative_uri(env.docname, found.docname)
            return nodes.reference("", "", content, internal=True, refuri=f"{target}#{found.node_id}")
    return content


def keep_own_words(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """A property or a constant has the words of its docstring, as they are; a constant without one has none.

    Napoleon takes the first line up to its first colon for a type: a comment is in front of it, which the page has not.
    Autodoc takes the docstring of the type of a constant for its own.
    """
    if what == "data" and lines and lines[0] in (type(thing).__doc__ or ""):
        lines.clear()
    if what in ("property", "attribute", "data"):
        lines[:0] = ["..", ""]


class DarkPictures(SphinxTransform):
    """A picture `name.png` that has a `name-dark.png` beside it is shown on light pages, and that one on dark pages."""

    default_priority = 500

    def apply(self, **options: Any) -> None:
        """Add the dark picture of each that has one."""
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            dark = image["uri"].removesuffix(".png") + "-dark.png"
            if image["uri"].endswith(".png") and (folder / dark).is_file():
                other = image.deepcopy()
                other["uri"] = dark
                image["classes"].append("only-light")
                other["classes"].append("only-dark")
                image.parent.insert(image.parent.index(image) + 1, other)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_transform(DarkPictures)
    app.connect("missing-reference", link_to_public_name)
    app.connect("autodoc-process-docstring", keep_own_words, priority=400)  # before Napoleon
