"""The source of a function, with the line at which it is."""

import asyncio

from agentrt.frames import StackFrame
from agentrt.views.runtime.source import is_own, listing_html, place_of


def test_a_function_that_can_not_be_read_shows_its_line():
    frame = StackFrame("<nowhere>", 4, "f", "await x  # </pre><script>", first=2)
    page = listing_html(frame, "#000")
    assert "await x  # &lt;/pre&gt;&lt;script&gt;" in page
    assert place_of(frame) == "&lt;nowhere&gt;, line 4"
    assert is_own(frame)
    assert not is_own(StackFrame(asyncio.__file__, 4, "f", ""))


def test_a_long_function_shows_what_is_around_the_line(tmp_path):
    file = tmp_path / "long.py"
    file.write_text("import os\n\n\ndef f():\n" + "".join(f"    a{n} = {n}\n" for n in range(200)))
    page = listing_html(StackFrame(str(file), 100, "f", "", first=4), "#000")
    assert page.count("<i>") < 40
    assert "def f():" in page
    assert "a95 = 95" in page
    assert "87 lines" in page
    assert "96 lines" in page
