"""A manager and its source, of each kind, for the tests that take both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentrt import RuntimeManager
from agentrt.feed.source import Source
from tests.feed.sources import KINDS, LEFT_OUT, NodeOfCluster


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "source" in metafunc.fixturenames:
        kinds = [kind for kind in KINDS if metafunc.function.__name__ not in LEFT_OUT.get(kind, ())]
        metafunc.parametrize("source", kinds, indirect=True)


@pytest.fixture
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RuntimeManager]:
    kind = request.node.callspec.params.get("source") if hasattr(request.node, "callspec") else None
    journal = tmp_path / "agents.db" if kind == "recorded" else None
    make = NodeOfCluster if kind == "cluster" else RuntimeManager
    with make(loop="thread", name="tower", journal=journal) as manager:
        yield manager


@pytest.fixture
def source(request: Any, manager: RuntimeManager) -> Iterator[Source]:
    with KINDS[request.param](manager) as source:
        yield source
