"""docs/time-machine.md: its examples run, one after the other, and what they say is so."""

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs" / "time-machine.md"
PAGE = DOCS.read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
SAID = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)


@pytest.mark.filterwarnings("ignore:the state of")
def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"__name__": "a_program"}
    try:
        for block in BLOCKS:
            exec(block, names)
    finally:
        sys.modules.pop("shop", None)
        names["manager"].close()  # type: ignore[attr-defined]
    lines = capsys.readouterr().out.splitlines()
    for said in SAID.findall(PAGE):
        expected = said.partition(": ")[0] if ": nothing" in said else said
        assert expected in lines, "\n".join((expected, "", *lines))
    assert any("case.error ==" in line for line in lines)
