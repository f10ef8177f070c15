"""A Ray that asks for a token is joined with that of this machine, and no other one is given it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.test_kills import ROOT, ray_nodes
from tests.harness.wait import PATIENCE

PROGRAM = """
import os, sys
import agentrt.distributed

with agentrt.distributed.connect(sys.argv[1], nodes=1) as manager:
    print("joined", *manager.nodes, os.environ["RAY_AUTH_MODE"], flush=True)
"""


class Joins:
    """In place of `ray.init`: joins what takes this mode of authentication."""

    def __init__(self, takes: str) -> None:
        self.takes = takes
        self.modes: list[str] = []

    def __call__(self, **options: Any) -> str:
        self.modes.append(os.environ.get("RAY_AUTH_MODE", "unset"))
        if self.modes[-1] != self.takes:
            raise ConnectionError
        return "joined"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("ray")
    from agentrt.distributed import ray_engine

    def enable() -> bool:
        os.environ["RAY_AUTH_MODE"] = "token"
        return True

    monkeypatch.setenv("RAY_AUTH_MODE", "unset")  # so that it is as it was afterwards
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setattr(ray_engine, "enable_token", enable)
    return ray_engine


@pytest.mark.slow
@pytest.mark.parametrize(("takes", "modes"), [("unset", ["unset"]), ("token", ["unset", "token"])])
def test_it_is_given_to_what_asks_for_it(
    engine: Any, monkeypatch: pytest.MonkeyPatch, takes: str, modes: list[str]
) -> None:
    init = Joins(takes)
    monkeypatch.setattr(engine.ray, "init", init)
    assert engine.start_or_join("10.0.0.1:6379") == "joined"
    assert init.modes == modes


@pytest.mark.slow
def test_where_it_does_not_help_all_is_as_before(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    init = Joins("another token")
    monkeypatch.setattr(engine.ray, "init", init)
    with pytest.raises(ConnectionError):
        engine.start_or_join("10.0.0.1:6379")
    assert init.modes == ["unset", "token"]
    assert "RAY_AUTH_MODE" not in os.environ


@pytest.mark.slow
def test_what_the_environment_says_is_not_changed(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    init = Joins("token")
    monkeypatch.setattr(engine.ray, "init", init)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ConnectionError):
        engine.start_or_join("10.0.0.1:6379")
    assert init.modes == ["disabled"]


def test_a_ray_that_cannot_say_it_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    from agentrt.distributed import ray_engine

    monkeypatch.setitem(sys.modules, "ray._private.authentication", None)
    assert not ray_engine.enable_token()


SERVER = """
import sys
from tests.distributed.test_ray_token import serve
serve()
"""


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_real_one_is_joined(tmp_path: Path) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0" * 32)
    own = {
        "HOME": str(tmp_path),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_NUM_REDIS_GET_RETRIES": "1",  # seconds until it is known that it was refused
    }
    mine = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"} | own
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, env={**mine, "RAY_AUTH_MODE": "token"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = next(line.split()[1] for line in server.stdout if line.startswith("address "))
        if address == "none":
            pytest.skip("Ray itself did not start on this machine within its own bound of 30 s")
        said = [run_program(where, {**mine, "RAY_ADDRESS": address}) for where in (address, "auto")]
        server.communicate("", timeout=PATIENCE)
    assert ["joined node-1 token" in each for each in said] == [True, True]


def run_program(address: str, environment: dict[str, str]) -> str:
    """What a program says that joins the cluster at an address."""
    command = [sys.executable, "-c", PROGRAM, address]
    wait = 4 * PATIENCE
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=wait, check=False).stdout


def serve() -> None:
    """Have a cluster of one node until the standard input ends, and say where."""
    try:
        with pytest.MonkeyPatch.context() as patch, ray_nodes(patch, more=0) as cluster:
            print("address", cluster.address, flush=True)
            sys.stdin.read()
    except pytest.skip.Exception:
        print("address none", flush=True)
