"""What tests of many views share: an update as a page gets it, and a string that wants to be script."""

from agentrt import RuntimeManager
from agentrt.views.feed import Update

HOSTILE = "<script>boom()</script>\"'<img src=x onerror=boom()>"


def update(manager: RuntimeManager, cursor: int = 0, *, first: bool = False) -> Update:
    """All that was recorded after the cursor."""
    records, _, missed = manager.ring.since(cursor)
    return Update(manager.clock.now(), records, {record.runtime for record in records}, missed=missed, first=first)
