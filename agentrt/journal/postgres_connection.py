"""Connections to PostgreSQL: one that is lost is noticed, and each error says what to do."""

from __future__ import annotations

import logging
from selectors import DefaultSelector
from time import monotonic
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.waiting import Ready

from ..errors import ConfigurationError, JournalError

__all__ = ["ServerConnection", "connect_to_server", "explain", "is_lost"]

LEAST_SERVER = 120_000  # PostgreSQL 12
# How the system finds out that the other machine is gone, unless the connection string says it otherwise.
DEFAULTS: dict[str, Any] = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}
# The server lets go of the lock of a machine that is gone as soon as it knows of that.
SETTINGS = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET default_transaction_isolation = 'read committed'",
    "SET statement_timeout = 0",
    "SET idle_session_timeout = 0",
)
NO_RIGHTS, NO_SUCH_DATABASE, WRONG_PASSWORD = "42501", "3D000", ("28P01", "28000")
NEW_IN = {"SET idle_session_timeout = 0": 140_000}
logger = logging.getLogger(__name__)


class ServerConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that counts as lost if the server does not answer for some seconds."""

    patience = 30.0

    def wait(self, gen: Any, *args: object, **more: object) -> Any:
        """Have the steps of a request done as the server answers; `OperationalError` if it does not in time."""
        end = monotonic() + self.patience
        try:
            with DefaultSelector() as selector:
                wanted = next(gen)
                selector.register(self.pgconn.socket, wanted)
                while True:
                    selector.modify(self.pgconn.socket, wanted)
                    ready = selector.select(max(0.0, end - monotonic()))
                    if not ready:
                        raise psycopg.OperationalError(f"the server has not answered for {self.patience:g} seconds")
                    wanted = gen.send(Ready(ready[0][1]))
        except StopIteration as done:
            return done.value


def connect_to_server(dsn: str, name: str, patience: float) -> ServerConnection:
    """A connection for the journal of a name.

    Raises:
        ConfigurationError: The connection string can't be read.
        JournalError: The server is not there, or refuses.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:  # its message may have the password
        raise ConfigurationError(
            "dsn can't be read as a connection string; give one such as 'postgresql://user@host:5432/database'"
        ) from None
    whole = make_conninfo(dsn, **{key: value for key, value in DEFAULTS.items() if key not in given})
    try:
        connection = ServerConnection.connect(whole, autocommit=True, application_name=f"agentrt {name}"[:60])
    except psycopg.Error as error:
        raise _explain_refusal(error, name) from error
    connection.patience = patience
    try:
        _prepare(connection)
    except psycopg.Error as error:
        connection.close()
        raise explain(error, f"{name!r}") from error
    except JournalError:
        connection.close()
        raise
    return connection


def _prepare(connection: ServerConnection) -> None:
    version = connection.info.server_version
    if version < LEAST_SERVER:
        raise JournalError(f"a journal needs PostgreSQL 12 or newer; this server is {version // 10_000}")
    for setting in SETTINGS:
        if version >= NEW_IN.get(setting, 0):
            connection.execute(setting)
    found = connection.execute("SELECT current_setting('synchronous_commit'), current_setting('fsync')").fetchone()
    assert found is not None
    if found[0] == "off":
        connection.execute("SET synchronous_commit = on")
    if found[1] == "off":
        logger.warning("this PostgreSQL has fsync=off: what a journal acknowledges there is lost if the power fails")


def _explain_refusal(error: psycopg.Error, name: str) -> JournalError:
    text = _first_line(error)
    what = f"the journal {name!r} can't be reached: {text}"
    if error.sqlstate in WRONG_PASSWORD or "authentication" in text or "no password" in text:
        return JournalError(f"{what}; correct the user or the password in dsn=, or put it into PGPASSWORD or ~/.pgpass")
    if error.sqlstate == NO_SUCH_DATABASE or ("database" in text and "does not exist" in text):
        return JournalError(f"{what}; make it with `createdb`, or correct the name in dsn=")
    return JournalError(f"{what}; start PostgreSQL there, or correct host and port in dsn=")


def explain(error: psycopg.Error, label: str) -> JournalError:
    """The error of a journal for one of PostgreSQL."""
    if error.sqlstate == NO_RIGHTS:
        return JournalError(
            f"the journal {label} can't be written: {_first_line(error)}; "
            "have an administrator run CREATE SCHEMA agentrt AUTHORIZATION the_user"
        )
    return JournalError(f"the journal {label} can't be written: {_first_line(error)}")


def _first_line(error: psycopg.Error) -> str:
    """The first line of an error, which is what is wrong; then come hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def is_lost(error: psycopg.Error, connection: psycopg.Connection[Any]) -> bool:
    """Whether the connection is lost: what was sent last may have been done or not."""
    state = error.sqlstate or ""
    return connection.closed or connection.broken or not state or state.startswith(("57P0", "08"))
