"""A graph drawn by React Flow: the nodes and edges that it takes, and the frame, in the style of the other views.

It comes compiled with panel-reactflow and fetches nothing. The style sheet changes two of its defaults: the wheel
scrolls the page, and zooms only in a graph with the focus; the handles for drawing edges are hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from panel_reactflow import ReactFlow
from param.parameterized import discard_events

from ..theme import CSS, NEUTRAL, STATUSES
from .labels import Box, Point

__all__ = ["box_of", "edge_of", "graph_of", "label_of_edge", "line_of", "node_of", "redraw", "width_of", "zoom_of"]

Props = dict[str, Any]
Place = tuple[int, int]  # column and row
WIDTH, HEIGHT, ACROSS, DOWN = 164, 62, 300, 86  # a label of 18 letters fits between two columns
LARGEST, PADDING = 1.25, 1.12
# Of the way of an edge, where its label may stand: from the middle outwards, not so far that edges lie together.
PARTS = [0.5, *(0.5 + sign * step * 0.055 for step in range(1, 8) for sign in (-1, 1))]
LABEL_END = "-label"  # of the id of a label; before it comes the id of its edge
ARROW = {"type": "arrowclosed", "width": 18, "height": 18, "markerUnits": "userSpaceOnUse"}
GRAPH = (
    CSS
    + f"""
.react-flow {{ --xy-background-color: transparent; --xy-edge-label-background-color: var(--rt-surface);
  --xy-edge-label-color: var(--rt-text); --xy-controls-button-background-color: var(--rt-surface);
  --xy-controls-button-color: var(--rt-text); --xy-controls-button-border-color: var(--rt-line);
  --xy-controls-button-background-color-hover: var(--rt-fill); --xy-attribution-background-color: transparent; }}
.react-flow__background {{ display: none; }}
.react-flow__controls-interactive {{ display: none; }}
.react-flow__attribution a {{ color: var(--rt-muted); }}
/* Where edges end is measured once, and that may be before the style sheet with these places has come. */
.react-flow__node {{ position: absolute; }}
.react-flow__handle {{ visibility: hidden; position: absolute; top: 50%; width: 6px; height: 6px; }}
.react-flow__handle-right {{ left: auto; right: 0; transform: translate(50%, -50%); }}
.react-flow__handle-left {{ left: 0; right: auto; transform: translate(-50%, -50%); }}
.react-flow:not(:focus-within) .react-flow__pane {{ pointer-events: none; }}
.react-flow__node.flow-node {{ background: var(--rt-surface); color: var(--rt-text); border: 1px solid var(--rt-line);
  border-left: 5px solid var(--tone); border-radius: 8px; min-width: 0; box-shadow: none; cursor: pointer;
  width: {WIDTH}px; height: {HEIGHT}px; overflow: hidden; }}
.react-flow__node.flow-node:hover, .react-flow__node.flow-node:focus-visible {{ outline: 2px solid #0072B2; }}
.flow-node.many {{ box-shadow: 4px 4px 0 -1px var(--rt-surface), 4px 4px 0 0 var(--rt-line); }}
.flow-node.still {{ cursor: default; border-left-width: 1px; border-style: dashed; }}
.flow-node .rf-node-content {{ padding: 5px 8px; min-width: 0; }}
.flow-node .rf-node-label {{ margin: 0 !important; font-weight: 400 !important; font-size: 12px; line-height: 17px;
  white-space: pre; overflow: hidden; text-overflow: ellipsis; font-variant-numeric: tabular-nums; }}
.flow-node .rf-node-label::first-line {{ font-weight: 650; font-size: 13px; }}
.react-flow__edge.label {{ pointer-events: none; }}
.react-flow__edge-text {{ font-size: 12px; font-variant-numeric: tabular-nums; }}
"""
    + "".join(f".tone-{name} {{ --tone: {look.tone}; }}\n" for name, look in STATUSES.items())
)


def graph_of(
    nodes: list[dict[str, Any]],
    edges: list[dict[str, Any]],
    rows: int,
    on: Mapping[str, Callable[[dict[str, Any]], Any]],
) -> Any:
    """The frame. It fits the graph into itself once, when it is made. `on` has handlers: select, hover, leave, fit."""
    graph = ReactFlow(
        nodes=nodes,
        edges=edges,
        height=_height(rows),
        sizing_mode="stretch_width",
        margin=0,
        stylesheets=[GRAPH],
        enable_connect=False,
        enable_delete=False,
        enable_multiselect=False,
        editor_mode="side",
        default_node_editor=_no_editor,
        default_edge_editor=_no_editor,
        min_zoom=0.2,
        max_zoom=LARGEST,
        popup_trigger="hover",
        popup_hover_delay=250,
    )
    _remove_view_watcher(graph)
    for event, name in (("selection_changed", "select"), ("edge_hovered", "hover"), ("edge_unhovered", "leave")):
        graph.on(event, on[name])
    graph.param.watch(lambda event: on["fit"](event.new or {}), "viewport")
    return graph


def redraw(graph: Any, **lists: list[Props]) -> None:
    """Set the nodes or edges of a graph if they differ from those it has."""
    lists = {name: new for name, new in lists.items() if new != getattr(graph, name)}
    # param compares old and new item by item for each watcher, which takes longer than everything else; with an empty
    # list it has nothing to compare.
    with discard_events(graph):
        graph.param.update(**{name: [] for name in lists})
    graph.param.update(**lists)
    if "nodes" in lists:
        graph._node_update_count += 1


def _remove_view_watcher(graph: Any) -> None:
    """Stop the search for Panel views in the nodes, which have none.

    At each change it walks the whole page, which takes five times as long as everything else. The rest of what it does,
    `redraw` does.
    """
    for watcher in list(graph.param.watchers.get("nodes", {}).get("value", ())):
        if getattr(watcher.fn, "__name__", "") == "_update_views":
            graph.param.unwatch(watcher)


def _height(rows: int) -> int:
    return min(580, max(360, rows * DOWN + 60))


def zoom_of(size: tuple[int, int], width: float) -> float:
    """The zoom of so many columns and rows in a frame of that width, in pixels."""
    columns, rows = size
    across = width / (PADDING * ((columns - 1) * ACROSS + WIDTH))
    return min(across, _height(rows) / (PADDING * ((rows - 0.5) * DOWN + HEIGHT)), LARGEST)


def width_of(size: tuple[int, int], zoom: float) -> float:
    """The width, in pixels, of a frame that shows so many columns and rows at that zoom."""
    return zoom * PADDING * ((size[0] - 1) * ACROSS + WIDTH)


def _no_editor(*args: Any, **options: Any) -> None:
    """No editor: this graph is only shown."""


def box_of(place: Place) -> Box:
    """Where a node is. Every other column is half a row lower: an edge that passes a column runs between its nodes."""
    left, top = place[0] * ACROSS, (place[1] + place[0] % 2 / 2) * DOWN
    return Box(left, top, left + WIDTH, top + HEIGHT)


def line_of(source: Place, target: Place) -> list[Point]:
    """Points of the curve that React Flow draws: from the right of a node to the left of another, the middle first."""
    begin, end = box_of(source), box_of(target)
    across = end.left - begin.right
    reach = across / 2 if across >= 0 else 6.25 * math.sqrt(-across)  # how far it goes on before it bends
    top, bottom = begin.top + HEIGHT / 2, end.top + HEIGHT / 2
    return [
        Point(
            _bezier((begin.right, begin.right + reach, end.left - reach, end.left), part),
            _bezier((top, top, bottom, bottom), part),
        )
        for part in PARTS
    ]


def _bezier(points: tuple[float, float, float, float], part: float) -> float:
    """One coordinate of a cubic curve, at a part of its way."""
    rest = 1 - part
    weights = (rest**3, 3 * rest**2 * part, 3 * rest * part**2, part**3)
    return sum(weight * point for weight, point in zip(weights, points, strict=True))


def node_of(number: str, place: Place, kind: str, name: str, label: str, tone: str) -> Props:
    """A node of kind one, many or still (nothing to open), with a label of up to three lines of plain text."""
    box = box_of(place)
    return {
        "id": number,
        "type": "panel",
        "position": {"x": box.left, "y": box.top},
        "width": WIDTH,
        "height": HEIGHT,
        "measured": {
            "width": WIDTH,
            "height": HEIGHT,
        },  # else the page measures it again at each change, and it flickers
        "className": f"flow-node nowheel {kind} tone-{tone}",
        "label": label,
        "ariaLabel": ", ".join([name, *label.splitlines()[1:]]),
        "draggable": False,
        "data": {},
    }


def edge_of(
    source: str, target: str, words: str, rate: float, *, wrong: bool, quiet: bool, crosses: bool = False
) -> Props:
    """An edge: thick for a high rate, in the error tone where something failed, pale where nothing is sent.

    It is dashed if it `crosses` from one node of a cluster to another.
    """
    tone = STATUSES["error"].tone if wrong else NEUTRAL
    dashes = {"strokeDasharray": "7 4"} if crosses else {}
    return {
        "id": f"{source}-{target}",
        "source": source,
        "target": target,
        "ariaLabel": words,
        "focusable": False,
        "style": {"stroke": tone, "strokeWidth": _stroke_width(rate), "opacity": 0.35 if quiet else 1, **dashes},
        "markerEnd": {**ARROW, "color": tone},
        "data": {},
    }


def label_of_edge(source: str, target: str, text: str, move: Point) -> Props:
    """The label of an edge, moved by that much from its middle: an edge of its own that has no line.

    Each edge is drawn whole, its label with it. With those of the labels last, no line goes through one.
    """
    moved = {"transform": f"translate({move.x:g}px, {move.y:g}px)"} if any(move) else {}
    return {
        "id": f"{source}-{target}{LABEL_END}",
        "source": source,
        "target": target,
        "className": "label",
        "label": text,
        "labelStyle": moved,
        "labelBgStyle": moved,
        "ariaLabel": text,
        "focusable": False,
        "style": {"stroke": "none"},
        "data": {},
    }


def _stroke_width(per_second: float) -> float:
    return round(min(5.0, 1.5 + 0.8 * math.log2(1 + per_second)), 1)
