"""Every example in the core's docstrings runs, and says what it says."""

import doctest
import importlib
import pkgutil

import pytest

import agentrt

# The examples of the views need a front end: they have tests of their own.
LEFT_OUT = ("agentrt.__main__", "agentrt.views")
FOUND = pkgutil.walk_packages(agentrt.__path__, "agentrt.")
MODULES = ["agentrt", *(found.name for found in FOUND if not found.name.startswith(LEFT_OUT))]
# What the examples of these modules need, besides what agentrt always comes with.
PACKAGES = {
    "agentrt.integrations.langgraph": "langgraph",
    "agentrt.integrations.opentelemetry": "opentelemetry",
    "agentrt.integrations.pydantic_ai": "pydantic_ai",
    "agentrt.integrations.prometheus": "prometheus_client",
}


@pytest.mark.parametrize("name", MODULES)
def test_its_examples_run(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(examples) >= 20


def test_every_public_name_has_a_docstring():
    bare = [name for name in agentrt.__all__ if not (getattr(agentrt, name).__doc__ or "").strip()]
    assert bare == []
