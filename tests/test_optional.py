"""optional.py: the core without the packages behind the views, as in a small container.

The program runs in a process that finds agentrt, msgspec, param and the standard library, and nothing else.
"""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import agentrt
from agentrt.feed.connection import find_manager
from agentrt.feed.remote import RemoteSource
from agentrt.optional import explain_missing

HAS = ("msgspec", "param")
ONLY = """
import sys
path, sys.argv = sys.argv[1], sys.argv[1:]
sys.path.insert(0, path)
import agentrt
manager = agentrt.RuntimeManager(loop="thread", name="small")
runtime = manager.create("a", 0, lambda activity, state: state + activity.payload)
assert runtime.send_nowait(1).result(60).state == 1
"""
TRIES = """
import contextlib, io
from agentrt.cli import main
for call in (manager.serve, lambda: manager.export("x.html"), runtime.widget):
    try:
        print(call())
    except agentrt.MissingPackageError as error:
        print(error)
print(runtime._repr_mimebundle_()["text/plain"])
print(main(["serve", "--all"]), main(["list"]))
"""
WAITS = """
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def small(tmp_path):
    """A folder with agentrt and the two packages it can't do without; `run` a program there."""
    for name in HAS:
        for file in importlib.metadata.files(name):
            top = file.parts[0]
            if top not in (".", "..") and not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(Path(file.locate()).parents[len(file.parts) - 1] / top)
    (tmp_path / "agentrt").symlink_to(Path(agentrt.__file__).parent)

    def run(program: str) -> subprocess.Popen:
        # -S: without the packages of the environment; -I: whatever PYTHONPATH says.
        command = [sys.executable, "-I", "-S", "-c", ONLY + program, str(tmp_path)]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )

    return run


def test_whatever_shows_something_says_what_is_missing(small):
    output, errors = small(TRIES).communicate(timeout=60)
    lines = output.splitlines()
    assert len(lines) > 5, errors
    missing = "panel, which is not installed: pip install agentrt"
    assert lines[:3] == [
        f"the dashboard needs {missing}",
        f"a view needs {missing}",
        "a widget needs ipywidgets, which is not installed: pip install agentrt",
    ]
    assert lines[3].startswith("<Runtime 'a'")
    assert lines[4] == f"(its view needs {missing})"
    assert errors == f"agentrt serve: the page needs {missing}\n"
    assert lines[-1] == "2 0"


def test_its_feed_is_read_from_elsewhere(small):
    program = small(WAITS)
    assert program.stdout.readline() == "ready\n", program.stderr.read()
    source = RemoteSource(find_manager("small"))
    try:
        assert source.fates().done == 1
    finally:
        source.close()
        program.communicate("", timeout=20)


def test_an_import_that_is_missing_in_agentrt_itself_stays_what_it_is():
    with (
        pytest.raises(ModuleNotFoundError, match=r"No module named 'agentrt\.no_such'"),
        explain_missing("a test needs"),
    ):
        import agentrt.no_such  # noqa: F401
