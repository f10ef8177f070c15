"""README.md, CONTRIBUTING.md, docs/ and the lessons: each command and each name that they mention is there.

Their blocks of Python run in the tests of their subjects.
"""

import importlib.util
import re
import shlex
from collections.abc import Iterator

import nbformat
import pytest

import agentrt
from agentrt.cli import _parser
from agentrt.context import Context
from agentrt.distributed.cluster import ClusterManager
from tests.harness.place import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *ROOT.glob("docs/**/*.md")]
LESSONS = sorted(ROOT.glob("notebooks/*.ipynb"))
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES} | {
    page.name: "\n\n".join(
        cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "markdown"
    )
    for page in LESSONS
}
BLOCK = re.compile(r"^```(?:sh|bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OUR_MODULES = ("agentrt", "benchmarks", "docs", "tests")


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command that a page shows: in a block, in an indented line, or between words."""
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    indented = re.findall(r"^ {4}(agentrt .*)$", text, re.MULTILINE)
    for line in [*lines, *indented, *SPAN.findall(ANY_BLOCK.sub("", text).replace("\n", " "))]:
        for command in line.split(" && "):
            try:
                words = shlex.split(command, comments=True)
            except ValueError:  # no command
                continue
            if words:
                yield words


def is_taken(words: list[str]) -> bool:
    """Whether the command line of agentrt takes these words; a command alone may be one that is only named."""
    named = len(words) == 1 or (words[0] == "journal" and len(words) == 2)
    try:
        _parser().parse_args([*words, "--help"] if named else words)
    except SystemExit as end:
        return end.code == 0
    return True


def test_commands_are_found_in_blocks_and_between_words() -> None:
    page = (
        "Run `agentrt list` and\n\n    agentrt view a.db\n\n```sh\npip install x && agentrt watch --all  # why\n```\n"
    )
    assert list(commands(page)) == [
        ["pip", "install", "x"],
        ["agentrt", "watch", "--all"],
        ["agentrt", "view", "a.db"],
        ["agentrt", "list"],
    ]


def test_the_command_line_takes_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    found = {(page, *words[1:]) for page in TEXTS for words in commands(TEXTS[page]) if words[0] == "agentrt"}
    assert [line for line in sorted(found) if line[1:] and not is_taken(list(line[1:]))] == []
    capsys.readouterr()
    assert not is_taken(["watch", "--every"])
    assert not is_taken(["look"])


def test_each_module_is_there_that_a_command_runs() -> None:
    found = {
        (page, words[2])
        for page in TEXTS
        for words in commands(TEXTS[page])
        if re.search(r"python[0-9.]* -m [\w.]+$", " ".join(words[:3])) and words[2].split(".")[0] in OUR_MODULES
    }
    assert len(found) > 10
    assert [line for line in sorted(found) if importlib.util.find_spec(line[1]) is None] == []


def test_a_handle_has_each_name_that_is_mentioned() -> None:
    with agentrt.RuntimeManager() as manager:
        runtime = manager.create("one", 0, lambda activity, state: state)
        names = {"manager": {*dir(manager), *dir(ClusterManager)}, "runtime": {*dir(runtime)}, "ctx": {*dir(Context)}}
    mentioned = {
        (page, *pair)
        for page, text in TEXTS.items()
        for span in SPAN.findall(ANY_BLOCK.sub("", text))
        for pair in re.findall(r"(?<![\w./])(manager|runtime|ctx)\.(?!py\b)([a-z]\w*)", span)
    }
    assert len(mentioned) > 50
    assert [each for each in sorted(mentioned) if each[2] not in names[each[1]]] == []
