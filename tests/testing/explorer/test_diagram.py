"""A schedule drawn: who sends what to whom, step by step."""

import asyncio
import re
from xml.etree import ElementTree

from agentrt.testing import explore
from agentrt.testing.explorer.diagram import LONGEST


async def fail(manager):
    def divide(activity, state):
        return state / activity.payload

    async def client(number):
        await runtime.ask(number)

    runtime = manager.create("<divide>", 1, divide)
    await asyncio.gather(client(1), client(0))


def test_the_text_has_a_column_for_each_process():
    head, *rows = explore(fail).failures[0].diagram.splitlines()
    assert head.split() == ["fail()", "client()", "2", "<divide>"]
    assert len(rows) == 5
    assert "sends 0 to <divide>" in rows[1]
    assert rows[1].rstrip().endswith(">")


def test_the_picture_is_valid_and_escaped():
    html = explore(fail).failures[0]._repr_html_()
    svg = html[html.index("<svg") : html.index("</svg>") + 6]
    root = ElementTree.fromstring(svg)
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<divide><divide>" in texts
    assert any("failed" in text for text in texts)


def test_the_words_beside_a_step_of_the_last_process_are_within_the_picture():
    svg = explore(fail).failures[0]._repr_html_()
    width = int(re.search(r'viewBox="0 0 (\d+)', svg)[1])
    middles = [int(x) for x in re.findall(r'cx="(\d+)"', svg)]
    assert width - max(middles) >= 9 + 7 * LONGEST


def test_an_exploration_shows_its_first_failure():
    assert "<svg" in explore(fail)._repr_html_()
