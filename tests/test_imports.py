"""Imports go one way, see `floors.py`, and `import agentrt` stays light."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import agentrt
from tests import floors

ROOT = Path(__file__).parents[1]
HEAVY = {"panel", "bokeh", "pandas", "IPython", "ipywidgets", "numpy"}
FRONT_ENDS = {"panel", "bokeh", "IPython", "ipywidgets", "ray", "pandas"}
VIEWS = floors.FLOOR_OF["views"]


def test_every_room_has_a_floor() -> None:
    assert {floors.room(module) for module in floors.modules()} - set(floors.FLOOR_OF) == set()


def test_there_is_no_import_circle() -> None:
    assert list(map(str, floors.circle())) == []


def test_few_imports_run_upwards() -> None:
    found = list(map(str, floors.upward()))
    assert len(found) <= floors.MOST_UPWARD, found


def test_views_know_a_source_and_never_what_is_behind_it() -> None:
    """No import of a manager, of a handle or of an entry, those for types only included."""
    behind = {
        "agentrt.manager",
        "agentrt.runtime",
        "agentrt.runtime_map",
        "agentrt.runtime_factory",
        "agentrt.feed.live",
    }
    views = [module for module in floors.modules() if floors.room(module) in ("views", "export")]
    found = {module: floors.own(module) for module in views}
    assert len(found) > 60
    assert {module: known for module, own in found.items() if (known := own & behind)} == {}
    engine = {module: {each for each in own if floors.room(each) == "engine"} for module, own in found.items()}
    assert {module: known for module, known in engine.items() if known} == {}


def test_views_give_commands_through_their_role_only() -> None:
    """Only `role.py`, which checks the role, reaches the commands of a source."""
    folder = ROOT / "agentrt" / "views"
    calls = re.compile(r"source\.(command|submit)\(")
    assert [path.name for path in folder.rglob("*.py") if calls.search(path.read_text("utf-8"))] == ["role.py"]


def test_nothing_below_the_views_imports_a_front_end() -> None:
    below = [module for module in floors.modules() if floors.floor(module) < VIEWS]
    assert {module: found for module in below if (found := floors.packages(module) & FRONT_ENDS)} == {}


def test_the_engine_and_what_it_stands_on_load_no_param() -> None:
    engine = [module for module in floors.modules() if floors.floor(module) <= floors.FLOOR_OF["engine"]]
    assert [module for module in engine if "param" in floors.packages(module)] == []


def test_nest_asyncio_lives_in_the_notebook_module() -> None:
    assert [module for module in floors.modules() if "nest_asyncio" in floors.packages(module)] == ["agentrt.notebook"]


def fresh(code: str) -> object:
    """What a new interpreter prints, as JSON."""
    command = [sys.executable, "-c", code]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout)


def test_import_agentrt_loads_nothing_heavy() -> None:
    loaded = fresh("import agentrt, json, sys; print(json.dumps(list(sys.modules)))")
    assert isinstance(loaded, list)
    assert HEAVY & set(loaded) == set()


def test_import_agentrt_is_quick() -> None:
    """In seconds of the processor; the best of three, since others use it too."""
    code = "import time; start = time.process_time(); import agentrt; print(time.process_time() - start)"
    assert min(float(str(fresh(code))) for _ in range(3)) < 0.5


def test_the_public_names_are_listed() -> None:
    public = {name for name, value in vars(agentrt).items() if not name.startswith("_") and not inspect.ismodule(value)}
    listed = {name for name in agentrt.__all__ if not name.startswith("_")}
    assert public == listed
    assert len(agentrt.__all__) == len(set(agentrt.__all__))


def test_every_listed_name_is_there() -> None:
    assert [name for name in agentrt.__all__ if not hasattr(agentrt, name)] == []
