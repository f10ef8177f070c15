"""Of every test of the picture of who sends to whom."""

import pytest


@pytest.fixture(autouse=True)
def at_every_update(monkeypatch):
    """A view that is looked at by no person need not wait until numbers can be read."""
    monkeypatch.setattr("agentrt.views.flow.flow.EVERY", 0.0)
