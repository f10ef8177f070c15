"""layout.py: a section is as high as what it holds."""

import pytest

from agentrt import RuntimeManager
from agentrt.views.layout import beside, section
from agentrt.views.live import Live
from tests.harness.shown import loaded, shown

# Everything that is higher than the box it is in.
OVERLAPS = """() => {
  const deep = function* (root) {
    for (const node of root.querySelectorAll("*")) { yield node; if (node.shadowRoot) yield* deep(node.shadowRoot) }
  }
  return [...deep(document)]
    .filter((node) => /bk-panel-models-(layout|esm)/.test(node.className) && node.scrollHeight > node.clientHeight + 2)
    .map((node) => `${node.className} ${node.scrollHeight} in ${node.clientHeight}`)
}"""


@pytest.mark.browser
def test_what_is_higher_than_the_window_lies_over_nothing(page):
    class High:
        panel = beside(section("High", Live('<div style="height:3000px">much</div>')), section("Low", Live("little")))

        def update(self, update):
            return False

    with RuntimeManager(loop="thread") as manager, shown(manager, lambda feed: High()) as address:
        page.goto(address)
        loaded(page)
        page.get_by_text("much").wait_for()
        assert page.evaluate(OVERLAPS) == []
