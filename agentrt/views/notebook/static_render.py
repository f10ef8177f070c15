"""A runtime or a manager as a picture and a text: where nothing live can be shown, and in what is saved or sent on."""

from __future__ import annotations

from base64 import b64encode

from ...feed.source import Subject
from ...snapshot import Snapshot
from .. import svg
from ..html import Markup, b, code, div, fragment, img, symbol
from ..text import brief, plain, safe_text
from ..theme import LANES, STATUSES, Look, look_of

__all__ = ["image", "manager_html", "manager_text", "picture", "runtime_html", "runtime_text", "text_and_picture"]

WIDTH, HEIGHT = 640, 116
# No one colour reads well on white and on black alike, so the picture has a ground of its own. A browser tells it which
# scheme the page around it declares: on a page that is dark and says so, it is dark.
PAPER, INK, PALE = "#ffffff", "#1d2127", "#9aa0a8"
DARK_PAPER, DARK_INK = "#14181e", "#dfe3e8"
DARK = f"@media (prefers-color-scheme: dark) {{ svg {{ fill: {DARK_INK} }} .paper {{ fill: {DARK_PAPER} }} }}"


def image(snapshot: Snapshot) -> Markup:
    """The same as an image: Jupyter removes an SVG from the output of a notebook that is not trusted."""
    fates = snapshot.fates
    failed = fates.failed + fates.timed_out
    words = f"{status_and_depths(snapshot)}, {fates.done + failed:,} processed, {failed:,} failed"
    data = b64encode(picture(snapshot).encode()).decode()
    return IMAGE(src=f"data:image/svg+xml;base64,{data}", alt=words)


IMAGE = img.with_(style=f"display:block;width:100%;max-width:{WIDTH}px")


def status_and_depths(snapshot: Snapshot) -> str:
    """Its id, its status, and how many wait in each lane."""
    word, depth = look_of(snapshot.status.value).word, snapshot.depth
    return f"{plain(snapshot.id, 40)}, {word}, {depth[0]} and {depth[1]} waiting"


def picture(snapshot: Snapshot) -> Markup:
    """One runtime as an SVG: its status, both lanes on one scale, its counts."""
    look, fates = look_of(snapshot.status.value), snapshot.fates
    failed = fates.failed + fates.timed_out
    lanes = zip(LANES, snapshot.depth, snapshot.capacity, (60, 86), strict=True)
    right = WIDTH - 150
    return FRAME(
        svg.style(DARK),
        GROUND(),
        svg.text(plain(snapshot.id, 36), x=16, y=30, font_size=17, font_weight=600),
        svg.circle(cx=right, cy=25, r=5, fill=look.tone),
        svg.text(f"{look.glyph} {look.word}", x=right + 12, y=30, font_weight=600),
        [_lane_bar(y, LANES[lane], depth, capacity, max(1, *snapshot.depth)) for lane, depth, capacity, y in lanes],
        svg.text(f"{fates.done + failed:,} processed", x=right, y=72),
        svg.text(f"{failed:,} failed", x=right, y=98),
        aria_label=status_and_depths(snapshot),
    )


FRAME = svg.drawing.with_(
    xmlns="http://www.w3.org/2000/svg",
    viewBox=f"0 0 {WIDTH} {HEIGHT}",
    width="100%",
    style=f"max-width:{WIDTH}px",
    role="img",
    font_family="system-ui, Segoe UI, Roboto, sans-serif",
    font_size=13,
    fill=INK,
)

GROUND = svg.rect.with_(
    cls="paper", x=".5", y=".5", width=WIDTH - 1, height=HEIGHT - 1, rx=10, fill=PAPER, stroke=PALE, stroke_opacity=".5"
)


def _lane_bar(y: int, look: Look, depth: int, capacity: int, most: int) -> Markup:
    bar = svg.rect.with_(x=110, y=y, height=14, rx=4)
    return fragment(
        svg.text(f"{look.glyph} {look.word}", x=16, y=y + 12),
        bar(width=230, fill=PALE, fill_opacity=".2"),
        bar(width=round(230 * depth / most), fill=look.tone),
        svg.text(f"{depth:,} of {capacity:,}", x=352, y=y + 12),
    )


def runtime_html(snapshot: Snapshot) -> Markup:
    """The picture, the state, and the last error."""
    error = snapshot.error and (snapshot.error.__cause__ or snapshot.error)
    words = safe_text(f"{type(error).__name__}: {error}", 200)
    wrong = WRONG(symbol(STATUSES["error"]), " ", words) if error else None
    state = div(b("state"), " ", code(safe_text(brief(snapshot.state, 400), 400)))
    return div(image(snapshot), state, wrong)


# Mixed with the colour of the text around it, it can be read on any ground. Without the mix it has that one.
WRONG = div.with_(style=f"color:color-mix(in srgb, {STATUSES['error'].tone} 50%, currentColor)")


def runtime_text(snapshot: Snapshot) -> str:
    """One line."""
    fates = snapshot.fates
    ended = fates.done + fates.failed + fates.timed_out
    return (
        f"<Runtime {snapshot.id!r} {snapshot.status.value}, "
        f"waiting {snapshot.depth[0]} priority {snapshot.depth[1]} standard, "
        f"processed {ended}, failed {fates.failed + fates.timed_out}, state {brief(snapshot.state, 120)}>"
    )


def manager_html(snapshots: list[Snapshot], most: int = 12) -> Markup:
    """The pictures of the first runtimes, and how many more there are."""
    more = div(f"and {len(snapshots) - most:,} more") if len(snapshots) > most else None
    return div([image(snapshot) for snapshot in snapshots[:most]] or "no runtime yet", more)


def manager_text(name: str, snapshots: list[Snapshot], most: int = 30) -> str:
    """One line a runtime."""
    lines = [runtime_text(snapshot) for snapshot in snapshots[:most]]
    more = [f"… {len(snapshots) - most} more"] if len(snapshots) > most else []
    return "\n".join([f"<RuntimeManager {name!r}, {len(snapshots)} runtimes>", *lines, *more])


def text_and_picture(subject: Subject) -> tuple[str, Markup | None]:
    """A runtime or a manager as it is now: a text, and a picture unless it has ended."""
    source = subject.source
    if subject.id is None:
        shots = source.snapshots()
        return manager_text(source.name, shots), manager_html(shots)
    shot = source.snapshot(subject.id)
    return (f"{subject!r} has ended", None) if shot is None else (runtime_text(shot), runtime_html(shot))
