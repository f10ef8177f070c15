"""Start: CPU time of a new process until an import, a first answer, a first view or a first page."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ..child import ROOT
from ..measure import ONE_KIND, Measure, Sample
from ..peer import Peer
from ..sizes import Size
from ..stopwatch import Figures
from ..work import Kind

START = (
    "import agentrt; manager = agentrt.RuntimeManager(); runtime = manager.create('a', 0, lambda a, s: s + a.payload)"
)
FIRST = {
    "answer": f"{START}; assert manager.run(runtime.ask(1)) == 1",
    "view": f"{START}; assert runtime._repr_mimebundle_()",
    "page": f"""{START}
from urllib.request import urlopen
assert b"</html>" in urlopen(manager.serve().url).read()""",
}


def measure_process(code: str) -> tuple[float, float]:
    """Milliseconds of CPU time and of real time of a new Python process that runs `code`."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", f"{code}\nimport os; os._exit(0)"], cwd=ROOT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"failed: {code}")
    return (usage.ru_utime + usage.ru_stime) * 1e3, (time.perf_counter() - started) * 1e3


def imports(peer: Peer, kind: Kind, size: Size) -> Figures:
    found = sorted(measure_process(f"import {peer.imports or peer.needs or 'asyncio'}") for _ in range(size.starts))
    cpu, wall = found[len(found) // 2]
    return {"ms": cpu, "wall ms": wall}


def first(what: str) -> Sample:
    def sample(peer: Peer, kind: Kind, size: Size) -> Figures:
        cpu, wall = measure_process(FIRST[what])
        return {"ms": cpu, "wall ms": wall}

    return sample


MEASURES = [
    Measure("import", "CPU of a new process that imports it", "missing", imports, "ms", ONE_KIND, 2),
    Measure("first answer", "import, a manager, an agent, one ask", "watched", first("answer"), "ms", ONE_KIND, 3),
    Measure("first view", "the same and the view of the agent, built", "watched", first("view"), "ms", ONE_KIND, 1),
    Measure(
        "first page", "the same and the dashboard served, its first page", "watched", first("page"), "ms", ONE_KIND, 1
    ),
]
