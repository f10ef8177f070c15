"""Run one measure in a new process, for its memory and its imports: `python -m benchmarks.child ...`"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from .stopwatch import Figures

ROOT = Path(__file__).parents[1]


def figures(module: str, *args: Any) -> Figures:
    """What `benchmarks.measures.<module>.child(*args)` returns in a new process."""
    command = [sys.executable, "-m", "benchmarks.child", module, *map(str, args)]
    # Else a thread of numpy's spins for a while after the import, and its time is counted.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def resident() -> int:
    """Bytes of memory this process holds."""
    import psutil

    return int(psutil.Process(os.getpid()).memory_info().rss)


def main() -> None:
    from importlib import import_module

    module, *args = sys.argv[1:]
    print(json.dumps(import_module(f"benchmarks.measures.{module}").child(*args)))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # some peers leave threads that never end
