from agentrt.lessons.box import GOOD, frame_box, show_code


def test_a_box_has_its_colour_and_escapes_what_is_in_it():
    assert GOOD in frame_box("a < b", tone=GOOD)
    assert "a &lt; b" in frame_box("a < b")


def test_what_stands_between_backticks_is_code():
    assert show_code("a `b < c` d") == "a <code>b &lt; c</code> d"
