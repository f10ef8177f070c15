"""stored_settings.py: what tells one version of a workflow's code from another."""

import os
import subprocess
import sys

from agentrt.engine.stored_settings import fingerprint

CODE = """
from agentrt.engine.stored_settings import fingerprint

def sort(activity, state):
    return state if activity.payload in {"red", "green", "blue"} else None

print(fingerprint(sort))
"""


def test_the_same_code_has_the_same_mark_in_each_process() -> None:
    """The order of a set is another one in each."""
    marks = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert len(set(marks)) == 1
    assert marks[0].strip()


def test_another_constant_is_another_mark() -> None:
    two, one = fingerprint(lambda activity, state: state in {1, 2}), fingerprint(lambda activity, state: state in {1})
    assert two != one
