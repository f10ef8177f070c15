"""The documentation as a site: `python -m docs.site`."""

import functools
import http.server
import importlib
import inspect
import io
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageColor

import agentrt
from docs.site.reference import MODULES, PAGES, missing_names
from docs.site.versions import STABLE, list_versions, publish, version_of
from tests.harness.place import ROOT
from tests.harness.screenshot import shoot
from tests.harness.shown import serious

pytestmark = pytest.mark.slow
EXECUTED = ("notebooks/01_first_agent", "notebooks/08_supervision")  # the second one shows what failed


def test_every_public_name_has_a_place_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_names() == []
    monkeypatch.setattr("agentrt.__all__", ["Runtime", "Newcomer"])
    assert missing_names() == ["agentrt.Newcomer"]


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """What a page or a lesson imports from agentrt, as (module, name); the name of a module is empty."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text())["cells"]
        blocks = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    else:
        blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    for line in "\n".join(blocks).splitlines():
        match line.partition("#")[0].split():
            case ["import", module, *_] if module.split(".")[0] == "agentrt":
                yield module, ""
            case ["from", module, "import", *names] if module.split(".")[0] == "agentrt":
                yield from (
                    (module, name.split()[0]) for name in " ".join(names).strip("()").split(",") if name.strip()
                )


def test_the_reference_has_what_the_pages_and_lessons_import() -> None:
    described = [
        getattr(importlib.import_module(module), name) for _, places in PAGES.values() for module, name in places
    ]
    missing = set()
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/*.ipynb")]:
        for module, name in imports_of(path):
            thing = getattr(importlib.import_module(module), name) if name else None
            known = any(thing is each for each in described) if name else module in MODULES
            if not known and not module.startswith("agentrt.lessons.exercises"):  # a lesson shows what each asks
                missing.add(f"{path.name}: {module} {name}")
    assert not missing


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors. Two of its lessons are run, as `--execute` runs all."""
    pytest.importorskip("sphinx")
    from docs.site import __main__ as site

    def stage(folder: Path, lay_out: Callable[[Path], None] = site.stage) -> None:
        lay_out(folder)
        for name in EXECUTED:
            lesson = folder / f"{name}.ipynb"
            notebook = json.loads(lesson.read_text())
            notebook["metadata"]["mystnb"] = {"execution_mode": "force"}
            lesson.write_text(json.dumps(notebook))

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "stage", stage)
        assert site.build(folder) == 0
    return folder / STABLE


@pytest.fixture(scope="module")
def versions(site: Path) -> Path:
    """The folder of all versions, where an older one has fewer pages, and one is not finished."""
    folder = site.parent
    older = folder / "0.0"
    shutil.copytree(site, older)
    (older / "docs" / "durability.html").unlink()
    (folder / "0.9").mkdir()
    publish(folder)
    return folder


def public_methods(thing: type) -> Iterator[tuple[str, set[str]]]:
    """What a class offers, each with where it may be described; not what param, msgspec and Python add."""
    for base in thing.__mro__:
        for name, value in vars(base).items() if base.__module__.startswith("agentrt") else ():
            if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property | classmethod)):
                yield name, {f"{module}.{each.__name__}.{name}" for module in MODULES for each in thing.__mro__}


def test_the_reference_has_every_public_name_and_method(site: Path) -> None:
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    described = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    missing = set()
    for _, places in PAGES.values():
        for module, name in places:
            thing = getattr(importlib.import_module(module), name)
            missing |= {f"{module}.{name}"} - described
            methods = public_methods(thing) if inspect.isclass(thing) else ()
            missing |= {f"{module}.{name}.{method}" for method, places in methods if not places & described}
    assert not missing


def test_the_reference_has_the_words_of_the_docstrings(site: Path) -> None:
    assert "link: look and steer.</p>" in (site / "reference" / "results.html").read_text()
    for page in PAGES:
        text = (site / "reference" / f"{page}.html").read_text()
        assert "PEP 604" not in text, page
        assert "Built-in immutable sequence" not in text, page


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[gone](docs/gone.md)", "docs/gone.md"),
        ("{py:class}`agentrt.NoSuchThing`", "agentrt.NoSuchThing"),
        ("```{eval-rst}\n:meth:`agentrt.Runtime.no_such_method`\n```", "agentrt.Runtime.no_such_method"),
    ],
    ids=["page", "class", "method"],
)
def test_a_link_to_nowhere_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd, text: str, named: str
) -> None:
    pytest.importorskip("sphinx")
    from docs.site import __main__ as site

    def stage(folder: Path) -> None:
        (folder / "index.md").write_text(f"# One page\n\n{text}\n")

    monkeypatch.setattr(site, "stage", stage)
    assert site.build(tmp_path) != 0
    assert named in capfd.readouterr().err


def test_each_version_has_a_folder_and_the_newest_is_stable(versions: Path) -> None:
    entries = json.loads((versions / "switcher.json").read_text())
    own = version_of(agentrt.__version__)
    assert [(each["version"], each["url"]) for each in entries] == [(own, "stable/"), ("0.0", "0.0/")]
    assert [each["name"] for each in entries if each["preferred"]] == [f"{own} (stable)"]
    missing = [f"{each['url']}{page}" for each in entries for page in each["pages"]]
    assert [page for page in missing if not (versions / f"{page}.html").is_file()] == []
    assert "docs/durability" in entries[0]["pages"]
    assert "docs/durability" not in entries[1]["pages"]
    script = (versions / "switcher.js").read_text()
    assert json.loads(script.removeprefix("window.docsVersions = ")) == entries
    assert 'href="stable/index.html"' in (versions / "index.html").read_text()


def test_versions_are_sorted_as_numbers(tmp_path: Path) -> None:
    for name in ("0.9", "0.10", "0.2", "stable", "1.0rc1", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
    publish(tmp_path)
    assert [each["version"] for each in list_versions(tmp_path)] == ["0.10", "0.9", "0.2"]
    assert (tmp_path / "stable" / "index.html").read_text() == "0.10"


@pytest.mark.browser
def test_the_menu_of_versions_leads_to_the_same_page_of_each(versions: Path, guard, page) -> None:
    """From a folder, without a server: nothing can be fetched there."""
    guard.allow("this machine: file://")
    page.goto((versions / "stable" / "docs" / "testing.html").as_uri())
    menu = page.get_by_role("button", name="Version switcher list").first
    menu.filter(has_text=f"{version_of(agentrt.__version__)} (stable)").click()
    assert serious(page) == []
    shoot(page, "site-versions")
    page.get_by_role("option", name="0.0").first.click()
    page.wait_for_url("**/0.0/docs/testing.html")
    page.goto((versions / "stable" / "docs" / "durability.html").as_uri())
    menu.filter(has_text="(stable)").click()
    page.get_by_role("option", name="0.0").first.click()
    page.wait_for_url("**/0.0/index.html")


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """The site on a server."""
    handler = functools.partial(Quiet, directory=str(site.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{STABLE}"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_its_pages_are_read_by_everyone(address: str, new_page, scheme: str, width: int) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    for name in ("index", "docs/tutorial", "docs/durability", "reference/managers", *EXECUTED):
        page.goto(f"{address}/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        shoot(page, f"site-{name.replace('/', '-')}-{scheme}")
        assert serious(page) == [], name


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "ground"), [("light", "#ffffff"), ("dark", "#14181e")])
def test_the_pictures_of_a_lesson_go_with_the_theme(address: str, new_page, scheme: str, ground: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto(f"{address}/{EXECUTED[0]}.html")
    picture = page.locator('div.cell_output img[src^="data:image/svg+xml"]').first
    picture.scroll_into_view_if_needed()
    assert (picture.get_attribute("alt") or "").startswith("counter, ")
    image = Image.open(io.BytesIO(picture.screenshot())).convert("RGB")
    commonest = max(image.getcolors(image.width * image.height), key=lambda each: each[0])[1]
    assert commonest == ImageColor.getrgb(ground), "as it was drawn: the theme lays no filter over it"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "folder"), [("docs/gallery", "docs/gallery"), ("index", "docs")])
def test_pictures_go_with_the_theme(address: str, new_page, name: str, folder: str, scheme: str) -> None:
    page = new_page(color_scheme=scheme)
    page.goto(f"{address}/{name}.html")
    images = page.locator("article img")
    shown = [image.get_attribute("src") or "" for image in images.all() if image.is_visible()]
    assert len(shown) == len(list((ROOT / folder).glob("*-dark.png"))) == images.count() / 2
    assert {"dark" if name.endswith("-dark.png") else "light" for name in shown} == {scheme}
    shoot(page, f"site-{name.replace('/', '-')}-pictures-{scheme}", full=True)


@pytest.mark.browser
def test_search_finds_a_name_and_a_page(address: str, page) -> None:
    for words, target in (("send_nowait", "reference/managers"), ("exactly once", "docs/durability")):
        page.goto(f"{address}/search.html?q={words}")
        page.locator(f'#search-results a[href*="{target}"]').first.wait_for()
