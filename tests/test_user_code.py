"""user_code.py: what a command is given is found, or named with what to write instead."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrt import ConfigurationError
from agentrt.user_code import find_workflow, import_code, load_manager

CODE = """
import agentrt
number = 5
def double(activity, state):
    return state
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one file of a user; what is imported of it is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_user_code.py").write_text(CODE)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(("my_", "agentrt_app_my_"))]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["my_user_code", "my_user_code.py"])
def test_a_module_or_a_file_is_imported(name: str) -> None:
    assert import_code(name).number == 5


@pytest.mark.parametrize("name", ["no_such_code", "no_such_code.py"])
def test_what_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        import_code(name)


def test_a_module_that_lacks_another_one_keeps_its_error(folder: Path) -> None:
    (folder / "my_other_code.py").write_text("import no_such_code")
    with pytest.raises(ModuleNotFoundError, match="no_such_code"):
        import_code("my_other_code")


def test_the_manager_of_a_module(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="write `manager = RuntimeManager"):
        load_manager("my_user_code.py")
    (folder / "my_other_code.py").write_text("import agentrt\nmine = agentrt.RuntimeManager()")
    with load_manager("my_other_code.py") as manager:
        assert len(manager) == 0


def test_the_workflow_of_a_runtime() -> None:
    id, function = find_workflow("a=b=my_user_code:double")
    assert (id, function.__name__) == ("a=b", "double")
    for given in ("my_user_code:double", "a=my_user_code", "a=my_user_code:number", "a=my_user_code:nothing"):
        with pytest.raises(ConfigurationError):
            find_workflow(given)
