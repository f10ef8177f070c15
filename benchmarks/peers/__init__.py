"""The adapters, one file for each peer. A peer itself is imported when it is measured."""

from __future__ import annotations

from ..peer import Peer
from .agentrt import Agentrt
from .autogen import Autogen
from .beam import Beam
from .burr import Burr
from .dbos import Dbos
from .deques import Deques
from .langgraph import Langgraph
from .postgres import OnPostgres
from .priority_queue import PriorityQueue
from .pykka import Pykka
from .sqlite import SQLite
from .thespian import Thespian
from .xoscar import Xoscar

OURS = Agentrt()
PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        OURS,
        PriorityQueue(),
        Deques(),
        Beam(),
        SQLite(),
        OnPostgres(),
        Dbos(),
        Pykka(),
        Autogen(),
        Xoscar(),
        Thespian(),
        Burr(),
        Langgraph(),
    )
}
