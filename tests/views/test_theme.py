import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from agentrt import Fate, Lane, ProcessingError, RuntimeManager, Status
from agentrt.views import theme
from agentrt.views.html import chip
from agentrt.views.notebook.static_render import (
    DARK,
    DARK_INK,
    DARK_PAPER,
    INK,
    PAPER,
    picture,
    runtime_html,
)
from agentrt.views.theme import CSS, FATES, LANES, STATUSES, look_of, look_of_fate
from tests.support import add, fail

VIEWS = Path(theme.__file__).parent


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread") as manager:
        yield manager


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def mixed(share: float, one: str, other: str) -> str:
    parts = [(int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in parts)


def test_a_failed_activity_does_not_look_like_a_failed_runtime():
    assert look_of("failed") == STATUSES["failed"]
    assert look_of_fate("failed") == FATES["failed"]
    assert look_of_fate("accepted") == look_of("accepted")


def test_every_status_lane_and_fate_has_a_look():
    assert set(STATUSES) == {status.value for status in Status}
    assert set(LANES) == {lane.value for lane in Lane}
    assert set(FATES) == {fate.value for fate in Fate} | {"pending"}


@pytest.mark.parametrize("looks", [STATUSES, LANES, FATES])
def test_none_is_told_by_colour_alone(looks):
    for part in ("glyph", "word", "tone", "drawing"):
        assert len({getattr(look, part) for look in looks.values()}) == len(looks)


@pytest.mark.parametrize(("text", "surface"), [("#1d2127", "#ffffff"), ("#ffffff", "#121212")], ids=["light", "dark"])
@pytest.mark.parametrize("look", [*STATUSES.values(), *LANES.values(), *FATES.values()], ids=lambda look: look.word)
def test_a_chip_can_be_read_in_both_themes(look, text, surface):
    on_text = int(re.search(r"color-mix\(in srgb, var\(--tone\) (\d+)%, var\(--rt-text\)\)", CSS)[1]) / 100
    assert contrast(mixed(on_text, look.tone, text), mixed(0.16, look.tone, surface)) >= 4.5


def test_a_still_picture_can_be_read_on_either_ground(manager):
    assert contrast(INK, PAPER) >= 4.5
    assert contrast(DARK_INK, DARK_PAPER) >= 4.5
    drawing = ElementTree.fromstring(picture(manager.create("sum", 0, add).snapshot()))
    space = "{http://www.w3.org/2000/svg}"
    assert drawing.get("fill") == INK
    assert [each for each in drawing.iter(f"{space}text") if each.get("fill") or each.get("opacity")] == []
    ground = drawing.find(f"{space}rect")
    assert (ground.get("fill"), ground.get("class"), ground.get("fill-opacity")) == (PAPER, "paper", None)
    assert drawing.find(f"{space}style").text == DARK
    assert f"svg {{ fill: {DARK_INK} }}" in DARK
    assert f".paper {{ fill: {DARK_PAPER} }}" in DARK


# The text and the ground of a page of Jupyter, and of the site.
@pytest.mark.parametrize(("text", "ground"), [("#212121", "#ffffff"), ("#222832", "#ffffff"), ("#ced6dd", "#14181e")])
def test_the_error_below_a_still_picture_can_be_read_in_both_themes(manager, text, ground):
    runtime = manager.create("sum", 0, fail)
    with pytest.raises(ProcessingError):
        manager.run(runtime.ask(1))
    share, tone = re.search(
        r"color:color-mix\(in srgb, (#\w{6}) (\d+)%, currentColor\)", runtime_html(runtime.snapshot())
    ).groups()[::-1]
    assert contrast(mixed(int(share) / 100, tone, text), ground) >= 4.5


def test_a_new_word_gets_a_neutral_look_and_is_escaped():
    assert "&lt;b&gt;" in chip(look_of("<b>"))
    assert look_of("processing").drawing in chip(look_of("processing"))


# What every font with Latin, Greek and Cyrillic letters has besides Latin 1, as far as views use it.
IN_EVERY_FONT = set("\u2013\u2014\u2018\u2019\u201c\u201d\u2020\u2026\u2190\u2191\u2192\u2193\u2212\u221a\u2551")
IN_EVERY_FONT |= set("\u25a0\u25b2\u25ba\u25ac\u25ca\u25cb\u25cf\u25e6\u03bb\u03bc\u03c1")
NEVER_SHOWN = {"text.py": set("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")}  # looked for in other texts


@pytest.mark.parametrize("path", sorted(VIEWS.rglob("*.py")), ids=lambda path: str(path.relative_to(VIEWS)))
def test_no_text_of_a_view_has_a_glyph_that_a_font_may_lack(path):
    """What is drawn as an icon is a drawing."""
    texts = [each.value for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Constant)]
    odd = {char for text in texts if isinstance(text, str) for char in text if char > "\xff" and char.isprintable()}
    assert odd - IN_EVERY_FONT - NEVER_SHOWN.get(path.name, set()) == set()


@pytest.mark.parametrize("path", sorted(VIEWS.rglob("*.js")), ids=lambda path: path.name)
def test_no_script_has_a_glyph_that_a_font_may_lack(path):
    assert {char for char in path.read_text() if char > "\xff"} - IN_EVERY_FONT == set()
