"""What the files beside the code promise to each other and to whoever clones them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import panel as pn
import pytest
import yaml

import agentrt
from tests import floors

ROOT = Path(__file__).parents[1]
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What conda-forge calls otherwise.
CONDA_NAMES = {
    "jupyter_client": "jupyter-client",
    "playwright-python": "playwright",
    "prometheus_client": "prometheus-client",
    "python-build": "build",
}
REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,]+\])?\s*(?P<bounds>[<>=!~].*)$")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
# Nobody else has these.
OURS_ALONE = re.compile(
    r"(?<![\w.])/(?:work|root|tmp/venv|home/\w+|opt/pypi\S*|opt/wheels)\b"
    r"|pypi\.org|pythonhosted\.org|debian\.org|npmjs\.(?:org|com)|anaconda\.org",
)
# Not text.
BINARY = {".png", ".gif", ".ico", ".woff2", ".jpg", ".zip"}


def parsed(requirements: list[str]) -> dict[str, str]:
    """{"panel": ">=1.9"}: each name once."""
    found = [REQUIREMENT.match(requirement) for requirement in requirements]
    assert all(found), f"no bound in one of {requirements}"
    pairs = [
        (CONDA_NAMES.get(match["name"], match["name"]), match["bounds"].partition(";")[0].strip())
        for match in found
        if match
    ]
    assert len(dict(pairs)) == len(pairs), f"a name twice in {requirements}"
    return dict(pairs)


def tracked() -> list[Path]:
    """The files of the project: what git keeps, or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


NO_PART_OF_CONDA = {"bench"}  # packages to compare with, of which some are not there


def test_environment_equals_pyproject() -> None:
    lines: list[Any] = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [line for line in lines if isinstance(line, str) and line != "pip"]
    pip = [name for line in lines if isinstance(line, dict) for name in line["pip"]]
    assert "pip" in lines
    assert pip.pop() == "-e ."
    extras = [needs for name, needs in PROJECT["optional-dependencies"].items() if name not in NO_PART_OF_CONDA]
    wanted = parsed(list(dict.fromkeys(chain(PROJECT["dependencies"], *extras))))  # some need the same
    assert parsed([*conda, *pip]) == {"python": PROJECT["requires-python"], **wanted}


def test_every_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("\ndependencies = [\n")[1].split("\n]")[0]
    assert [line for line in block.splitlines() if "#" not in line] == []


def test_the_readme_has_the_two_commands() -> None:
    blocks = "\n".join(code_blocks((ROOT / "README.md").read_text()))
    assert re.search(r'^pip install -e "?\.\[demo\]"? && agentrt demo$', blocks, flags=re.MULTILINE)
    assert re.search(r"^bash tests/run$", blocks, flags=re.MULTILINE)


def test_the_code_of_the_readme_runs() -> None:
    """As two cells: what is awaited in a cell is the value that its comment says."""
    first, second = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"pn": pn}
    call, _, says = first.split("await ")[1].partition("\n")[0].partition("  # -> ")
    exec(first.split("await ")[0], names)
    with names["manager"] as manager:
        assert manager.run(eval(call, names)) == int(says.partition(":")[0])
        exec(second, names)
        runtime = names["runtime"]
        assert (runtime.timeout, runtime.standard_capacity, runtime.paused) == (2, 50, True)
        runtime.paused = False


def test_what_the_readme_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"", (ROOT / "README.md").read_text())
    local = {link for pair in links for link in pair if link and "://" not in link and not link.startswith("mailto:")}
    assert sorted(link for link in local if not (ROOT / link).exists()) == []


def test_ci_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "bash tests/run" in script.read_text()


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT
    assert "version" in PROJECT["dynamic"]
    assert TOOLS["hatch"]["version"]["path"] == "agentrt/__init__.py"


def test_the_citation_is_valid_and_of_this_version() -> None:
    schema = ("--builtin-schema", "vendor.citation-file-format")
    run(sys.executable, "-m", "check_jsonschema", *schema, "CITATION.cff")
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == agentrt.__version__


def test_the_conda_recipe_equals_pyproject() -> None:
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == agentrt.__version__
    about = recipe["about"]
    assert (recipe["package"]["name"], about["summary"]) == (PROJECT["name"], PROJECT["description"])
    assert (about["license"], [about["license_file"]]) == (PROJECT["license"], PROJECT["license-files"])
    needs = recipe["requirements"]
    wanted = parsed(PROJECT["dependencies"])
    del wanted["panel-reactflow"]  # not on conda-forge, as the recipe says
    assert parsed(needs["run"]) == {"python": PROJECT["requires-python"], **wanted}
    building = parsed([each for each in needs["host"] if each != "pip"])
    of_project = parsed([each.lower() for each in BUILD["requires"]])
    assert building == {"python": PROJECT["requires-python"], **of_project}
    scripts = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_the_changelog_has_this_version() -> None:
    """The newest heading is this version, or it is Unreleased and says that it will be."""
    newest, below = re.findall(r"^## \[([^\]]+)\][^\n]*\n(.*?)(?=^## |\Z)", CHANGELOG, flags=re.DOTALL | re.MULTILINE)[
        0
    ]
    if newest == "Unreleased":
        assert f"To be released as {agentrt.__version__}." in below
    else:
        assert newest == agentrt.__version__


def test_the_changelog_keeps_its_form() -> None:
    """That of https://keepachangelog.com: versions, newest first, and in each the kinds of change."""
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", CHANGELOG, flags=re.MULTILINE)) <= kinds
    assert (
        re.findall(r"^## (?!\[(?:Unreleased\]|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)$)", CHANGELOG, flags=re.MULTILINE)
        == []
    )


def test_every_link_of_the_project_has_a_page() -> None:
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= set(PROJECT["urls"])
    assert [url for url in PROJECT["urls"].values() if not url.startswith("https://")] == []


def test_mypy_makes_exceptions_only_for_what_is_there() -> None:
    imported = {name.split(".")[0] for name in floors.graph().modules}
    stale = [
        pattern
        for override in TOOLS["mypy"]["overrides"]
        for pattern in override["module"]
        if (name := pattern.removesuffix(".*")) not in (floors.modules() if "agentrt" in name else imported)
    ]
    assert stale == []


def test_ruff_makes_exceptions_only_for_what_is_there() -> None:
    assert [each for each in TOOLS["ruff"]["lint"]["per-file-ignores"] if not any(ROOT.glob(each))] == []


def test_the_workflows_run_the_supported_pythons() -> None:
    for name, job in (("tests", "all"), ("wheels", "build"), ("wheels", "install")):
        workflow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
        supported = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]
        assert workflow["jobs"][job]["strategy"]["matrix"]["python"] == supported


def test_the_hooks_follow_their_schema() -> None:
    run(sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml")


def test_every_text_ends_with_one_newline_and_no_line_with_white_space() -> None:
    texts = {path: path.read_bytes() for path in tracked() if path.suffix not in BINARY}
    endings = {path for path, text in texts.items() if text and (not text.endswith(b"\n") or text.endswith(b"\n\n"))}
    spaces = {path for path, text in texts.items() if re.search(rb"[ \t\r]$", text, flags=re.MULTILINE)}
    assert sorted(str(path.relative_to(ROOT)) for path in endings | spaces) == []


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS][:3] == ["01_first_agent", "02_three_towers", "03_mailbox_and_priority"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    assert "widgets" not in notebook["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_names_its_kernel(path: Path) -> None:
    """Else JupyterLab asks for one before the first cell."""
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


def test_no_file_names_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in tracked()
        if path.suffix not in BINARY
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in OURS_ALONE.finditer(line)
    ]
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_is_valid(path: Path) -> None:
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path))


def test_a_hook_downloads_nothing() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv-test/bin/")


def test_contributing_names_what_is_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    names = re.findall(r"`((?:agentrt|tests|docs)/[\w/]+\.\w+)`", page)
    assert len(names) > 10
    assert [name for name in names if not (ROOT / name).exists()] == []
    modules = re.findall(r"-m ((?:tests|benchmarks)[\w.]*)", page)
    paths = [ROOT / name.replace(".", "/") for name in modules]
    assert [str(path) for path in paths if not (path.with_suffix(".py").exists() or path.is_dir())] == []
