"""docs/architecture.md: what it names is there, and the way of an activity is as short as it says."""

import asyncio
import importlib
import re
import sys
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

import pytest

import agentrt
from agentrt.engine.entry import RuntimeEntry
from tests import floors
from tests.cores import BOTH, core
from tests.support import add

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
README = (ROOT / "README.md").read_text()
STEP = re.compile(r"^\| .+? \| `([\w/]+\.py)` \| `([\w.]+)` \|", re.MULTILINE)
TO_THE_STATE, TO_THE_PIXEL = (STEP.findall(part) for part in PAGE.split("From the record to the pixel"))
MOST_FILES = 6
PACKAGE = ROOT / "agentrt"


@pytest.mark.parametrize(("file", "function"), [*TO_THE_STATE, *TO_THE_PIXEL])
def test_a_function_on_the_way_is_where_the_page_says(file: str, function: str) -> None:
    found = importlib.import_module("agentrt." + file.removesuffix(".py").replace("/", "."))
    with core("pure"):
        for name in function.split("."):
            found = getattr(found, name)
    code = getattr(found, "__code__", None)
    assert code is not None
    assert Path(code.co_filename) == ROOT / "agentrt" / file


def test_the_way_to_the_state_is_six_files_or_fewer() -> None:
    files = {file for file, _ in TO_THE_STATE}
    assert 4 <= len(files) <= MOST_FILES
    assert TO_THE_STATE[0][0] == "runtime.py"
    assert TO_THE_PIXEL[-1][0].startswith("views/")


def files_on_the_way() -> set[str]:
    """The files of the package whose functions run from a send to the committed state, for a runtime at work."""
    found: set[str] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and PACKAGE in path.parents:
            found.add(path.relative_to(PACKAGE).as_posix())
        elif event == "return" and frame.f_code is RuntimeEntry.wake_waiters.__code__:
            sys.setprofile(None)

    async def main() -> None:
        async with agentrt.RuntimeManager(loop="current") as manager:
            runtime = manager.create("counter", 0, add)
            await runtime.ask(1, priority=True)  # the first one of a type is checked
            # It has a part only where this machine is slow.
            manager.watchdog.start_watching = manager.watchdog.yield_interpreter = lambda: None
            sys.setprofile(profile)
            try:
                receipt = runtime.send_nowait(2, priority=True)
                receipt.add_callback(lambda: None)  # somebody waits for it
                await asyncio.sleep(0)
                await receipt
            finally:
                sys.setprofile(None)
            assert runtime.state == 3

    asyncio.run(main())
    return found


@pytest.mark.parametrize("name", BOTH)
def test_an_activity_goes_the_way_that_the_page_says(name: str) -> None:
    with core(name):
        found = files_on_the_way()
    if name == "pure":
        assert {"engine/entry.py", "engine/mailbox.py", "engine/handoff.py"} <= found
    assert found <= {file for file, _ in TO_THE_STATE}


def test_the_readme_names_the_same_files() -> None:
    paragraph = README[README.index("One activity's way") :].split("\n\n")[0]
    assert set(re.findall(r"`([\w/]+\.py)`", paragraph)) == {file for file, _ in TO_THE_STATE}


def test_the_floors_are_those_that_are_held() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", PAGE.split("## The floors")[1].split("## ")[0], re.MULTILINE)
    written = {room.strip("`/"): int(number) for number, rooms in rows for room in re.findall(r"`([\w/]+)`", rooms)}
    assert {room: floors.FLOOR_OF[room] for room in written} == written
    there = {floors.room(module) for module in floors.modules()}
    assert there - set(written) == set()


def test_what_the_page_points_to_is_there() -> None:
    names = re.findall(r"`((?:tests|engine)/[\w/]+\.py)`", PAGE)
    missing = [name for name in names if not ((ROOT / name).is_file() or (ROOT / "agentrt" / name).is_file())]
    assert missing == []


def test_the_picture_is_an_image() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
    assert picture.tag.endswith("svg")
    assert "architecture.svg" in PAGE
