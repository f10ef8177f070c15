"""A widget of ipywidgets in a cell, with a text for pages where no widget can be live."""

from __future__ import annotations

import uuid
from typing import Any

from ..html import Content, div, stylesheet

__all__ = ["WidgetDisplay"]

TEXT_CLASS = "agentrt-widget-text"
CELL_OUTPUT = ".jp-OutputArea-child"  # of JupyterLab, Notebook 7, Voilà and nbconvert
SAVED_PAGE = "body.jp-Notebook:not([data-voila])"  # of nbconvert
TEXT = f"{CELL_OUTPUT}:has(.{TEXT_CLASS})"
WIDGET = f"{CELL_OUTPUT} .jupyter-widgets.widget-box"
# With a network nbconvert's page draws a widget as its model was saved: without a state, with buttons that do nothing.
RULES = f"""
body:not({SAVED_PAGE}) {TEXT}:has(+ {WIDGET}) {{ display: none }}
{SAVED_PAGE} {TEXT} + {CELL_OUTPUT} {{ display: none }}
"""


class WidgetDisplay:
    """Shows a text and below it a widget, as two outputs of the cell.

    One of them is hidden: the text where the widget is live, the widget in a page of nbconvert.

    One output that has both would be blank in a page of nbconvert without a network: nbconvert takes the widget, and
    fetches what draws it.
    """

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._shown = False

    def show(self, widget: Any, still: Content, text: str) -> None:
        """Show both, as outputs of the cell that runs.

        Args:
            widget: A widget of ipywidgets, a box.
            still: What a page shows where the widget is not live.
            text: What is shown where there is only text.
        """
        from IPython.display import display

        publish: Any = display
        self._shown = True
        publish(_bundle(still, text), raw=True, display_id=self._id)
        publish({**widget._repr_mimebundle_(), "text/plain": ""}, raw=True)

    def update(self, still: Content, text: str) -> None:
        """Change the text, where it has been shown: a notebook that is saved then has the new one."""
        if self._shown:
            from IPython.display import update_display

            publish: Any = update_display
            publish(_bundle(still, text), raw=True, display_id=self._id)


def _bundle(still: Content, text: str) -> dict[str, str]:
    return {"text/html": str(div(still, stylesheet(RULES), cls=TEXT_CLASS)), "text/plain": text}
