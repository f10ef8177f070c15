"""docs/durability.md: its examples run, one after the other, and what they say is so."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "durability.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "a_program"}
    try:
        for block in BLOCKS:
            exec(block, names)
    finally:
        manager = names.get("manager")
        if manager is not None:
            manager.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().out.splitlines() == ["False 0", "(1, 0)", "{'accepted': 2, 'done': 2}"]


def test_its_promise_is_the_one_that_was_given() -> None:
    quoted = " ".join(line.removeprefix("> ") for line in PAGE.splitlines() if line.startswith(">"))
    assert quoted == (
        "An accepted durable activity survives kill -9 (and power loss, on honest storage). It is processed at least "
        "once. Its state change, what it sent, and its done mark commit exactly once, in one transaction. Side effects "
        "may run twice: use the activity's id as the idempotency key, or `ctx.effect`."
    )
