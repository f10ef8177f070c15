from urllib.parse import unquote

import pytest

from agentrt.views.app.address import NAMING, PAGES, Address, address_of

ODD = ["JFK", "a b/c", "a&b=c?d#e", "<script>", "'\"", "%2F", "日本", "\u202e", "\n", "\ud800"]
ODD += [".", "..", "...", "=..", "\U0001f469\u200d\U0001f467"]


@pytest.mark.parametrize("id", ODD)
def test_an_address_survives_the_way_there_and_back(id):
    text = str(Address("runtime", id))
    assert Address.read(text) == address_of(f"/{text}") == Address("runtime", id)
    assert address_of("/app", f"?theme=dark&at={text.replace('%', '%25')}") == Address("runtime", id)
    assert not set("<>'\"& \n#?") & set(text), "it stands in attributes and paths as it is"


@pytest.mark.parametrize("id", ODD)
def test_an_address_may_be_of_a_moment(id):
    for page in ("runtime", "flow"):
        at = Address(page, id if page in NAMING else "", 1234)
        assert Address.read(str(at)) == at
        path, _, search = str(at).partition("?")
        assert address_of(f"/{path}", f"?{search}") == at
    assert address_of("/flow", "?moment=nonsense") == address_of("/flow", f"?moment={'9' * 99}") == Address("flow")


@pytest.mark.parametrize("id", ODD)
def test_a_browser_takes_no_address_for_the_folder_above(id):
    """It takes `.`, `..` and each way to quote them as a way through folders, in the middle of an address too."""
    assert unquote(str(Address("runtime", id)), errors="surrogatepass").rpartition("/")[2] not in (".", "..")


def test_what_is_no_text_is_the_address_of_nothing():
    assert Address.read("runtime/%FF") == Address("runtime", "\ufffd")


@pytest.mark.parametrize(("search", "id"), [("?runtime=JFK", "JFK"), ("?token=x&runtime=a%20b%2Fc", "a b/c")])
def test_the_links_of_old_still_lead_there(search, id):
    assert address_of("/", search) == Address("runtime", id)


@pytest.mark.parametrize("text", ["nothing", "runtime", "runtime/", "flow/x", "activity", "../flow"])
def test_what_is_no_page_is_told_apart(text):
    assert not Address.read(text).known


@pytest.mark.parametrize("page", ["", *PAGES])
def test_every_page_is_known(page):
    at = Address(page, "x" if page in NAMING else "")
    assert at.known
    assert Address.read(str(at)) == at
