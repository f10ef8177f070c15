"""A failure as a pytest file that stands alone: the scenario, imported or with its source, and the schedule."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from ...errors import ConfigurationError
from .shared import roots_of_function

__all__ = ["write_replay"]

PLAIN = {"seed": 0, "early_timers": False, "faults": ()}


def write_replay(path: str | Path, scenario: Any, kind: str, text: str, schedule: Any, options: dict[str, Any]) -> Path:
    """Write the file; see `ScheduleFailure.record_test`."""
    parts = _Source()
    name = parts.add_scenario(scenario)
    lines = "\n".join(f'    "{_quote(each)}",' for each in schedule.names)
    given = "".join(f", {key}={value!r}" for key, value in options.items() if value != PLAIN.get(key))
    story = textwrap.indent(str(schedule), "    ").replace("\\", "\\\\").replace('"""', "'''")
    title = f"`{name}` under one schedule. When it was recorded: {kind}, {text}".replace("\\", "\\\\").replace('"', "'")
    file = Path(path)
    file.write_text(
        f'"""{title}\n\n{story}\n"""\n\n{parts.imports()}\n\n{parts.definitions()}SCHEDULE = (\n{lines}\n)\n\n\n'
        f"def test_{re.sub(r'[^0-9a-zA-Z_]', '_', name)}_under_this_schedule() -> None:\n"
        f"    replay({name}, SCHEDULE{given})\n",
        encoding="utf-8",
    )
    return file


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


class _Source:
    """The imports and the definitions that a scenario needs."""

    def __init__(self) -> None:
        self._imports = {"from agentrt.testing import replay": None}
        self._definitions: dict[str, str] = {}

    def imports(self) -> str:
        """The import lines, plain ones first."""
        return "\n".join(sorted(self._imports, key=lambda line: (line.startswith("from"), line)))

    def definitions(self) -> str:
        """Everything that can't be imported, what is needed first."""
        return "".join(f"{text}\n\n\n" for text in self._definitions.values() if text)

    def add_scenario(self, scenario: Any) -> str:
        """Have the scenario in the file; returns its name there."""
        if not isinstance(scenario, FunctionType):
            raise ConfigurationError(f"{scenario!r:.80} can't be written to a test; give `explore` a plain `async def`")
        self._add(scenario.__name__, scenario)
        return scenario.__name__

    def _add(self, name: str, value: Any) -> None:
        if name in self._definitions or name in ("replay", "__class__"):
            return
        if isinstance(value, ModuleType):
            self._imports[f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")] = None
        elif _is_importable(value):
            alias = f" as {name}" if name != value.__name__ else ""
            self._imports[f"from {value.__module__} import {value.__name__}{alias}"] = None
        elif isinstance(value, FunctionType | type):
            self._add_source(name, value)
        else:
            self._add_literal(name, value)

    def _add_source(self, name: str, value: Any) -> None:
        self._definitions[name] = ""  # one that names itself is not added again
        functions = [value] if isinstance(value, FunctionType) else [*filter(_is_function, vars(value).values())]
        for function in functions:
            for needed, part in roots_of_function(function):
                if needed.isidentifier():
                    self._add(needed, part)
        try:
            text = textwrap.dedent(inspect.getsource(value)).rstrip()
        except (OSError, TypeError) as error:
            raise ConfigurationError(f"the source of {name} can't be read; define it in a module") from error
        del self._definitions[name]
        self._definitions[name] = text

    def _add_literal(self, name: str, value: Any) -> None:
        try:
            same = ast.literal_eval(repr(value)) == value
        except (ValueError, SyntaxError):
            same = False
        if not same:
            raise ConfigurationError(
                f"the scenario uses {name}, a {type(value).__name__}, which can't be written to a test; make it inside "
                "of the scenario, or define the scenario in a module that a test can import"
            )
        self._definitions[name] = f"{name} = {value!r}"


def _is_function(value: Any) -> bool:
    return isinstance(value, FunctionType)


def _is_importable(value: Any) -> bool:
    """Whether a test can import it by its name from its module."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(value, FunctionType | type) and not callable(value):
        return False
    return module not in (None, "__main__") and name is not None and "." not in name
