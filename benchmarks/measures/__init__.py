"""The measures, one file for each family."""

from __future__ import annotations

from ..measure import Measure
from . import ask, durable, heartbeat, idle, pages, scale, sessions, startup, throughput, urgent, watched

FAMILIES = (throughput, durable, ask, urgent, heartbeat, watched, sessions, pages, idle, startup, scale)
MEASURES: dict[str, Measure] = {measure.name: measure for family in FAMILIES for measure in family.MEASURES}
