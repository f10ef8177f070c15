"""The targets of agentrt, and whether they hold in this run."""

from __future__ import annotations

import statistics
from enum import StrEnum
from typing import Any, NamedTuple

from .stopwatch import Figures

Key = tuple[str, str, str]  # measure, kind, peer
Results = dict[Key, list[Figures]]


class Rule(StrEnum):
    FASTER = "x as fast"  # the peer's time divided by ours: at least the bound
    TIME = "x the time"  # our time divided by the peer's: at most the bound
    MOST = ""  # our figure itself: at most the bound


class Target(NamedTuple):
    """One line: our figure, the peer to compare with, and the bound. Without a bound it is only printed."""

    text: str
    measure: str
    rule: Rule
    bound: float | None
    peer: str = ""
    kind: str = "struct"
    figure: str = "us"
    peer_kind: str = ""
    peer_measure: str = ""
    unit: str = ""


class Verdict(NamedTuple):
    """A target and its value. `low` and `high` are the extremes of the rounds; None stands for not measured."""

    target: Target
    value: float | None
    low: float
    high: float
    holds: bool | None


FASTER, TIME, MOST = Rule
BARE = "PriorityQueue"
POSTGRES = "agentrt on PostgreSQL"


def both(target: Target) -> list[Target]:
    """The same for structs and for dataclasses."""
    return [target, target._replace(kind="dataclass", text=f"{target.text}, dataclasses")]


TARGETS: list[Target] = [
    Target("one-way / PriorityQueue", "one-way", FASTER, 1.7, BARE),
    Target(
        "one-way / PriorityQueue with the dataclass one would write",
        "one-way",
        FASTER,
        2.0,
        BARE,
        peer_kind="dataclass",
    ),
    Target("one-way / PriorityQueue, dataclasses in both", "one-way", FASTER, None, BARE, "dataclass"),
    Target("one-way / BEAM with equal accounting", "one-way", FASTER, 1.0, "BEAM"),
    *both(Target("one-way / pykka", "one-way", FASTER, 6.0, "pykka")),
    *both(Target("each completion awaited / PriorityQueue", "completion", FASTER, 5.0, BARE)),
    *both(Target("each completion awaited / pykka", "completion", FASTER, 9.0, "pykka")),
    *both(Target("each completion awaited / autogen-core", "completion", FASTER, 70.0, "autogen-core")),
    *both(Target("bursts, each completion awaited / PriorityQueue", "burst", FASTER, None, BARE)),
    *both(Target("100 agents / PriorityQueue", "fleet", FASTER, 1.4, BARE)),
    *both(Target("100 agents / pykka", "fleet", FASTER, 3.0, "pykka")),
    Target("durable, 100 senders / bare sqlite in groups of 100", "durable", FASTER, 0.2, "sqlite", figure="wall us"),
    Target("durable, 100 senders / DBOS steps on SQLite", "durable", FASTER, 50.0, "DBOS", figure="wall us"),
    Target("durable, 100 senders / the journal in PostgreSQL", "durable", FASTER, None, POSTGRES, figure="wall us"),
    Target("durable, one sender / one bare commit", "durable, one sender", TIME, 1.3, "sqlite", figure="p50 us"),
    Target(
        "durable, history let go meanwhile: p99.9",
        "durable, history let go",
        MOST,
        50_000.0,
        figure="p99.9 us",
        unit="us",
    ),
    *both(Target("ask an idle agent / PriorityQueue", "ask", TIME, 0.2, BARE, figure="p50 us")),
    *both(Target("ask an idle agent / pykka", "ask", TIME, round(1 / 15, 3), "pykka", figure="p50 us")),
    *both(Target("urgent behind 10,000: p50", "urgent", MOST, 60.0, figure="p50 us", unit="us")),
    Target("urgent behind 10,000: p99", "urgent", MOST, None, figure="p99 us", unit="us"),
    Target("urgent behind 10,000: p50 / PriorityQueue", "urgent", FASTER, 100.0, BARE, figure="p50 us"),
    Target("urgent behind 10,000: p50 / pykka", "urgent", FASTER, 100.0, "pykka", figure="p50 us"),
    Target("urgent, 100 busy: p50", "urgent, 100 busy", MOST, None, figure="p50 us", unit="us"),
    Target("urgent, 100 busy: p99", "urgent, 100 busy", MOST, None, figure="p99 us", unit="us"),
    Target("urgent, 100 busy: p50 / PriorityQueue", "urgent, 100 busy", FASTER, 100.0, BARE, figure="p50 us"),
    *both(Target("suspends once, timeout armed / two deques without", "suspends", FASTER, 1.0, "two deques")),
    Target("create a runtime / PriorityQueue + task", "create", TIME, 0.35, BARE),
    Target("an idle runtime holds", "create", MOST, 1.0, figure="KB", unit="KB"),
    Target("10,000 idle: wake-ups a second", "create", MOST, 0.0, figure="wake-ups/s", unit="/s"),
    Target("event ring read at 10 Hz: loss", "watched", MOST, 20.0, figure="ring loss %", unit="%"),
    Target("param watcher: loss", "watched", MOST, 20.0, figure="param loss %", unit="%"),
    Target("subscription: loss", "watched", MOST, None, figure="stream loss %", unit="%"),
    Target("nobody attached: loss (the noise of this row)", "watched", MOST, None, figure="nobody loss %", unit="%"),
    Target("a moment among 100,000 records: p50", "moments", MOST, 5.0, figure="p50 ms", unit="ms"),
    Target("a moment of a file of 100,000 rows: p50", "moments of a file", MOST, 50.0, figure="p50 ms", unit="ms"),
    Target("after a moment was asked for: loss", "looking back", MOST, 20.0, figure="asked_once loss %", unit="%"),
    Target("a moment asked for at 10 Hz: loss", "looking back", MOST, 20.0, figure="asking loss %", unit="%"),
    Target("1 dashboard in a browser: loss", "sessions", MOST, 20.0, figure="1 loss %", unit="%"),
    *(
        Target(f"20 dashboards{drawn}{what}", name, MOST, most, figure=f"20 {figure}", unit=unit)
        for name, drawn in (("sessions", " in one browser here"), ("sessions elsewhere", ""))
        for what, most, figure, unit in (
            (": loss", 20.0, "loss %", "%"),
            (": seconds a frame", 0.5, "s a frame", "s"),
            (" at full speed: seconds a frame", 0.5, "s busy", "s"),
        )
    ),
    *(
        Target(f"{n} in a process of its own{what}", "sessions apart", MOST, most, figure=f"{n} {figure}", unit="%")
        for n, most in (("1", 3.0), ("20", 10.0))
        for what, figure in ((": more processor time", "more %"), (": more real time", "more wall %"))
    ),
    *(
        Target(
            f"{n} in a process of its own: the thread that answers",
            "sessions apart",
            MOST,
            None,
            figure=figure,
            unit="%",
        )
        for n, figure in (("1", "1 answering %"), ("20", "20 answering %"))
    ),
    Target(
        "nobody watches, another process works half the time: more processor time",
        "sessions apart",
        MOST,
        None,
        figure="0 neighbour %",
        unit="%",
    ),
    *(
        Target(f"first page over {n:,} runtimes{place}{what}", name, MOST, most, figure=f"{n} {figure}", unit="s")
        for name, place in (("pages", ""), ("pages apart", ", apart"))
        for n in (10_000, 100_000)
        for what, most, figure in (
            ("", 2.0, "paint s"),
            (": a frame", 0.5, "s a frame"),
            (": a search", 0.5, "search s"),
            (": a sort", 1.0, "sort s"),
        )
    ),
    *both(Target("one step / burr", "step", FASTER, 25.0, "burr")),
    *both(Target("one step / langgraph", "step", FASTER, 400.0, "langgraph")),
    Target("one step, its completion awaited / burr", "completion", FASTER, None, "burr", peer_measure="step"),
    Target(
        "a schedule of five senders explored / a run by a seed",
        "explored",
        TIME,
        0.77,
        "agentrt",
        peer_measure="seeded",
    ),
    Target("heartbeat p99.9, one agent", "heartbeat", MOST, 10_000.0, figure="p99.9 us", unit="us"),
    Target("heartbeat p99.9, 100 agents", "heartbeat, 100 busy", MOST, 10_000.0, figure="p99.9 us", unit="us"),
]

DISTRIBUTED_TARGETS: list[Target] = [
    Target(
        "an activity to another node, in batches (200,000 a second)", "link", MOST, 5.0, figure="wall us", unit="us"
    ),
    Target("the same: processor time of the sender", "link", MOST, None, figure="us", unit="us"),
    Target("a pool of three / Ray actors by hand", "pool", FASTER, 20.0, "Ray actors", figure="wall us"),
    Target(
        "ask across nodes / a call between Ray actors", "ask across nodes", TIME, 1.5, "Ray actors", figure="p50 us"
    ),
    Target("100,000 agents created over three nodes", "crowd", MOST, 60.0, figure="s for 100,000", unit="s"),
    Target("from one frame of their page to the next", "crowd", MOST, 0.5, figure="s a frame", unit="s"),
]

NOT_HERE = [
    ("one-way / Effect 4 on Node", "another language: not run by this command"),
    ("the compiled core beside the pure one", "python -m benchmarks --cores"),
]


def verdicts(results: Results) -> list[Verdict]:
    """The verdict on each target."""
    return [verdict(target, results) for target in (*TARGETS, *DISTRIBUTED_TARGETS)]


def verdict(target: Target, results: Results) -> Verdict:
    """The verdict on one target, by the median of the rounds."""
    values = ratios(target, results)
    if not values:
        return Verdict(target, None, 0.0, 0.0, None)
    middle = statistics.median(values)
    return Verdict(target, middle, min(values), max(values), holds(target, middle))


def holds(target: Target, value: float) -> bool | None:
    if target.bound is None:
        return None
    return value >= target.bound if target.rule is FASTER else value <= target.bound


def ratios(target: Target, results: Results) -> list[float]:
    """One value for each round: the samples of the same round are compared, not two medians."""
    ours = results.get((target.measure, target.kind, "agentrt"), [])
    if target.rule is MOST:
        return [sample[target.figure] for sample in ours if target.figure in sample]
    key = (target.peer_measure or target.measure, target.peer_kind or target.kind, target.peer)
    pairs: Any = zip(ours, results.get(key, []), strict=False)
    times = [(a[target.figure], b[target.figure]) for a, b in pairs]
    return [b / a for a, b in times] if target.rule is FASTER else [a / b for a, b in times]
