"""The file that a failure is written to: it stands alone, and fails until the fault is mended."""

import asyncio
import runpy
import subprocess
import sys

import pytest

import agentrt
from agentrt.testing import explore

LIMIT = 100


def rest(balance):
    return LIMIT - balance


def add(activity, state):
    return state + activity.payload


async def overdraw(manager):
    async def client():
        await account.ask(rest(await account.ask(0)))

    account = manager.create("account", 0, add)
    await asyncio.gather(client(), client())
    assert account.state <= LIMIT, account.state


def test_the_file_of_a_scenario_in_a_module_imports_it(tmp_path):
    path = explore(overdraw).failures[0].record_test(tmp_path / "test_overdraw.py")
    text = path.read_text()
    assert f"from {__name__} import overdraw" in text
    assert "client() 2: sends 0 to account" in text
    with pytest.raises(AssertionError, match="200"):
        runpy.run_path(str(path))["test_overdraw_under_this_schedule"]()


@pytest.mark.slow
def test_the_file_of_a_local_scenario_has_its_source(tmp_path):
    limit = 100

    async def overdraw_here(manager):
        async def client():
            await account.ask(limit - await account.ask(0))

        account = manager.create("account", 0, lambda activity, state: state + activity.payload)
        await asyncio.gather(client(), client())
        assert account.state <= limit

    path = explore(overdraw_here).failures[0].record_test(tmp_path / "test_it.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, "1 failed" in done.stdout) == (1, True), done.stdout
    path.write_text(path.read_text().replace("limit - await account.ask(0)", "50"))
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout


def test_what_can_not_be_written_is_said(tmp_path):
    secret = object()

    async def scenario(manager):
        assert secret is None

    with pytest.raises(agentrt.ConfigurationError, match="the scenario uses secret"):
        explore(scenario).failures[0].record_test(tmp_path / "test_it.py")


state = ["a global with the name of an attribute"]


def test_the_name_of_an_attribute_is_no_global(tmp_path):
    async def lose(manager):
        account = manager.create("account", 0, lambda activity, state: state + activity.payload)
        await account.ask(1)
        assert account.state == 2

    text = explore(lose).failures[0].record_test(tmp_path / "test_it.py").read_text()
    assert "a global with the name" not in text
