import re

import pytest

from agentrt import Fate, Lane, Status
from agentrt.views.html import chip
from agentrt.views.theme import CSS, FATES, LANES, STATUSES, look_of, look_of_fate


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
    for part in ("glyph", "word", "tone"):
        assert len({getattr(look, part) for look in looks.values()}) == len(looks)


@pytest.mark.parametrize(("text", "surface"), [("#1d2127", "#ffffff"), ("#ffffff", "#121212")], ids=["light", "dark"])
@pytest.mark.parametrize("look", [*STATUSES.values(), *LANES.values(), *FATES.values()], ids=lambda look: look.word)
def test_a_chip_can_be_read_in_both_themes(look, text, surface):
    on_text = int(re.search(r"color-mix\(in srgb, var\(--tone\) (\d+)%, var\(--rt-text\)\)", CSS)[1]) / 100
    assert contrast(mixed(on_text, look.tone, text), mixed(0.16, look.tone, surface)) >= 4.5


def test_a_new_word_gets_a_neutral_look_and_is_escaped():
    assert "&lt;b&gt;" in chip(look_of("<b>"))
    assert look_of("processing").glyph in chip(look_of("processing"))
