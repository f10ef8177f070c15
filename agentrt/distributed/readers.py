"""Readers: whoever looks at a node of a cluster, answered by the feed's own protocol, over the engine."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict

from ..discovery import ManagerRecord
from ..feed.answers import Answers
from ..feed.greeting import OfferedManager, greet
from ..feed.wire import ProtocolError
from .link import UnreachableError

__all__ = ["Readers"]

MOST_READERS = 16  # of one node; the one that has asked for nothing for the longest time makes room


class Readers:
    """Those who look at one node. Any thread but the loop's; one request at a time.

    Args:
        manager: The manager of the node.
        instance: Which life of it.
    """

    evaluator = True  # whoever reaches a node has it run code anyway

    def __init__(self, manager: OfferedManager, instance: str) -> None:
        self.manager = manager
        self.instance = instance
        self.record = ManagerRecord(os.getpid(), manager.name, 0, 0, "", time.time())
        self._answers: OrderedDict[str, Answers] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, reader: str, data: bytes) -> bytes:
        """Answer a frame.

        Args:
            reader: Which reader asks, a name that nobody else has.
            data: A frame as in `agentrt.feed.wire`: the first is a hello, all others are requests.

        Raises:
            UnreachableError: The frame makes no sense here, as that of a reader that another life of the node knows.
        """
        with self._lock:
            try:
                return self._answer(reader, data)
            except ProtocolError as error:
                raise UnreachableError(str(error)) from None

    def _answer(self, reader: str, data: bytes) -> bytes:
        known = self._answers.get(reader)
        if known is not None:
            self._answers.move_to_end(reader)
            return known.answer(data)
        made, frame = greet(self, data)
        if made is not None:
            self._answers[reader] = made
            if len(self._answers) > MOST_READERS:
                self._answers.popitem(last=False)
        return frame
