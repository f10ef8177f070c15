"""A name stands for one thing, and a function is called by what it does: by a verb, or by the noun that it returns."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import agentrt

PACKAGE = Path(agentrt.__file__).parent
# Participles that do not end in "ed". Left out are those that are verbs too: cut, put, read, run, set, shut.
IRREGULAR = """
    begun bound broken brought built chosen done drawn driven fallen found frozen given gone gotten grown had heard held
    hidden kept known laid led left lent lost made meant met paid said seen sent shown sold spent spoken stood stuck
    sunk taken taught thrown told thought understood woken won worn written
""".split()  # noqa: SIM905
REGULAR = {"feed", "need", "speed", "embed", "seed", "proceed", "shed", "bed", "red"}  # end in "ed", and are none
# Tornado calls the first two, asyncio the next three; `receipt.stored()` is public.
FOREIGN = {"headers_received", "data_received", "done", "cancelled", "_timer_handle_cancelled", "stored"}
# What a person reads has the words of the API: the word that is used, by a pattern of those that are not.
ONE_WORD = {
    "priority": r"\burgent\b",
    "dead letters": r"(?<!ead )\bletters\b",
    "processed": r"\bnever ran\b|\bexecuted\b|\bhandled activit",
    "waiting": r"\bqueued\b|\binbox\b|\bbacklog\b",
    "delayed": r"\bheld back\b",
    "lane": r"\bin line\b",
    "service": r"\btakes p\d",
}
PREDICATES = ("is_", "has_", "are_", "was_", "test_")


def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module, by its path in the package."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


MODULES = modules()


def is_participle(word: str) -> bool:
    return word in IRREGULAR or (word.endswith("ed") and word not in REGULAR)


def is_function(node: ast.AST) -> bool:
    """A function or a method; a property is a noun or an adjective, as any attribute. Old names are not counted."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name in FOREIGN:
        return False
    if (ast.get_docstring(node) or "").startswith("Deprecated:"):
        return False
    return not any("property" in ast.unparse(each) or "setter" in ast.unparse(each) for each in node.decorator_list)


def test_a_top_level_name_is_defined_once() -> None:
    """Functions and classes. Constants (CSS, PAGE) are of their module, and not imported by that name elsewhere."""
    places: dict[str, list[str]] = defaultdict(list)
    for module, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                places[node.name].append(module)
    places.pop("__getattr__", None)  # a name of Python's
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_function_is_named_by_a_participle() -> None:
    """Not `_checked()` but `_check()`; not `news_shown()` but `show_news()`."""
    names = [
        f"{module}: {node.name}"
        for module, tree in MODULES.items()
        for node in filter(is_function, ast.walk(tree))
        if not node.name.strip("_").startswith(PREDICATES) and is_participle(node.name.strip("_").split("_")[-1])
    ]
    assert names == []


def sentences(tree: ast.Module) -> list[str]:
    """The texts of a module with a space in them, without docstrings and style sheets."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return [node.value for node in texts if isinstance(node.value, str) and " " in node.value and "{" not in node.value]


@pytest.mark.parametrize("word", ONE_WORD)
def test_a_page_uses_one_word_for_one_thing(word: str) -> None:
    pages = {module: tree for module, tree in MODULES.items() if module.startswith(("views/", "cli", "display"))}
    found = {
        module: [text for text in sentences(tree) if re.search(ONE_WORD[word], text)] for module, tree in pages.items()
    }
    assert {module: texts for module, texts in found.items() if texts} == {}, f"the word is {word!r}"


@pytest.mark.parametrize(
    ("word", "found"), [("checked", True), ("made", True), ("check", False), ("feed", False), ("speed", False)]
)
def test_participles_are_told_from_verbs(word: str, found: bool) -> None:
    assert is_participle(word) is found
