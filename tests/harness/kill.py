"""A process that is killed in the middle of its work."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["run_and_kill"]

ROOT = Path(__file__).parents[2]


def run_and_kill(command: Sequence[str], lines: int) -> list[list[str]]:
    """Run a command, kill it with SIGKILL after it has said so many lines, and return the words of each whole line."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    return [line.split() for line in said if line.endswith("\n")]
