"""docs/debugging.md: its examples run, one after the other, and what they say is so."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "debugging.md"


def test_every_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) > 5
    names: dict[str, object] = {"__name__": "debugging"}
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), names)
