"""What a manager of a test is left as when its process is taken to have ended."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

__all__ = ["discard_manager"]


def discard_manager(manager: Any) -> None:
    """Let go of a manager without giving what waits a fate: nothing of it goes on."""
    manager.closed = True
    manager._disposal.cancel()
    manager.workers.close()
    manager.hub.close()
    for entry in manager.entries():
        driver = entry.driver
        if driver is None:
            continue
        for coroutine in (driver.process, driver.task and driver.task.get_coro()):
            if coroutine is not None:
                with suppress(RuntimeError, ValueError):  # it goes on for all that it is closed
                    coroutine.close()
