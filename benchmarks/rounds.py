"""The rounds: every measure, kind and peer in turn, several times, so that a disturbance affects all of them."""

from __future__ import annotations

import gc
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from .measure import Measure
from .peer import Peer
from .sizes import Size
from .stopwatch import Figures
from .targets import Key, Results
from .work import Kind

Cell = tuple[Measure, Kind, Peer]
HEAVY = 2  # a measure limited to so many rounds takes long


class Rounds:
    """One run: the samples, the failures, and how long each cell of the table takes."""

    def __init__(self, measures: Sequence[Measure], peers: Sequence[Peer], size: Size) -> None:
        self.measures = measures
        self.peers = peers
        self.size = size
        self.results: defaultdict[Key, list[Figures]] = defaultdict(list)
        self.failed: dict[Key, str] = {}
        self.took: dict[Key, float] = {}
        self.started = time.perf_counter()

    def cells(self, turn: int) -> Iterator[Cell]:
        """The cells of one round: the peers of a measure in turn, beginning with another one in each round."""
        for measure in self.measures:
            most = min(measure.most_rounds, self.size.heavy) if measure.most_rounds <= HEAVY else measure.most_rounds
            if turn < most:
                able = [peer for peer in self.peers if peer.takes_part(measure.method)]
                first = turn % max(1, len(able))
                ordered = (*able[first:], *able[:first])
                yield from ((measure, kind, peer) for kind in measure.kinds for peer in ordered)

    def fits(self, turn: int) -> bool:
        """Whether there is time for one more round; the first is always complete."""
        needed = sum(self.took.get(key_of(cell), 0.0) for cell in self.cells(turn))
        return turn == 0 or time.perf_counter() - self.started + needed <= self.size.seconds

    def sample(self, cell: Cell) -> None:
        measure, kind, peer = cell
        key, started = key_of(cell), time.perf_counter()
        try:
            self.results[key].append(measure.sample(peer, kind, self.size))
        except Exception as error:  # this cell is left out from now on; the samples of the others stay
            self.failed[key] = f"{', '.join(key)}: {type(error).__name__}: {error}"
            self.results.pop(key, None)
        self.took[key] = time.perf_counter() - started

    def print_progress(self, text: str, end: str = "") -> None:
        if sys.stderr.isatty() or end:
            spent = time.perf_counter() - self.started
            print(f"\r\x1b[K{spent:4.0f} s  {text}", end=end, file=sys.stderr, flush=True)

    def run_round(self, turn: int) -> None:
        for cell in self.cells(turn):
            if key_of(cell) not in self.failed:
                self.print_progress(f"round {turn + 1} of {self.size.rounds}: {', '.join(key_of(cell))}")
                self.sample(cell)
            if not turn:  # later collections skip what the imports created
                gc.freeze()


def key_of(cell: Cell) -> Key:
    measure, kind, peer = cell
    return measure.name, kind.name, peer.name


def run(measures: Sequence[Measure], peers: Sequence[Peer], size: Size) -> tuple[Results, list[str]]:
    """Run as many rounds as there is time for. Returns the samples and the failures."""
    rounds = Rounds(measures, peers, size)
    turn = 0
    try:
        while turn < size.rounds and rounds.fits(turn):
            rounds.run_round(turn)
            turn += 1
    finally:
        gc.unfreeze()
    rounds.print_progress(f"done: {turn} of {size.rounds} rounds", "\n")
    return dict(rounds.results), list(rounds.failed.values())
