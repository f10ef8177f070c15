"""A schedule as a sequence diagram, in text and as SVG: a lifeline for each process, an arrow for each message."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from ...schema.preview import preview
from .schedule import Move, Schedule

__all__ = ["draw_schedule", "print_schedule"]

COLUMN, ROW, TOP, LEFT = 170, 30, 44, 44
LONGEST = 22  # letters beside a step
LAST = 9 + 7 * LONGEST - COLUMN // 2  # right of the last column, for the words of its steps
FAILED = "color-mix(in srgb, #c62828 55%, currentColor)"  # is read on a light page and on a dark one
STYLE = "font: 12px system-ui, sans-serif; color: inherit; max-width: 100%; height: auto; display: block"


class Arrow(NamedTuple):
    """A message: from the step and the process that sent it to those that took it (None: nobody has yet)."""

    sent: int
    sender: str
    taken: int | None
    taker: str
    text: str


def find_lifelines(schedule: Schedule) -> list[str]:
    """Who takes part, in the order in which they come."""
    found: dict[str, None] = {}
    for move in schedule:
        found[move.process] = None
        for kind, runtime, _ in move.acts:
            if kind == "send":
                found[runtime] = None
    return list(found)


def find_arrows(schedule: Schedule) -> list[Arrow]:
    """The messages of a schedule, in the order in which they were sent."""
    taken = {
        record.id: row for row, move in enumerate(schedule) for kind, _, record in move.acts if kind == "take"
    }  # fmt: skip
    return [
        Arrow(row, move.process, taken.get(record.id), runtime, preview(record.payload, 24))
        for row, move in enumerate(schedule)
        for kind, runtime, record in move.acts
        if kind == "send"
    ]


def words_of(move: Move) -> str:
    """What a step does, besides sending."""
    return ", ".join(text for text in move.does if not text.startswith("sends "))


def print_schedule(schedule: Schedule) -> str:
    """The diagram as text: a column for each process; `>` and `<` show where a message goes."""
    names = find_lifelines(schedule)
    width = max(12, *(len(name) + 3 for name in names), *(len(_cell(move)) + 3 for move in schedule))
    lines = ["     " + "".join(name.ljust(width) for name in names).rstrip()]
    for row, move in enumerate(schedule, 1):
        cells = ["|"] * len(names)
        cells[names.index(move.process)] = _cell(move)
        for kind, runtime, _ in move.acts:
            if kind == "send" and runtime != move.process:
                to, own = names.index(runtime), names.index(move.process)
                cells[to] = ">" if to > own else "<"
        lines.append(f"{row:>3}. " + "".join(cell.ljust(width) for cell in cells).rstrip())
    return "\n".join(lines)


def _cell(move: Move) -> str:
    return ", ".join(move.does) or "goes on"


def draw_schedule(schedule: Schedule, title: str = "") -> str:
    """The diagram as SVG, in the colour of the text around it."""
    names = find_lifelines(schedule)
    xs = {name: LEFT + COLUMN // 2 + n * COLUMN for n, name in enumerate(names)}
    width, height = LEFT + COLUMN * len(names) + LAST, TOP + ROW * len(schedule) + 20
    parts = [*_draw_lifelines(xs, height), *(_draw_arrow(arrow, xs) for arrow in find_arrows(schedule))]
    for row, move in enumerate(schedule):
        parts.append(_draw_step(row, move, xs))
    label = escape(title or f"{len(schedule)} steps", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="0 0 {width} {height}" '
        f'width="{width}" style="{STYLE}" fill="currentColor">{"".join(parts)}</svg>'
    )


def _draw_lifelines(xs: dict[str, int], height: int) -> list[str]:
    return [
        f'<text x="{x}" y="18" text-anchor="middle" font-weight="600">{escape(_abbreviate(name))}'
        f'<title>{escape(name)}</title></text><line x1="{x}" x2="{x}" y1="26" y2="{height - 6}" '
        'stroke="currentColor" stroke-opacity=".35" stroke-dasharray="3 4"/>'
        for name, x in xs.items()
    ]


def _draw_step(row: int, move: Move, xs: dict[str, int]) -> str:
    x, y = xs[move.process], TOP + ROW * row
    failed = any(kind in ("failed", "timed_out") for kind, _, _ in move.acts)
    fill = FAILED if failed else "currentColor"
    words = escape(_abbreviate(words_of(move), LONGEST))
    return (
        f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end" fill-opacity=".6">{row + 1}</text>'
        f'<circle cx="{x}" cy="{y}" r="4.5" style="fill:{fill}"><title>{escape(str(move))}</title></circle>'
        + (f'<text x="{x + 9}" y="{y + 14}" style="fill:{fill}">{words}</text>' if words else "")
    )


def _draw_arrow(arrow: Arrow, xs: dict[str, int]) -> str:
    """From where it was sent to where it was taken; the head is a small triangle."""
    x1, y1, x2 = xs[arrow.sender], TOP + ROW * arrow.sent, xs[arrow.taker]
    y2 = TOP + ROW * (arrow.sent if arrow.taken is None else arrow.taken)
    side = 1 if x2 >= x1 else -1
    end = x2 - 6 * side
    dash = ' stroke-dasharray="5 4"' if arrow.taken is None else ""
    text_x = x1 + 10 * side
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{end}" y2="{y2}" stroke="currentColor" stroke-opacity=".7"{dash}/>'
        f'<path d="M{end} {y2} l{-7 * side} -4 l0 8 z" fill-opacity=".7"/>'
        f'<text x="{text_x}" y="{y1 - 6}" text-anchor="{"start" if side > 0 else "end"}">{escape(arrow.text)}</text>'
    )


def _abbreviate(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
