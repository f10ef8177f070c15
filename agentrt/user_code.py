"""The code that a command of the command line is given: a file or a module, a manager or a function in it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .schema.preview import preview

if TYPE_CHECKING:
    from .manager import RuntimeManager

__all__ = ["find_workflow", "import_code", "load_manager"]


def load_manager(name: str) -> RuntimeManager:
    """The manager that a user's file or module creates. Errors of that code keep their traceback."""
    from . import RuntimeManager

    module = import_code(name)
    found = [value for value in vars(module).values() if isinstance(value, RuntimeManager)]
    manager = vars(module).get("manager", found[0] if len(found) == 1 else None)
    if not isinstance(manager, RuntimeManager):
        raise ConfigurationError(f"{name} has no RuntimeManager named `manager`; write `manager = RuntimeManager()`")
    return manager


def import_code(name: str) -> ModuleType:
    """Import a file by its path or a module by its name; it can import what stands beside it."""
    path = Path(name)
    is_file = path.suffix == ".py"
    sys.path.insert(0, str(path.resolve().parent if is_file else Path.cwd()))
    if is_file:
        return _import_file(path)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigurationError(f"there is no file or module {name}; give a path such as agents.py") from None


def _import_file(path: Path) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"agentrt_app_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_workflow(text: str) -> tuple[str, Callable[..., Any]]:
    """A runtime's id and the function that is its code."""
    id, _, place = text.rpartition("=")
    module, _, name = place.rpartition(":")
    if not (id and module and name):
        raise ConfigurationError(f"--workflow is {preview(text, 80)}; give it as JFK=towers:control")
    function = getattr(import_code(module), name, None)
    if not callable(function):
        raise ConfigurationError(f"{module} has no function {name}")
    return id, function
