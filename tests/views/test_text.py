import math

import msgspec
import pytest

from agentrt.views import text
from agentrt.views.text import brief, duration, listing, percent, plain, quantity, rate, safe_block, safe_text, si

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "&lt;script&gt;",
    "</style><script>alert(1)</script>",
    "<!-- --><a href='javascript:alert(1)'>x</a>",
]


@pytest.mark.parametrize("string", HOSTILE)
@pytest.mark.parametrize("wrap", [str, lambda s: {s: [s]}, lambda s: ValueError(s), lambda s: (s,)])
def test_nothing_in_a_safe_text_is_markup(string, wrap):
    shown = safe_text(wrap(string), 400)
    assert not set("<>\"'") & set(shown)
    assert not set("<>\"'") & set(safe_block(string))


def test_control_characters_can_be_seen():
    assert plain("a\nb\tc\x00\x1b[31m\x7f") == r"a\nb\tc\x00\x1b[31m\x7f"
    assert plain("abc\u202exe.txt\u2028") == r"abc\u202exe.txt\u2028"
    assert plain("\ud800") == r"\ud800"
    assert plain("a\u00a0b\u00e9") == "a\u00a0b\u00e9"


@pytest.mark.parametrize(
    "joined",
    [
        "\U0001f469\u200d\U0001f469\u200d\U0001f467",
        "\U0001f469\U0001f3fd\u200d\U0001f680",
        "\u2764\ufe0f\u200d\U0001f525",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
    ],
    ids=["family", "astronaut", "heart on fire", "Persian", "Hindi"],
)
def test_what_is_joined_stays_joined(joined):
    assert plain(joined) == joined
    assert "\u200d" not in plain(joined, 3)[-2:]


@pytest.mark.parametrize(
    "joined", ["a\u200db", "\u200da", "a\u200d", "\u65e5\u200d\u672c", "\U0001f469\u200c\U0001f467"]
)
def test_a_joiner_that_joins_nothing_can_be_seen(joined):
    assert r"\u200" in plain(joined)


def test_a_long_text_is_shortened():
    assert plain("x" * 1000, 50) == "x" * 49 + "…"
    assert len(safe_text("<" * 1000, 50)) <= 50 * len("&lt;")


def test_a_block_keeps_its_last_lines():
    assert safe_block("\n".join(map(str, range(100))), lines=2) == "… 98 lines left out\n98\n99"


class Wrong:
    def __repr__(self):
        raise RuntimeError("no")


class Point(msgspec.Struct):
    x: int
    label: str


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([1, 2], "[1, 2]"),
        ({"a": (1, "b")}, "{'a': (1, 'b')}"),
        (Point(1, "a"), "Point(x=1, label='a')"),
        ([[[[1]]]], "[[[[…]]]]"),
        (Wrong(), "<Wrong, whose repr raises RuntimeError>"),
        ({1, 2}, "{1, 2}"),
        (None, "None"),
        (Point, repr(Point)),
    ],
)
def test_brief_reads_like_repr(value, shown):
    assert brief(value) == shown


def test_brief_of_something_that_holds_itself_ends():
    loop = []
    loop.append(loop)
    assert brief(loop) == "[[[[…]]]]"


def test_brief_looks_at_a_few_parts_only():
    class Endless(dict):
        def items(self):
            for n in range(20):
                assert n < 10, "looked at too many"
                yield n, n

    assert "more" in brief(Endless(dict.fromkeys(range(20))))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "—"),
        (math.nan, "—"),
        (0, "0 s"),
        (0.000_000_5, "0.5 µs"),
        (0.0123, "12.3 ms"),
        (0.9999, "1.0 s"),
        (12, "12 s"),
        (100, "1.7 min"),
        (600, "10 min"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (86400 * 2.5, "2 d 12 h"),
    ],
)
def test_a_duration_in_words(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (999.96, "1.0k"), (1000, "1k"), (1_234_567, "1.2M"), (0.001, "0.001")]
)
def test_si(number, shown):
    assert si(number) == shown


def test_rates_counts_shares_and_lists():
    assert (rate(0), rate(0.1), rate(5), rate(1e-6)) == ("0/s", "0.1/s", "5/s", "under 0.001/s")
    assert (rate(0, 60), rate(0.1, 900), rate(5, 3600)) == ("0/min", "6/min", "18k/h")
    assert (rate(5, 0.1), rate(5, float("inf"))) == ("5/s", "5/s")
    assert (quantity(1, "runtime"), quantity(2, "activity")) == ("1 runtime", "2 activities")
    assert (percent(0, 5), percent(5, 5), percent(2, 3)) == ("0 %", "100 %", "67 %")
    assert (listing([]), listing(["a"]), listing(list("abcd"))) == ("", "a", "a, b, c and 1 more")


def test_the_examples_hold():
    import doctest

    assert doctest.testmod(text).failed == 0
