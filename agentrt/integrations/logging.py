"""`logging`: records that say which runtime wrote them, and for which activity."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from ..engine.deadlock import CURRENT

__all__ = ["RuntimeLogger", "get_logger"]


class RuntimeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger for workflows, and for whatever they call: also in the threads and the tasks that they start.

    Each record has three attributes more, for a format or for a handler that writes JSON:

    Attributes:
        runtime: The id of the runtime whose workflow writes it.
        activity: The id of the activity that it processes.
        correlation: The id of the first activity of the chain that led to it.

    All three are None outside of a workflow, and in one that runs in a process of its own (`isolation="process"`).

    Args:
        logger: Where the records go.
        extra: Further attributes of each record. What a call gives with `extra=` comes first.

    >>> import sys
    >>> from agentrt import RuntimeManager
    >>> handler = logging.StreamHandler(sys.stdout)
    >>> handler.setFormatter(logging.Formatter("%(levelname)s %(runtime)s #%(activity)s %(message)s"))
    >>> log = get_logger("shop")
    >>> log.logger.addHandler(handler)
    >>> def sell(activity, state):
    ...     log.warning("only %d left", state - activity.payload)
    ...     return state - activity.payload
    >>> with RuntimeManager() as manager:
    ...     state = manager.create("apples", 5, sell).send_nowait(3).result(5).state
    WARNING apples #2 only 2 left
    >>> log.logger.removeHandler(handler)
    """

    def __init__(self, logger: logging.Logger, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(logger, {} if extra is None else extra)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Give a record its attributes. Any thread."""
        current = CURRENT.get()
        activity = None if current is None else current.current
        ids = {
            "runtime": None if current is None else current.id,
            "activity": None if activity is None else activity.id,
            "correlation": None if activity is None else activity.correlation or activity.id,
        }
        kwargs["extra"] = {**ids, **(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_logger(name: str | None = None) -> RuntimeLogger:
    """`logging.getLogger` of that name, as a `RuntimeLogger`."""
    return RuntimeLogger(logging.getLogger(name))
