"""The browser's window: addresses, back and on, keys, and a manager that goes away and comes back."""

import re

import pytest

from agentrt import RuntimeManager
from agentrt.views.server.server import serve
from tests.harness.screenshot import shoot
from tests.harness.shown import loaded, serving
from tests.harness.wait import wait_until
from tests.support import add

pytestmark = pytest.mark.browser
LOST = "Connection lost; waiting for the manager."


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="Windowed") as manager:
        for name in ("JFK", "a b/c?"):
            manager.create(name, 0, add)
        yield manager


ODD = ["..", ".", "\U0001f469\u200d\U0001f469\u200d\U0001f467 family", "=.."]


@pytest.mark.parametrize("id", ODD)
def test_an_odd_id_works_in_links_and_in_texts(manager, server, page, id):
    manager.create(id, 0, add).send_nowait(1)
    page.goto(server.url)
    loaded(page)
    page.get_by_role("row").filter(has=page.get_by_text(id, exact=True)).click()
    heading(page, id)
    page.wait_for_url("**/runtime/*")
    assert page.title() == f"{id} · Windowed"
    page.reload()
    heading(page, id)
    page.get_by_role("tab", name="Events").click()
    page.wait_for_url("**/events/*")
    page.reload()
    heading(page, id)
    page.get_by_role("link", name="Overview").click()
    page.locator(".say").first.wait_for()
    page.go_back()
    heading(page, id)


@pytest.fixture
def server(manager):
    with serving(serve(manager)) as server:
        yield server


def heading(page, text: str) -> None:
    page.locator("header h2", has_text=text).wait_for()


def test_a_deep_link_opens_its_page_and_forgets_the_token(server, page):
    page.goto(server.link("operator", "runtime/a%20b%2Fc%3F"))
    heading(page, "a b/c?")
    page.wait_for_url(f"**:{server.port}/runtime/a%20b%2Fc%3F")
    assert page.title() == "a b/c? · Windowed"
    page.reload()  # by its cookie
    heading(page, "a b/c?")


def test_back_and_on_lead_where_one_was(server, page):
    page.goto(server.url)
    loaded(page)
    page.get_by_role("row", name=re.compile("JFK")).click()
    heading(page, "JFK")
    page.wait_for_url("**/runtime/JFK")
    page.get_by_role("link", name="Overview").click()
    page.wait_for_url(f"**:{server.port}/")
    page.locator(".say").wait_for()
    page.go_back()
    heading(page, "JFK")
    page.go_back()
    page.locator(".say").wait_for()
    page.go_forward()
    heading(page, "JFK")
    assert page.title() == "JFK · Windowed"
    page.reload()
    heading(page, "JFK")


def test_back_leads_past_the_tabs_of_a_page(server, page):
    page.goto(server.url)
    loaded(page)
    page.get_by_role("row", name=re.compile("JFK")).click()
    heading(page, "JFK")
    for tab in ("Inject", "Waits"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_url(f"**/{tab.lower()}/JFK")
    page.go_back()
    page.locator(".say").wait_for()
    page.wait_for_url(f"**:{server.port}/")


def test_keys(manager, server, page):
    page.goto(server.link("operator", "runtime/JFK"))
    heading(page, "JFK")
    loaded(page)
    page.keyboard.press("Space")
    wait_until(lambda: manager["JFK"].paused, what="space pauses what is shown")
    manager["JFK"].send_nowait(2)
    page.keyboard.press(".")
    wait_until(lambda: manager["JFK"].state == 2, what="a point is a step")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="keyboard").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="keyboard").wait_for(state="hidden")
    page.keyboard.press("/")
    page.wait_for_url(f"**:{server.port}/")
    page.wait_for_function("() => (" + ACTIVE + ")()?.placeholder === 'search runtimes'")
    page.keyboard.type("a b. ?")
    assert page.get_by_placeholder("search runtimes").input_value() == "a b. ?", "in a field keys are letters"
    assert not manager["a b/c?"].paused


ACTIVE = """() => {
  let node = document.activeElement
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement
  return node
}"""


def test_a_viewers_keys_do_nothing(manager, server, page):
    page.goto(server.link("viewer", "runtime/JFK"))
    heading(page, "JFK")
    loaded(page)
    page.keyboard.press("Space")
    page.get_by_text("This link is for looking only: to pause JFK").wait_for()
    assert not manager["JFK"].paused


def test_a_page_says_that_the_manager_is_gone_and_comes_back_with_it(manager, server, guard, page):
    guard.allow_loss()
    page.goto(server.link("operator", "runtime/JFK"))
    heading(page, "JFK")
    loaded(page)
    server.stop()
    page.get_by_text(LOST).wait_for()
    with serving(serve(manager)) as again:
        assert again.url == server.url
        page.get_by_text(LOST).wait_for(state="hidden")
        heading(page, "JFK")
        loaded(page)
        page.keyboard.press("Space")
        wait_until(lambda: manager["JFK"].paused, what="it is live again")


# ---- light or dark

DARK, LIGHT = "rgb(18, 18, 18)", "rgb(255, 255, 255)"


def wait_for_background(page, colour: str) -> None:
    page.wait_for_function("(colour) => getComputedStyle(document.body).backgroundColor === colour", arg=colour)


def test_it_is_as_light_as_the_browser_prefers_until_somebody_chooses(server, new_page):
    page = new_page(color_scheme="dark")
    page.goto(server.url)
    loaded(page)
    wait_for_background(page, DARK)
    page.emulate_media(color_scheme="light")
    wait_for_background(page, LIGHT)
    page.emulate_media(color_scheme="dark")
    wait_for_background(page, DARK)
    page.get_by_role("button", name="Toggle theme").click()
    wait_for_background(page, LIGHT)
    page.reload()
    loaded(page)
    wait_for_background(page, LIGHT)
    page.emulate_media(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    page.locator(".say").wait_for()
    wait_for_background(page, LIGHT)
    page.goto(server.url + "&theme=dark")  # an address says what it means
    loaded(page)
    wait_for_background(page, DARK)


FIRST = """addEventListener("DOMContentLoaded", () => {
  window.atFirst = getComputedStyle(document.body).backgroundColor
})"""


def test_a_dark_page_is_dark_before_it_is_drawn(server, new_page):
    page = new_page(color_scheme="dark")
    page.add_init_script(FIRST)
    page.goto(server.url)
    assert page.evaluate("window.atFirst") == DARK


def size_of_sentence(page) -> float:
    """Pixels of the type of the first sentence."""
    loaded(page)
    return float(page.locator(".say").first.evaluate("(node) => parseFloat(getComputedStyle(node).fontSize)"))


def test_the_type_is_larger_on_a_projector(server, page, new_page):
    page.goto(server.url)
    usual = size_of_sentence(page)
    page.keyboard.press("t")
    wait_until(lambda: size_of_sentence(page) > 1.3 * usual, 60, "the type is larger")
    page.reload()
    assert size_of_sentence(page) > 1.3 * usual
    shoot(page, "views/large-type")
    page.keyboard.press("t")
    wait_until(lambda: size_of_sentence(page) == usual, 60, "the type is as it was")
    other = new_page()
    other.goto(f"{server.url}&type=large")
    assert size_of_sentence(other) > 1.3 * usual
