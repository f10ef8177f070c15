"""plugin.py: the fixtures, and docs/testing.md, whose code is run word for word."""

import re
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

import agentrt.testing

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "testing.md"
EXPLORING = ROOT / "docs" / "exploring.md"


PLUGINS = ("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider", "-p", "no:playwright")
OTHER_LOOP = re.compile(
    r"^### On virtual time\n(.*?)^## ", re.DOTALL | re.MULTILINE
)  # its tests have another conftest.py


def code_blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def patient_hypothesis():
    """The machine is in use: an example that is slow there is no failure."""
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("patient", hypothesis.settings(), suppress_health_check=slow)
    hypothesis.settings.load_profile("patient")
    yield
    hypothesis.settings.load_profile("agentrt")


@pytest.mark.usefixtures("patient_hypothesis")
def test_the_guide(pytester):
    """Its code is one test module; ten minutes and three retries take milliseconds."""
    pytest.importorskip("anyio")
    pytest.importorskip("pytest_asyncio")
    pytester.makepyfile(test_guide="\n\n".join(code_blocks(OTHER_LOOP.sub("## ", GUIDE.read_text()))))
    ran = pytester.inline_run(*PLUGINS, "-p", "anyio", "-p", "pytest_asyncio")
    ran.assertoutcome(passed=2 + 20 + 4 + 4)
    calls = {r.nodeid: r.duration for r in ran.getreports("pytest_runtest_logreport") if r.when == "call"}
    attempts = {id: duration for id, duration in calls.items() if "attempt" in id}
    assert len(attempts) == 2
    assert max(attempts.values()) < 0.5


@pytest.mark.parametrize(("library", "plugin"), [("anyio", "anyio"), ("pytest-asyncio", "pytest_asyncio")])
def test_the_guide_to_async_tests_on_virtual_time(pytester, library, plugin):
    pytest.importorskip(plugin)
    *conftests, tests = code_blocks(OTHER_LOOP.search(GUIDE.read_text())[1])
    (conftest,) = [each for each in conftests if each.startswith(f"# conftest.py, for {library}\n")]
    pytester.makeconftest(conftest)
    pytester.makepyfile(test_guide=tests)
    pytester.inline_run(*PLUGINS, "-p", plugin, "-k", f"with_{plugin}").assertoutcome(passed=1)


def test_the_guide_to_exploring(pytester):
    pytester.makepyfile(test_guide="\n\n".join(code_blocks(EXPLORING.read_text())))
    ran = pytester.inline_run(*PLUGINS)
    ran.assertoutcome(passed=11)


def test_a_test_that_loses_an_activity_fails(pytester):
    pytester.makepyfile(
        """
        def test_lost(manager):
            counter = manager.create("counter", 0, lambda activity, state: state + 1)
            counter.send_nowait(None).result(60)
            counter.entry.done -= 1
        """
    )
    ran = pytester.inline_run("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider")
    ran.assertoutcome(passed=1, failed=1)  # the failure is the end of the fixture


EXPLORED = """
import asyncio
import pytest

def add(activity, state):
    return state + activity.payload

@pytest.fixture
def limit():
    return 100

@pytest.mark.explore(budget=50)
async def test_marked(manager, limit):
    async def client():
        await account.ask(limit - await account.ask(0))
    account = manager.create("account", 0, add)
    await asyncio.gather(client(), client())
    assert account.state <= limit

@pytest.mark.explore
@pytest.mark.parametrize("number", [2, 3])
async def test_right(manager, number):
    account = manager.create("account", 0, add)
    await asyncio.gather(*(account.ask(1) for _ in range(number)))
    assert account.state == number

def test_fixture(explore):
    async def scenario(manager):
        await manager.create("account", 0, add).ask(1)
    assert explore(scenario).complete
"""


def test_explored_tests(pytester):
    pytester.makepyfile(EXPLORED)
    ran = pytester.runpytest("-p", "agentrt.testing.plugin", "-p", "no:cacheprovider", "-p", "no:playwright")
    ran.assert_outcomes(passed=3, failed=1)
    text = ran.stdout.str()
    assert "client() 2: sends 0 to account" in text
    assert re.search(r"test_right\[3\]: <Exploration dpor: 6 schedules, complete, no failure, .* s \([\d,]+/s\)>", text)
    assert re.search(r"test_fixture: <Exploration dpor: 1 schedules", text)


def test_a_module_of_tests_may_import_another_one(pytester):
    pytester.makepyfile(
        helped="import pytest\npytestmark = pytest.mark.usefixtures()",
        test_helped="import helped\n\ndef test_it():\n    assert helped.pytestmark",
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_agentrt_testing_does_not_import_pytest():
    code = "import sys, agentrt.testing; sys.exit('pytest' in sys.modules or 'agentrt.testing.plugin' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_everything_public_is_documented():
    for name in agentrt.testing.__all__:
        assert getattr(agentrt.testing, name).__doc__
