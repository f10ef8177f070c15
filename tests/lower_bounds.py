"""Whether this environment has the oldest dependencies that `pyproject.toml` allows.

`python -m tests.lower_bounds` prints each with its version; a newer one is an error, but where this Python has no wheel
of the oldest.
"""

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = (
    "demo",
    "distributed",
    "export",
    "langgraph",
    "opentelemetry",
    "postgres",
    "process",
    "prometheus",
    "pydantic-ai",
)
OLDEST_PYTHON = (3, 11)


def bounds() -> dict[str, str]:
    """The lower bound of each dependency that a user of the package may install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(each for extra in EXTRAS for each in extras[extra])]
    pairs = (each.split(">=") for each in wanted)
    return {name.partition("[")[0]: oldest.partition(",")[0] for name, oldest in pairs}


def main() -> int:
    """Print the versions; 1 if one is not the oldest."""
    wrong = 0
    for name, oldest in bounds().items():
        newer = version(name) != oldest
        wrong += newer
        print(f"{name:20} {version(name):10} {f'newer than the bound, {oldest}' if newer else ''}".rstrip())
    return int(bool(wrong) and sys.version_info[:2] == OLDEST_PYTHON)


if __name__ == "__main__":
    sys.exit(main())
