"""Which numbers the activities and records of a node have: none that another node of the cluster has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..feed.shift import STRIDE

__all__ = ["first_number_of", "index_of"]


def index_of(node: str, nodes: Sequence[str]) -> int:
    """What the numbers of a node are divided by `STRIDE`: the number that its name ends in; 0 for a driver.

    >>> index_of("node-3", ["node-1", "node-3"]), index_of("driver-12", ["node-1", "node-3"])
    (3, 0)
    """
    if node not in nodes:
        return 0
    found = re.search(r"\d+$", node)
    return nodes.index(node) + 1 if found is None else int(found.group())


def first_number_of(node: str, nodes: Sequence[str]) -> int:
    """The first number of a node.

    >>> first_number_of("node-3", ["node-1", "node-3"])
    30000000000001
    """
    return index_of(node, nodes) * STRIDE + 1
