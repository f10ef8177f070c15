"""The measures, one file for each family."""

from __future__ import annotations

from ..measure import Measure
from . import (
    ask,
    durable,
    heartbeat,
    history,
    idle,
    orders,
    pages,
    scale,
    sessions,
    startup,
    throughput,
    urgent,
    watched,
)

FAMILIES = (
    throughput, durable, ask, urgent, heartbeat, watched, history, sessions, pages, idle, startup, orders, scale,
)  # fmt: skip
MEASURES: dict[str, Measure] = {measure.name: measure for family in FAMILIES for measure in family.MEASURES}
