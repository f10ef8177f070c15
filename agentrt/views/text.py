"""Words and numbers for people. Every string of a state, a payload, an id, a name or an error passes here."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from ..schema.parts import Outline, brackets_of, len_of, parts_of, type_name
from ..schema.preview import preview
from .html import Markup, escape

__all__ = [
    "brief",
    "byte_size",
    "duration",
    "len_of",
    "listing",
    "parts_of",
    "percent",
    "plain",
    "quantity",
    "rate",
    "safe_block",
    "safe_text",
    "si",
    "type_name",
    "within_last",
]

DEEPEST, WIDEST = 3, 8
JOINERS = "\u200c\u200d"
MODIFIERS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # of an emoji: in colour, and of which skin
VIRAMA = 9  # the combining class of signs that Indic scripts join letters by


def plain(value: Any, limit: int = 200) -> str:
    r"""One line of text for places that show text as it is: control characters visible, at most `limit` characters.

    They are written as Python writes them.

    >>> print(plain("a\nb\x00"))
    a\nb\x00
    """
    text = shorten(value if isinstance(value, str) else brief(value, limit), limit)
    return _make_visible(text)


def safe_text(value: Any, limit: int = 200) -> Markup:
    """The same for HTML: nothing in it can become an element or leave an attribute.

    >>> safe_text("<script>")
    '&lt;script&gt;'
    """
    return escape(plain(value, limit))


def safe_block(text: str, lines: int = 60, width: int = 400) -> Markup:
    """Several lines for a `<pre>`; the last ones if there are too many (a traceback ends with what matters)."""
    rows = str(text).splitlines()
    last = [_make_visible(shorten(row.expandtabs(4), width)) for row in rows[-lines:]]
    left_out = len(rows) - len(last)
    return escape("\n".join([f"… {left_out} lines left out", *last] if left_out else last))


def shorten(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis.

    >>> shorten("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip(JOINERS) + "…"


def _make_visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(_escape(char) if _hides(text, at) else char for at, char in enumerate(text))


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _hides(text: str, at: int) -> bool:
    """Whether a character is not seen, or turns what is around it: a text can then read as something else."""
    if unicodedata.category(text[at]) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return False
    return text[at] not in JOINERS or not 0 < at < len(text) - 1 or not _joins(text, at)


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands where emoji of several parts have one, or scripts whose letters join."""
    before, after = text[:at].rstrip(MODIFIERS)[-1:] or " ", text[at + 1]
    if unicodedata.category(before) == unicodedata.category(after) == "So":
        return text[at] == "\u200d"
    if unicodedata.combining(before) == VIRAMA:
        return True
    return unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL"


def brief(value: Any, limit: int = 200) -> str:
    """Like `repr`, but it stops in time for huge values and never raises.

    >>> brief(list(range(100)))
    '[0, 1, 2, 3, 4, 5, 6, 7, … 92 more]'
    """
    try:
        return _brief(value, DEEPEST, limit)
    except Exception as error:
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"


def _brief(value: Any, depth: int, limit: int) -> str:
    if isinstance(value, str | bytes):
        return repr(value[:limit])
    parts = parts_of(value, WIDEST)
    if parts is None and isinstance(value, Outline):
        return shorten(value.text, limit)
    if parts is None:
        return shorten(preview(value, limit + 1), limit)
    opening, closing = brackets_of(value)
    if depth == 0:
        return f"{opening}…{closing}"
    items = [_item(key, _brief(item, depth - 1, limit), value) for key, item in parts]
    more = len_of(value) - len(items)
    return opening + ", ".join([*items, f"… {more} more"] if more > 0 else items) + closing


def _item(key: Any, text: str, of: Any) -> str:
    if isinstance(of, Mapping) or (isinstance(of, Outline) and of.keyed):
        return f"{shorten(preview(key, 61), 60)}: {text}"
    return text if isinstance(key, int) else f"{key}={text}"


STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def si(number: float, unit: str = "") -> str:
    """A number with three digits and a decimal prefix.

    >>> si(412.34, "/s"), si(12_345), si(0)
    ('412/s', '12.3k', '0')
    """
    factor, prefix = next(((f, p) for f, p in STEPS if abs(number) >= f * 0.9995), (1.0, ""))
    return f"{_digits(number / factor)}{prefix}{unit}"


def _digits(number: float) -> str:
    if number == int(number) and abs(number) < 1000:
        return str(int(number))
    size = abs(number)
    return f"{number:.0f}" if size >= 99.95 else f"{number:.1f}" if size >= 0.995 else f"{number:.2g}"


RATES = ((3600.0, "/h"), (60.0, "/min"))


def rate(per_second: float, speed: float = 1.0) -> str:
    """So many per second; on a clock that runs faster per minute or per hour, so that it is about one real second.

    The unit is the same for all rates of a page, so that they can be compared.

    >>> rate(12.34), rate(0.02), rate(0.00001), rate(0)
    ('12.3/s', '0.02/s', 'under 0.001/s', '0/s')
    >>> rate(0.02, speed=60), rate(0, speed=60), rate(0.02, speed=3600)
    ('1.2/min', '0/min', '72/h')
    """
    seconds, unit = next((each for each in RATES if each[0] <= speed < math.inf), (1.0, "/s"))
    number = per_second * seconds
    return f"under 0.001{unit}" if 0 < number < 0.001 else si(number, unit)


WINDOWS = {60.0: "minute", 300.0: "5 minutes", 3600.0: "hour", 18_000.0: "5 hours"}
UNITS = ((86400.0, "d", "h", 3600.0), (3600.0, "h", "min", 60.0))


def duration(seconds: float | None) -> str:
    """A time span in the units a person would say.

    >>> duration(0.00042), duration(2.34), duration(75), duration(2460), duration(11_520)
    ('420 µs', '2.3 s', '75 s', '41 min', '3 h 12 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return "—"
    if seconds < 99.5:
        return _small(max(0.0, seconds))
    if seconds < 3570:
        return f"{seconds / 60:.0f} min" if seconds >= 595 else f"{seconds / 60:.1f} min"
    size, big, small, part = next(unit for unit in UNITS if seconds >= unit[0] or unit[0] == 3600.0)
    whole, rest = divmod(round(seconds / part), round(size / part))
    return f"{whole} {big} {rest} {small}" if rest else f"{whole} {big}"


def within_last(seconds: float) -> str:
    """When something happened: in the time of this length up to now.

    >>> within_last(60), within_last(3600), within_last(90)
    ('in the last minute', 'in the last hour', 'in the last 90 s')
    """
    return f"in the last {WINDOWS.get(seconds) or duration(seconds)}"


def _small(seconds: float) -> str:
    if seconds == 0:
        return "0 s"
    if seconds < 0.000_999_5:
        return f"{_digits(seconds * 1e6)} µs"
    return f"{_digits(seconds * 1e3)} ms" if seconds < 0.9995 else f"{_digits(seconds)} s"


def percent(part: float, whole: float) -> str:
    """A share in whole percent; never rounded to a full or an empty one that is none.

    >>> percent(999, 1000), percent(1, 1000), percent(1, 0)
    ('99 %', '1 %', '0 %')
    """
    if whole <= 0 or part <= 0:
        return "0 %"
    return "100 %" if part >= whole else f"{min(99, max(1, round(100 * part / whole)))} %"


def quantity(number: int, noun: str) -> str:
    """A number and its noun.

    >>> quantity(1, "runtime"), quantity(10000, "runtime"), quantity(2, "activity")
    ('1 runtime', '10,000 runtimes', '2 activities')
    """
    plural = noun if number == 1 else f"{noun[:-1]}ies" if noun.endswith("ty") else f"{noun}s"
    return f"{number:,} {plural}"


def byte_size(number: int) -> str:
    """A number of bytes.

    >>> byte_size(12), byte_size(1_200), byte_size(12_345_678)
    ('12 B', '1.2 kB', '12.3 MB')
    """
    text = si(number)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def listing(words: list[str], most: int = 3) -> str:
    """Words as one enumerates them.

    >>> listing(["a", "b"]), listing(list("abcde"))
    ('a and b', 'a, b, c and 2 more')
    """
    shown = words[:most] + ([f"{len(words) - most} more"] if len(words) > most else [])
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
