"""The magic of IPython: `%agentrt debug JFK` opens where a runtime is, to stop it and to look at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from .display import ManagerDisplay, RuntimeDisplay
from .errors import ConfigurationError, RuntimeNotFoundError
from .schema.preview import preview

if TYPE_CHECKING:
    from .views.notebook.standalone import Standalone

__all__ = ["Shell", "add_magic", "load_ipython_extension"]

USAGE = "%agentrt debug ID: opens where the runtime of that id is, to stop it, to look at it and to go on"


class Shell(Protocol):
    """IPython's shell."""

    user_ns: dict[str, Any]

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        """Have `%name` call a function."""


def load_ipython_extension(shell: Shell) -> None:
    """Called by `%load_ext agentrt`. A manager that is made in a notebook does the same."""
    add_magic(shell)


def add_magic(shell: Shell) -> None:
    """Have `%agentrt` work in this shell."""

    def agentrt(text: str) -> Any:
        return run_magic(shell, text)

    agentrt.__doc__ = USAGE
    shell.register_magic_function(agentrt, "line", "agentrt")


def run_magic(shell: Shell, text: str) -> Standalone:
    """Do what is written behind `%agentrt`.

    Raises:
        ConfigurationError: There is no such command.
        RuntimeNotFoundError: No manager in the variables of the notebook has a runtime of that id.
    """
    word, _, id = text.strip().partition(" ")
    id = id.strip().strip("\"'")
    if word != "debug" or not id:
        raise ConfigurationError(f"%agentrt {preview(text, 60)} is no command; there is {USAGE}")
    managers = list(dict.fromkeys(_managers(shell)))
    for manager in managers:
        if id in manager:
            return manager[id].where_now()  # type: ignore[no-any-return]
    ids = [each for manager in managers for each in manager][:20]
    there = f"there are {', '.join(ids)}" if ids else "no variable of the notebook holds a manager with runtimes"
    raise RuntimeNotFoundError(f"no runtime has the id {preview(id, 60)}; {there}", runtime=id)


def _managers(shell: Shell) -> Iterator[Any]:
    """The managers that the variables of the notebook hold, the one that was named last first."""
    for value in reversed(list(shell.user_ns.values())):
        if isinstance(value, ManagerDisplay):
            yield value
        elif isinstance(value, RuntimeDisplay):
            yield value.manager  # type: ignore[attr-defined]
