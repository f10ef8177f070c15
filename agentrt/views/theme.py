"""The look of all views: sizes of type, spacing, and a colour, a glyph and a word for each status, lane and fate.

Colours follow the page. Text and surface colours come from JupyterLab's or Panel's variables where those exist. A tone
is mixed with the text colour before it colours a text, so that the text can be read in the light and the dark theme.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "CLOCK", "CSS", "FATES", "LANES", "NEUTRAL", "STATUSES", "UNKNOWN", "Look", "look_of", "look_of_fate", "style",
]  # fmt: skip


class Look(NamedTuple):
    """A tone, a glyph and a word. A view never shows the tone alone.

    Args:
        tone: A colour.
        glyph: A character, for what is plain text: one that every font with Latin, Greek and Cyrillic letters has.
        word: The word.
        drawing: The glyph as the path of a drawing, 12 wide and high, for HTML.
    """

    tone: str
    glyph: str
    word: str
    drawing: str = ""


TIMES = "\N{MULTIPLICATION SIGN}"
RING = "M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1zm0 1.6a3.4 3.4 0 1 0 0 6.8 3.4 3.4 0 0 0 0-6.8z"
CROSS = "M2.4 1L6 4.6 9.6 1 11 2.4 7.4 6 11 9.6 9.6 11 6 7.4 2.4 11 1 9.6 4.6 6 1 2.4z"
CLOCK = f"{RING}M5.3 3h1.4v2.7l1.9 1.1-.7 1.2-2.6-1.5z"
BARRED = f"{RING}M2.4 5.2h7.2v1.6H2.4z"

STATUSES = {
    "idle": Look("#8A94A6", "○", "idle", RING),
    "processing": Look("#0072B2", "●", "processing", "M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1z"),
    "paused": Look("#CC79A7", "║", "paused", "M2.5 1h2.6v10H2.5zM6.9 1h2.6v10H6.9z"),
    "error": Look("#D55E00", TIMES, "error", CROSS),
    "stuck": Look("#B03A2E", "◊", "stuck", CLOCK),
    "failed": Look("#7B241C", "■", "failed", "M1.5 1.5h9v9h-9z"),
    "terminated": Look("#4D5656", "Ø", "terminated", BARRED),
}
LANES = {
    "priority": Look("#E69F00", "▲", "priority", "M6 1l5.5 10H.5z"),
    "standard": Look("#56B4E9", "▬", "standard", "M.5 4h11v4H.5z"),
}
FATES = {
    "done": Look("#009E73", "√", "done", "M4.4 10.4L.8 6.8l1.4-1.4 2.2 2.2 5.4-5.4 1.4 1.4z"),
    "failed": Look("#D55E00", TIMES, "failed", CROSS),
    "timed_out": Look("#B03A2E", "◊", "timed out", CLOCK),
    "dropped": Look("#8A94A6", "↓", "dropped", "M5.2 1h1.6v6.2l2.4-2.4 1.1 1.1L6 10.8 1.7 5.9l1.1-1.1 2.4 2.4z"),
    "terminated": Look("#4D5656", "Ø", "terminated", BARRED),
    "dead": Look("#7B241C", "†", "dead-lettered", "M5.1 1h1.8v2.4h2.6v1.8H6.9V11H5.1V5.2H2.5V3.4h2.6z"),
    "pending": Look("#CFD5DD", "…", "pending", "M.8 5h2v2h-2zM5 5h2v2H5zM9.2 5h2v2h-2z"),
}
UNKNOWN = Look("#8A94A6", "·", "unknown", "M4.8 4.8h2.4v2.4H4.8z")
NEUTRAL = "#797c80"  # contrast of 4.3:1 on white and on JupyterLab's dark: a plot can't know the theme of its page
MARKERS = {"done": "circle", "failed": "x", "timed_out": "hourglass", "dropped": "inverted_triangle"}


def look_of(status: Any) -> Look:
    """The look of a status or a fate; a neutral one for any other word."""
    word = str(status)
    return STATUSES.get(word) or FATES.get(word) or UNKNOWN._replace(word=word)


def look_of_fate(fate: str) -> Look:
    """The look of a fate of an activity. A runtime that has failed looks otherwise than an activity."""
    return FATES.get(fate) or look_of(fate)


CSS = """
:host {
  --rt-text: var(--jp-ui-font-color1, var(--panel-on-background-color, #1d2127));
  --rt-surface: var(--jp-layout-color1, var(--panel-surface-color, #ffffff));
  --rt-muted: color-mix(in srgb, var(--rt-text) 72%, var(--rt-surface));
  --rt-line: color-mix(in srgb, var(--rt-text) 14%, transparent);
  --rt-fill: color-mix(in srgb, var(--rt-text) 5%, transparent);
  --rt-priority: #E69F00; --rt-standard: #56B4E9;
  --s1: 4px; --s2: 8px; --s3: 12px; --s4: 16px; --s5: 24px;
  --large: var(--agentrt-type, 1); --t0: calc(12px * var(--large)); --t1: calc(13px * var(--large));
  --t2: calc(15px * var(--large)); --t3: calc(20px * var(--large)); --t4: calc(26px * var(--large));
  color: var(--rt-text); font: var(--t1)/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; box-sizing: border-box;
}
* { box-sizing: border-box; }
h2, h3, p, dl, dd, pre, ul, ol { margin: 0; padding: 0; }
h2 { font-size: var(--t3); font-weight: 600; line-height: 1.25; overflow-wrap: anywhere; }
h3 { font-size: var(--t2); font-weight: 600; }
a { color: color-mix(in srgb, #0072B2 60%, var(--rt-text)); }
code, pre { font: var(--t0)/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.muted { color: var(--rt-muted); }
.num { text-align: right; white-space: nowrap; }
.chip { display: inline-flex; align-items: center; gap: 5px; padding: 1px 9px 1px 7px; border-radius: 999px;
  white-space: nowrap; font-size: var(--t0); font-weight: 600; line-height: 1.6;
  color: color-mix(in srgb, var(--tone) 42%, var(--rt-text));
  background: color-mix(in srgb, var(--tone) 16%, transparent);
  border: 1px solid color-mix(in srgb, var(--tone) 45%, transparent); }
.chip i { font-style: normal; color: color-mix(in srgb, var(--tone) 78%, var(--rt-text)); }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: var(--s2) var(--s3); }
.spread { justify-content: space-between; }
.bar { display: block; height: 8px; border-radius: 4px; background: var(--rt-fill); overflow: hidden;
  box-shadow: inset 0 0 0 1px var(--rt-line); }
.bar b { display: block; height: 100%; background: var(--tone); min-width: 0; }
.tone { color: color-mix(in srgb, var(--tone) 55%, var(--rt-text)); font-weight: 600; }
button.link { all: unset; cursor: pointer; color: color-mix(in srgb, #0072B2 60%, var(--rt-text));
  text-decoration: underline; }
button.link:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid #0072B2; outline-offset: 2px;
  border-radius: 3px; }
.empty { padding: var(--s4); border: 1px dashed var(--rt-line); border-radius: 8px; color: var(--rt-muted); }
.empty pre { margin-top: var(--s2); color: var(--rt-text); background: var(--rt-fill); padding: var(--s3);
  border-radius: 6px;
  overflow-x: auto; user-select: all; }
.fresh { animation: fresh .6s ease-out; }
@keyframes fresh { from { opacity: 0; } }
@media (prefers-reduced-motion: reduce) { .fresh { animation: none; } }
"""


def style(figure: Any) -> Any:
    """A Bokeh figure in the style of the page: no frame, quiet axes, small text. Returns the figure."""
    figure.background_fill_alpha = figure.border_fill_alpha = 0
    figure.outline_line_color = None
    figure.toolbar_location = None
    figure.min_border_left = 56
    for axis in figure.axis:
        axis.axis_line_alpha = 0
        axis.major_tick_line_alpha = axis.minor_tick_line_alpha = 0
        axis.major_label_text_color = axis.axis_label_text_color = NEUTRAL
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "11px"
        axis.axis_label_text_font_style = "normal"
    for grid in figure.grid:
        grid.grid_line_color, grid.grid_line_alpha = NEUTRAL, 0.18
    figure.xgrid.grid_line_color = None
    return figure
