"""A runtime or a manager as a picture and a text: where nothing live can be shown, and in what is saved or sent on."""

from __future__ import annotations

from ...snapshot import Snapshot
from ..text import brief, safe_text
from ..theme import LANES, STATUSES, look_of

__all__ = ["manager_html", "manager_text", "picture", "runtime_html", "runtime_text"]

WIDTH, HEIGHT = 640, 116
FONT = "font-family='system-ui, Segoe UI, Roboto, sans-serif'"
# Reads on white and on black alike: a picture can't know its page.
INK, PALE = "#797c80", "#9aa0a8"


def picture(snapshot: Snapshot) -> str:
    """One runtime as an SVG: its status, both lanes on one scale, its counts."""
    look, fates = look_of(snapshot.status.value), snapshot.fates
    ended = fates.done + fates.failed + fates.timed_out
    most = max(1, *snapshot.depth)
    lanes = "".join(
        _lane(60 + 26 * i, lane, depth, capacity, most)
        for i, (lane, depth, capacity) in enumerate(zip(LANES, snapshot.depth, snapshot.capacity, strict=True))
    )
    words = f"{safe_text(snapshot.id, 40)}, {look.word}, {snapshot.depth[0]} and {snapshot.depth[1]} waiting"
    right = WIDTH - 150
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%"
style="max-width:{WIDTH}px" role="img" aria-label="{words}" {FONT} font-size="13" fill="{INK}">
<rect x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10" fill="none" stroke="{PALE}" stroke-opacity=".5"/>
<text x="16" y="30" font-size="17" font-weight="600">{safe_text(snapshot.id, 36)}</text>
<circle cx="{right}" cy="25" r="5" fill="{look.tone}"/>
<text x="{right + 12}" y="30" font-weight="600">{look.glyph} {look.word}</text>{lanes}
<text x="{right}" y="72">{ended:,} processed</text>
<text x="{right}" y="98">{fates.failed + fates.timed_out:,} failed</text></svg>"""


def _lane(y: int, lane: str, depth: int, capacity: int, most: int) -> str:
    look = LANES[lane]
    width = round(230 * depth / most)
    return f"""<text x="16" y="{y + 12}">{look.glyph} {look.word}</text>
<rect x="110" y="{y}" width="230" height="14" rx="4" fill="{PALE}" fill-opacity=".2"/>
<rect x="110" y="{y}" width="{width}" height="14" rx="4" fill="{look.tone}"/>
<text x="352" y="{y + 12}">{depth:,} of {capacity:,}</text>"""


def runtime_html(snapshot: Snapshot) -> str:
    """The picture, the state, and the last error."""
    error = snapshot.error and (snapshot.error.__cause__ or snapshot.error)
    words = safe_text(f"{type(error).__name__}: {error}", 200)
    wrong = f'<div style="color:{STATUSES["error"].tone}">✕ {words}</div>' if error else ""
    state = safe_text(brief(snapshot.state, 400), 400)
    return f"<div>{picture(snapshot)}<div><b>state</b> <code>{state}</code></div>{wrong}</div>"


def runtime_text(snapshot: Snapshot) -> str:
    """One line."""
    fates = snapshot.fates
    ended = fates.done + fates.failed + fates.timed_out
    return (
        f"<Runtime {snapshot.id!r} {snapshot.status.value}, "
        f"waiting {snapshot.depth[0]} priority {snapshot.depth[1]} standard, "
        f"processed {ended}, failed {fates.failed + fates.timed_out}, state {brief(snapshot.state, 120)}>"
    )


def manager_html(snapshots: list[Snapshot], most: int = 12) -> str:
    """The pictures of the first runtimes, and how many more there are."""
    pictures = "".join(map(picture, snapshots[:most]))
    more = f"<div>and {len(snapshots) - most:,} more</div>" if len(snapshots) > most else ""
    return f"<div>{pictures or 'no runtime yet'}{more}</div>"


def manager_text(name: str, snapshots: list[Snapshot], most: int = 30) -> str:
    """One line a runtime."""
    lines = [runtime_text(snapshot) for snapshot in snapshots[:most]]
    more = [f"… {len(snapshots) - most} more"] if len(snapshots) > most else []
    return "\n".join([f"<RuntimeManager {name!r}, {len(snapshots)} runtimes>", *lines, *more])
