import ast
import re
from pathlib import Path

import pytest

from agentrt.views import html
from agentrt.views.html import Markup, action, bar, br, bullets, button, chip, div, escape, fragment, join, link, p
from agentrt.views.text import safe_text
from agentrt.views.theme import STATUSES
from tests.harness.injections import INJECTIONS

VIEWS = Path(html.__file__).parent
ELEMENTS = {"button", "/button", "span", "/span", "i", "/i", "svg", "/svg", "path", "/path"}
TAG = re.compile(r"</?[a-z]+[0-9]?[ >/]")


@pytest.mark.parametrize("string", INJECTIONS)
def test_a_text_never_becomes_an_element_or_leaves_an_attribute(string):
    assert not set("<>") & set(escape(string))
    assert div(string).count("<") == 2
    attribute = re.fullmatch(r'<p title="([^"]*)"></p>', p(title=string))
    assert attribute is not None
    assert not set("<>'\"") & set(attribute[1])
    for element in (link(string, string), action(string, string, value=string), chip(STATUSES["idle"], string)):
        assert set(re.findall(r"<(/?\w+)", element)) <= ELEMENTS
        assert not re.search(r"<[^>]* on\w+=", re.sub(r'"[^"]*"', "", element))


def test_markup_is_not_escaped_again():
    assert div(p("a & b"), safe_text("<b>")) == "<div><p>a &amp; b</p>&lt;b&gt;</div>"
    assert escape(p("x")) == "<p>x</p>"
    assert p(title=safe_text('"<')) == '<p title="&quot;&lt;"></p>'
    assert p(title=p("x", cls="y")) == '<p title="<p class=&quot;y&quot;>x</p>"></p>'


def test_what_is_added_to_markup_is_text():
    assert p("x") + "<b>" == "<p>x</p>&lt;b&gt;"
    assert "<b>" + p("x") == "&lt;b&gt;<p>x</p>"
    assert type(p("x") + p("y")) is Markup
    assert str(f"{p('x')}<b>") == "<p>x</p><b>"
    assert escape(f"{p('x')}") == "&lt;p&gt;x&lt;/p&gt;", "a formatted string is text, whatever was put into it"


def test_contents_of_all_kinds():
    assert fragment("a", None, 1, 2.5, ["b", (p("c"), None)], (n for n in range(2))) == "a12.5b<p>c</p>01"
    assert join(" & ", ["<", p("x")]) == "&lt; &amp; <p>x</p>"
    assert bullets(["a", "<"], cls="x") == '<ul class="x"><li>a</li><li>&lt;</li></ul>'
    assert br() == "<br>"


def test_attributes_of_all_kinds():
    assert button(disabled=True, hidden=False, title=None) == "<button disabled></button>"
    assert (
        button(aria_pressed=True, aria_expanded=False) == '<button aria-pressed="true" aria-expanded="false"></button>'
    )
    assert p(data_with=1) + p(data_with=True) + p(data_with=1.0) == (
        '<p data-with="1"></p><p data-with></p><p data-with="1.0"></p>'
    )


def test_attributes_that_are_set_once():
    note = p.with_(cls="note")
    assert note("x", data_key=3) == '<p class="note" data-key="3">x</p>'
    assert p("x") == "<p>x</p>", "the element it was made of is unchanged"


def test_a_bar():
    assert bar(33.3, "#123456") == '<span class="bar" style="--tone:#123456"><b style="width:33%"></b></span>'
    assert bar(0, aria_hidden=True) == '<span class="bar" aria-hidden="true"><b style="width:0%"></b></span>'


def literals(path: Path) -> list[str]:
    """The strings of a file that hold a tag, docstrings apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return [node.value for node in strings if isinstance(node.value, str) and TAG.search(node.value)]


OTHERS = {  # string literals with a tag that are not HTML of a view
    "app/page_template.py": "Jinja, which extends the page of panel-material-ui",
    "notebook/offline.py": "a regular expression that finds tags in a saved page",
    "runtime/source.py": "`<locals>` in the qualified name of a function",
}


def test_no_other_file_writes_tags():
    files = {path.relative_to(VIEWS).as_posix(): path for path in VIEWS.rglob("*.py")}
    found = {name for name, path in files.items() if literals(path)} - {"html.py", "svg.py"}
    assert found == OTHERS.keys()
