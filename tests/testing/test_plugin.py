"""plugin.py: the fixtures, and docs/testing.md, whose code is run word for word."""

import re
import subprocess
import sys
from pathlib import Path

import agentrt.testing

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "testing.md"


def test_the_guide(pytester):
    """Its code is one test module; ten minutes and three retries take milliseconds."""
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.DOTALL | re.MULTILINE)
    pytester.makepyfile(test_guide="\n\n".join(blocks))
    ran = pytester.inline_run("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider", "-p", "no:playwright")
    ran.assertoutcome(passed=2 + 20 + 4)
    calls = {r.nodeid: r.duration for r in ran.getreports("pytest_runtest_logreport") if r.when == "call"}
    attempts = {id: duration for id, duration in calls.items() if "attempt" in id}
    assert len(attempts) == 2
    assert max(attempts.values()) < 0.5


def test_a_test_that_loses_an_activity_fails(pytester):
    pytester.makepyfile(
        """
        def test_lost(manager):
            counter = manager.create("counter", 0, lambda activity, state: state + 1)
            counter.send_nowait(None).result(5)
            counter.entry.done -= 1
        """
    )
    ran = pytester.inline_run("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider")
    ran.assertoutcome(passed=1, failed=1)  # the failure is the end of the fixture


def test_agentrt_testing_does_not_import_pytest():
    code = "import sys, agentrt.testing; sys.exit('pytest' in sys.modules or 'agentrt.testing.plugin' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_everything_public_is_documented():
    for name in agentrt.testing.__all__:
        assert getattr(agentrt.testing, name).__doc__
