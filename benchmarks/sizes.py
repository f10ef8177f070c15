"""How much work a run does."""

from __future__ import annotations

import msgspec

BURST = 1000  # activities sent before the driver waits: the default capacity of a lane


class Size(msgspec.Struct, frozen=True):
    """The numbers of one run. `activities` is for the fastest peers; each does its `share` of them."""

    seconds: float = 300.0  # after which no new round begins
    rounds: int = 5
    activities: int = 100_000
    asks: int = 2_000
    fleet: tuple[int, int] = (100, 1_000)
    backlog: int = 10_000
    busy: int = 100
    fills: int = 5
    beats: int = 100_000
    watched: int = 60_000
    history: int = 100_000  # records
    idle: int = 10_000
    starts: int = 1
    orders: int = 600
    sent: int = 200_000  # to other nodes
    crowd: int = 100_000  # runtimes on three nodes
    looks: float = 4.0  # seconds
    pages: tuple[int, ...] = (0, 1, 10, 20)
    viewers: tuple[int, ...] = (0, 1, 20, 30)
    shown: tuple[int, ...] = (10_000, 100_000)  # runtimes
    heavy: int = 2  # at most so many rounds of measures that take long
    leave_out: tuple[str, ...] = ()
    runtimes: tuple[int, ...] = (1, 10, 100, 1_000, 10_000, 100_000)
    queued: tuple[int, ...] = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


FULL = Size()
QUICK = Size(
    seconds=40.0,
    rounds=2,
    activities=4_000,
    asks=400,
    fleet=(100, 100),
    fills=1,
    beats=40_000,
    watched=30_000,
    history=20_000,
    idle=2_000,
    sent=50_000,
    crowd=10_000,
    heavy=1,
    looks=2.0,
    pages=(0, 1),
    leave_out=("import", "first page", "sessions", "sessions elsewhere", "sessions apart", "pages", "pages apart"),
    runtimes=(1, 1_000),
    queued=(1, 100_000),
)
SMOKE = Size(
    rounds=1,
    orders=5,
    activities=40,
    asks=5,
    fleet=(2, 10),
    backlog=100,
    busy=2,
    fills=1,
    beats=200,
    watched=200,
    history=200,
    idle=20,
    starts=1,
    sent=1_000,
    crowd=300,
    looks=0.1,
    pages=(0,),
    viewers=(0,),
    shown=(0,),
    runtimes=(1, 10),
    queued=(1, 100),
)
