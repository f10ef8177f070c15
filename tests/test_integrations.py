"""docs/integrations.md: its examples run, one after the other, and what they say is so."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "integrations.md").read_text()
SAID = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)
# By the heading of a part: the package that its examples need.
PARTS = {
    "Prometheus": "prometheus_client",
    "OpenTelemetry": "opentelemetry.sdk",
    "Logging": "msgspec",
    "LangGraph": "langgraph",
    "Pydantic AI": "pydantic_ai",
    "A model and its tools": "msgspec",
    "A function or a generator": "msgspec",
}


def part(title: str) -> str:
    """The text of a part of the page."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


@pytest.mark.parametrize("title", PARTS)
def test_its_examples_run(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(PARTS[title])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "a_program"}
    try:
        for block in re.findall(r"^```python\n(.*?)^```", part(title), flags=re.DOTALL | re.MULTILINE):
            exec(block, names)
    finally:
        names["manager"].close()  # type: ignore[attr-defined]
    lines = capsys.readouterr().out.splitlines()
    said = SAID.findall(part(title))
    assert said
    assert [each for each in said if each not in lines] == [], lines


def test_every_part_is_tried() -> None:
    assert set(re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)) == set(PARTS)
