"""The floors of the package: a module imports what stands on its own floor or below.

`python -m tests.floors` prints what does not. Every import counts: those for types only and those inside of
functions as well.
"""

import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

import grimp

# From the top. A folder stands for all that is in it; `agentrt` itself is the list of the public names.
FLOORS = (
    ("ways in", "__main__ cli user_code"),
    ("built on the public names", "testing demo lessons integrations distributed"),
    ("the public names", "agentrt"),
    (
        "the handles that a person holds",
        "manager runtime publisher readouts groups workflow_types runtime_map runtime_factory stored_runtimes",
    ),
    ("a handle's ways to show itself", "display notebook magic"),
    ("drawn from a source", "views history export"),
    ("what is offered upwards", "feed debugger grants dead_letters context"),
    ("the hot path, private", "engine"),
    ("records", "receipt subscription journal events snapshot activity limits"),
    (
        "know nothing of agents",
        "schema logs clock supervision queueing metrics frames discovery errors typevars deprecation optional "
        "interruptible asyncio_compat",
    ),
)
FLOOR_OF = {room: len(FLOORS) - i for i, (_, rooms) in enumerate(FLOORS) for room in rooms.split()}
MOST_UPWARD = 8


class Import(NamedTuple):
    """One module imports another."""

    importer: str
    imported: str

    def __str__(self) -> str:
        found = graph().get_import_details(importer=self.importer, imported=self.imported)
        lines = ", ".join(str(each["line_number"]) for each in found)
        ends = [f"{each} (floor {floor(each)})" for each in self]
        return f"{' -> '.join(ends)}, line {lines}"


@cache
def graph() -> grimp.ImportGraph:
    """Every import of the package, read from its source."""
    return grimp.build_graph("agentrt", include_external_packages=True, cache_dir=None)


def room(module: str) -> str:
    """The file or the folder right under `agentrt` that a module is in."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def floor(module: str) -> int:
    """The number of a module's floor; a room that the plan does not know is an error."""
    return FLOOR_OF[room(module)]


def own(module: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = graph().find_modules_directly_imported_by(module)
    return {each for each in found if each.split(".")[0] == "agentrt"}


def packages(module: str) -> set[str]:
    """The packages that a module imports, this one and Python's own included."""
    return {each.split(".")[0] for each in graph().find_modules_directly_imported_by(module)}


def modules() -> list[str]:
    """The modules of this package."""
    return sorted(each for each in graph().modules if each.split(".")[0] == "agentrt")


def upward() -> list[Import]:
    """The imports that run from a lower floor to a higher one."""
    return [Import(each, other) for each in modules() for other in sorted(own(each)) if floor(other) > floor(each)]


def circle() -> list[Import]:
    """The imports of one circle, if there is any."""
    try:
        TopologicalSorter({each: own(each) for each in modules()}).prepare()
    except CycleError as error:
        return [Import(importer, imported) for imported, importer in pairwise(error.args[1])][::-1]
    return []


def main() -> int:
    """Print an import circle and the upward imports; 1 if there is a circle, or too many of the others."""
    round_trip, up = circle(), upward()
    for title, imports in (
        ("import circles: " + ("1 or more" if round_trip else "0"), round_trip),
        (f"upward imports: {len(up)} (at most {MOST_UPWARD})", up),
    ):
        print(title, *imports, sep="\n  ")
    return bool(round_trip) or len(up) > MOST_UPWARD


if __name__ == "__main__":
    sys.exit(main())
