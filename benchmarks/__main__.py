"""`python -m benchmarks`: compare agentrt with the peers that are installed."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from . import plot, report, rounds
from .before import compare_with
from .cores import compare_cores
from .measure import Measure
from .measures import MEASURES
from .measures.distributed import DISTRIBUTED
from .peer import Peer
from .peers import OURS, PEERS
from .peers.cluster import DISTRIBUTED_PEERS
from .sizes import FULL, QUICK, Size
from .viewers import measure_viewers, viewers_table


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures agentrt and the installed peers in turn, and compares agentrt with its targets.",
        epilog=f"Measures: {'; '.join(MEASURES)}. Peers: {', '.join(PEERS)}.",
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help="names or patterns ('urgent*'); all if left out")
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="only these beside agentrt")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured")
    parser.add_argument("--quick", action="store_true", help="less work in about a minute, with less certain results")
    parser.add_argument(
        "--distributed", action="store_true", help="agents on three nodes, beside actors of Ray by hand"
    )
    parser.add_argument("--before", metavar="COMMIT", help="only agentrt, as it was at a commit and as it is, in turn")
    parser.add_argument("--cores", action="store_true", help="the pure and the compiled core, each beside bare asyncio")
    parser.add_argument("--viewers", action="store_true", help="what an activity costs while a class looks on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample and the targets")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a PNG of the cost by size (needs matplotlib)")
    parser.add_argument("--profile", metavar="MEASURE", help="show where the time of one activity of agentrt goes")
    return parser.parse_args(arguments)


def select_measures(patterns: Sequence[str], among: dict[str, Measure] = MEASURES) -> list[Measure]:
    """The measures that match the patterns, all without patterns; exits if a pattern matches none."""
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in among):
            raise SystemExit(f"no measure is called {pattern!r}; there are: {'; '.join(among)}")
    return [m for name, m in among.items() if not patterns or any(fnmatch(name, p) for p in patterns)]


def select_peers(names: Sequence[str] | None, among: dict[str, Peer] = PEERS) -> list[Peer]:
    """agentrt and the peers to compare it with; exits if a name is unknown."""
    unknown = sorted(set(names or ()) - set(among))
    if unknown:
        raise SystemExit(f"no peer is called {unknown[0]!r}; there are: {', '.join(among)}")
    return [peer for name, peer in among.items() if names is None or name in (*names, "agentrt")]


def size_of(chosen: argparse.Namespace) -> Size:
    size = QUICK if chosen.quick else FULL
    return size if chosen.rounds is None else msgspec.structs.replace(size, rounds=max(1, chosen.rounds))


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = parse_arguments(arguments)
    logging.disable(logging.INFO)
    if chosen.profile:
        from .profiling import show

        print(show(select_measures([chosen.profile])[0], size_of(chosen)))
        return
    if chosen.cores:
        print(compare_cores(chosen.measures, chosen.rounds, ["--quick"] if chosen.quick else []))
        return
    if chosen.before:
        print(compare_with(chosen.before, chosen.measures, chosen.rounds, ["--quick"] if chosen.quick else []))
        return
    size = size_of(chosen)
    if chosen.viewers:
        print(viewers_table(measure_viewers(size.looks, size.viewers)))
        return
    if chosen.distributed:
        wanted = select_peers(chosen.peers, DISTRIBUTED_PEERS)
        compare(select_measures(chosen.measures, DISTRIBUTED), wanted, size, chosen.json, chosen.plot)
        return
    measures = [m for m in select_measures(chosen.measures) if chosen.measures or m.name not in size.leave_out]
    compare(measures, select_peers(chosen.peers), size, chosen.json, chosen.plot)


def compare(measures: list[Measure], wanted: list[Peer], size: Size, to: Path | None, picture: Path | None) -> None:
    """Run the measures, print the tables, and write the files that are asked for."""
    missing = [peer for peer in wanted if peer.missing()]
    peers = [peer for peer in wanted if peer not in missing]
    facts = report.about(peers, missing, size)
    results, facts["failed"] = rounds.run(measures, peers, size)
    facts["rounds done"] = max(map(len, results.values()), default=0)
    print(report.text(measures, results, facts))
    if to is not None:
        report.write_json(to, results, facts)
    if picture is not None:
        print(plot.draw(picture, results))
    if any(f", {OURS.name}: " in what for what in facts["failed"]):
        raise SystemExit("agentrt itself failed a measure, see above")


if __name__ == "__main__":
    main()
