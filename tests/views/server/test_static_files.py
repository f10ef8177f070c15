"""The files of a page: which ones the first page loads, how many bytes, and how long a browser may keep them."""

import gzip
import re
from urllib.parse import urljoin

import pytest

from agentrt import RuntimeManager
from agentrt.views.role import Role
from agentrt.views.server.server import serve
from tests.harness.client import ask
from tests.harness.shown import serving
from tests.support import add

FIRST = {
    "es-module-shims.min.js",
    "bokeh.min.js",
    "bokeh-widgets.min.js",
    "panel.min.js",
    "panel-material-ui.bundle.js",
}
TABLES = "bokeh-tables.min.js"  # Panel 1.9 loads it with every page
MOST_BYTES = 1_250_000  # of the scripts of the first page, compressed
BUNDLE = "/static/js/bokeh.min.js"


@pytest.fixture(scope="module")
def server():
    with RuntimeManager(loop="thread", name="files") as manager:
        manager.create("a", 0, add)
        with serving(serve(manager)) as server:
            yield server


def first_page(server) -> str:
    return ask(server.port, f"/?token={server.auth.tokens[Role.OPERATOR]}").body.decode()


def scripts(html: str) -> list[str]:
    """The addresses of the scripts that a page loads, those that it fetches ahead too."""
    return re.findall(r'(?:src|as="fetch" crossorigin href)="([^"]+\.js[^"]*)"', html)


def test_the_first_page_loads_these_scripts_and_so_many_bytes(server):
    found = scripts(first_page(server))
    assert {each.partition("?")[0].rpartition("/")[2] for each in found} - {TABLES} == FIRST
    answers = [ask(server.port, urljoin("/", each), Accept_Encoding="gzip, br") for each in found]
    assert {answer.status for answer in answers} == {200}
    assert sum(len(answer.body) for answer in answers) < MOST_BYTES


def test_the_first_document_has_no_plot_and_no_graph(server):
    first_page(server)
    document = max(server._server.get_sessions(), key=lambda each: each.document.session_context.id).document
    names = {type(model).__name__ for model in document.models}
    assert "ReactComponent" in names
    assert names & {"Figure", "Plot", "GlyphRenderer"} == set()
    assert not any("reactflow" in str(getattr(model, "esm", "")) for model in document.models)


def test_a_text_is_sent_compressed_to_who_takes_it_so(server):
    plain, packed = ask(server.port, BUNDLE), ask(server.port, BUNDLE, Accept_Encoding="gzip")
    assert plain.getheader("Content-Encoding") is None
    assert packed.getheader("Content-Encoding") == "gzip"
    assert len(packed.body) < len(plain.body) / 3
    assert gzip.decompress(packed.body) == plain.body
    assert plain.getheader("Etag") != packed.getheader("Etag")
    assert {plain.getheader("Vary"), packed.getheader("Vary")} == {"Accept-Encoding"}
    assert packed.getheader("Content-Type") == plain.getheader("Content-Type")


def test_a_file_of_a_version_is_stored_for_good(server):
    versioned = [each for each in scripts(first_page(server)) if "?" in each]
    assert len(versioned) >= len(FIRST) - 1  # the address of es-module-shims has its version in its path
    for path in [*versioned, f"{BUNDLE}?v=1"]:
        answer = ask(server.port, urljoin("/", path), Accept_Encoding="gzip")
        assert answer.getheader("Cache-Control") == "public, max-age=31536000, immutable"
    assert ask(server.port, BUNDLE, Accept_Encoding="gzip").getheader("Cache-Control") is None


def test_a_file_that_is_still_the_same_is_not_sent_again(server):
    for headers in ({}, {"Accept_Encoding": "gzip"}):
        first = ask(server.port, BUNDLE, **headers)
        again = ask(server.port, BUNDLE, If_None_Match=first.getheader("Etag"), **headers)
        assert (again.status, again.body) == (304, b"")


def test_a_part_of_a_file_and_a_picture_are_sent_as_they_are(server):
    part = ask(server.port, BUNDLE, Range="bytes=0-9", Accept_Encoding="gzip")
    assert (part.status, len(part.body), part.getheader("Content-Encoding")) == (206, 10, None)
    icon = ask(server.port, "/static/extensions/panel/images/favicon.ico", Accept_Encoding="gzip")
    assert (icon.status, icon.getheader("Content-Encoding")) == (200, None)


@pytest.mark.parametrize("path", ["/static/js/none.js", "/static/extensions/none/x.js", "/static/../server.js"])
def test_a_file_that_is_not_there_is_not_found(server, path):
    assert ask(server.port, path, Accept_Encoding="gzip").status in (403, 404)
