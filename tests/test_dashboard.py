"""The served dashboard in a real Chromium, as a person uses it."""

import re
import threading

import msgspec
import pytest

from agentrt import RuntimeManager
from agentrt.views.server.server import serve
from tests.harness.screenshot import is_blank, shoot
from tests.harness.shown import loaded, serving
from tests.harness.wait import PATIENCE, wait_until, within

HOSTILE = [
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    '"><svg onload=window.owned=1>',
    "' onmouseover='window.owned=1' x='",
    "</div><iframe srcdoc='<script>parent.owned=1</script>'>",
    "<a href='javascript:window.owned=1' autofocus onfocus=window.owned=1>x</a>",
    "<%= window.owned = 1 %>${window.owned = 1}{{window.owned = 1}}",
    "&lt;script&gt;window.owned=1&lt;/script&gt;",
]


class Order(msgspec.Struct, frozen=True):
    amount: int
    note: str = ""


async def till(activity, total: int, ctx) -> int:
    if activity.payload.amount < 0:
        raise ValueError(f"can't take {activity.payload.amount}")
    return total + activity.payload.amount


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="Tested") as manager:
        yield manager


@pytest.fixture
def server(manager):
    with serving(serve(manager)) as server:
        yield server


def status(page, word: str) -> None:
    """Wait until the runtime that is shown has this status."""
    page.locator("header .chip", has_text=word).wait_for()


def button(page, name: str):
    return page.get_by_role("button", name=name, exact=True)


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["default", "dark"])
def test_a_person_injects_pauses_steps_resumes_and_terminates(manager, server, page, theme, tmp_path):
    seen = threading.Event()

    async def slow_till(activity, total: int, ctx) -> int:
        while not seen.is_set():
            await ctx.sleep(0.01)
        return await till(activity, total, ctx)

    runtime = manager.create("till", 0, slow_till, accepts=Order)
    manager.create("other", 0, till)
    page.goto(f"{server.url}&theme={theme}")
    page.get_by_text("All 2 runtimes are fine.").wait_for()
    page.get_by_role("button", name="till").first.click()
    status(page, "idle")
    assert page.url.endswith(f"/runtime/till?theme={theme}")
    assert "token" not in page.url

    page.get_by_role("tab", name="Inject").click()
    page.get_by_label(re.compile("amount")).fill("7")
    button(page, "▲ priority").click()
    button(page, "Send").click()
    status(page, "processing")
    seen.set()
    page.locator(".tree").get_by_text("7", exact=True).wait_for()
    assert runtime.state == 7
    assert runtime.metrics.priority.accepted == 1

    button(page, "Pause").click()
    status(page, "paused")
    for _ in range(2):
        button(page, "Send").click()
    wait_until(lambda: sum(runtime.depth) == 2, what="what is sent waits")
    button(page, "Step").click()
    page.locator(".tree").get_by_text("14", exact=True).wait_for()
    status(page, "paused")
    button(page, "Resume").click()
    page.locator(".tree").get_by_text("21", exact=True).wait_for()

    assert not is_blank(shoot(page, f"dashboard-{theme}"))
    button(page, "Terminate").click()
    button(page, "Terminate till").click()
    status(page, "terminated")
    acts = {record.kind: record.who for record in manager.ring.since(0)[0] if getattr(record, "who", None)}
    assert {"paused", "stepped", "resumed"} <= set(acts)
    assert set(acts.values()) == {"operator (page)"}

    page.go_back()
    page.get_by_text("The runtime is fine.").wait_for()
    page.get_by_role("row", name=re.compile("terminated")).get_by_text("till").wait_for()


@pytest.mark.browser
def test_a_viewer_sees_everything_and_changes_nothing(manager, server, page):
    runtime = manager.create("till", 0, till, accepts=Order)
    page.goto(server.link("viewer", "runtime/till"))
    status(page, "idle")
    page.get_by_text("This link is for looking only").first.wait_for()
    # What is disabled in the page is enabled by hand: the refusal must not depend on the page.
    page.evaluate(ENABLE)
    button(page, "Pause").click(force=True)
    runtime.send_nowait(Order(3))
    page.locator(".tree").get_by_text("3", exact=True).wait_for()
    assert not runtime.paused
    assert not [record for record in manager.ring.since(0)[0] if getattr(record, "who", None)]


ENABLE = """() => {
  for (const doc of Bokeh.documents) for (const model of doc._all_models.values())
    if (model.data?.disabled) model.data.setv({disabled: false}, {sync: false})
}"""


@pytest.mark.browser
def test_the_page_follows_within_a_quarter_of_a_second(manager, server, page):
    runtime = manager.create("sum", 0, lambda activity, state: state + activity.payload)
    page.goto(server.link("operator", "runtime/sum"))
    status(page, "idle")
    page.evaluate(SEEN)
    late = []
    runtime.send_nowait(1).result(PATIENCE)
    page.wait_for_function("window.seen.has('1')")  # from now on it is live
    for n in range(2, 10):
        runtime.send_nowait(1).result(PATIENCE)
        sent = page.evaluate("performance.timeOrigin + performance.now()")
        page.wait_for_function("n => window.seen.has(String(n))", arg=n)
        late.append(page.evaluate("n => window.seen.get(String(n))", n) - sent)
    assert sorted(late)[len(late) // 2] < 1000 * within(0.25), late


SEEN = """() => {
  window.seen = new Map()
  const find = (root) => {
    for (const node of root.querySelectorAll('*')) {
      if (node.classList?.contains('tree')) return node
      const found = node.shadowRoot && find(node.shadowRoot)
      if (found) return found
    }
  }
  const look = () => {
    const text = find(document)?.innerText.trim()
    if (text && !window.seen.has(text)) window.seen.set(text, performance.timeOrigin + performance.now())
    requestAnimationFrame(look)
  }
  look()
}"""


@pytest.mark.browser
def test_hostile_strings_are_only_text_in_every_pane(manager, server, page):
    class Odd(Exception):
        pass

    everything = "\n".join(HOSTILE)

    async def odd(activity, state, ctx):
        for string in HOSTILE:
            with ctx.step(string):
                await ctx.sleep(0)
        if isinstance(activity.payload, str):
            raise Odd(activity.payload)
        return activity.payload

    odd.__name__ = everything
    for string in [everything, *HOSTILE]:
        runtime = manager.create(string, (string,), odd)
        runtime.send_nowait((string, *HOSTILE), key=string).result(PATIENCE)
        with pytest.raises(Exception, match=r"."):
            runtime.send_nowait(string, priority=True).result(PATIENCE)
    page.goto(server.url)
    page.locator("tbody tr").nth(len(HOSTILE)).wait_for()
    for row in page.locator("tbody tr").all():
        row.hover()
    page.locator("tbody tr").first.click()
    page.locator("header h2").wait_for()
    assert HOSTILE[0] in page.locator("header h2").inner_text()
    page.locator(".problem summary").click()
    page.locator(".problem pre").last.hover()
    loaded(page)
    assert page.evaluate("window.owned") is None


@pytest.mark.browser
def test_an_unknown_runtime_says_which_there_are(manager, server, page):
    manager.create("till", 0, till)
    page.goto(server.link("operator", "runtime/nobody"))
    page.get_by_text("There is no runtime nobody. There are: till.").wait_for()
    page.get_by_role("link", name="Overview").click()
    page.locator("tbody tr").first.wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1024, 1440])
def test_nothing_is_wider_than_the_page(manager, server, new_page, width):
    for name in ("till", "a runtime with a rather long name that goes on and on"):
        runtime = manager.create(name, "x" * 300, till)
        with pytest.raises(Exception, match=r"."):
            runtime.send_nowait("y" * 300).result(PATIENCE)
    page = new_page(viewport={"width": width, "height": 900})
    for link in (server.url, server.link("operator", "runtime/till")):
        page.goto(link)
        page.locator(".say, header h2").first.wait_for()
        loaded(page)
        assert page.evaluate(WIDEST, width) == []


# What sticks out to the right of the page, in whatever shadow root.
WIDEST = """width => {
  const out = []
  const look = (root) => {
    for (const node of root.querySelectorAll('*')) {
      const box = node.getBoundingClientRect()
      const clipped = getComputedStyle(node.parentElement ?? node).overflowX !== 'visible'
      const own = node.closest('pre, svg, .bk-Canvas, .react-flow')  // they clip or scroll
      if (box.width && box.height && box.right > width + 1 && !clipped && !own)
        out.push(`${node.tagName} ${node.className} ${Math.round(box.right)}`)
      if (node.shadowRoot && !/Canvas|Figure/.test(node.className)) look(node.shadowRoot)
    }
  }
  look(document.body)
  return out.slice(0, 5)
}"""


@pytest.mark.browser
def test_a_session_that_ends_lets_go_of_the_hub(manager, server, guard, page):
    manager.create("till", 0, till)
    guard.allow_loss()
    page.goto(server.url)
    page.locator(".say").wait_for()
    wait_until(lambda: manager.hub.running, what="the page is fed")
    server.stop()
    wait_until(lambda: not manager.hub.running, what="the hub has nobody left")
