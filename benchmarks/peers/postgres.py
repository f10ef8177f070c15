"""Durable runtimes of agentrt with the journal in PostgreSQL, beside those with a file."""

from __future__ import annotations

from ..peer import Peer
from ..stopwatch import Stopwatch
from ..work import Kind


class OnPostgres(Peer):
    name = "agentrt on PostgreSQL"
    needs = "psycopg"

    def missing(self) -> bool:
        """Whether there is no server that could be started, or no package for it."""
        from tests.harness import postgres

        return super().missing() or postgres.find() is None

    async def durable(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        from .journal import durable, open_server

        await durable(open_server(), n, watch)

    async def durable_times(self, n: int) -> list[float]:
        from .journal import durable_times, open_server

        return await durable_times(open_server(), n)
