"""A paused runtime with activities that wait, and what is on the record of a runtime."""

from typing import Any

from agentrt import Receipt, Runtime, RuntimeManager
from tests.support import collect


def kinds(manager: RuntimeManager, runtime: str = "a") -> list[str]:
    """The kinds of what is on the record of a runtime, the oldest first."""
    return [record.kind for record in manager.ring.since(0)[0] if record.runtime == runtime]


def paused(manager: RuntimeManager, *payloads: Any, **limits: Any) -> tuple[Runtime[Any, Any], list[Receipt[Any]]]:
    """Make runtime "a", paused, with these payloads in its mailbox; return it and their receipts."""
    runtime = manager.create("a", (), collect, **limits)
    runtime.pause()
    return runtime, [runtime.send_nowait(payload) for payload in payloads]
