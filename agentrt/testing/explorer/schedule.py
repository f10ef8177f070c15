"""Schedules: which process takes the next step, in words. The shortest one, with the fewest changes of process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...schema.preview import preview
from .ground import Act, Taken
from .trace import bits_of, order_steps
from .trial import Trial

__all__ = ["Move", "Schedule", "required_length", "shortest_order", "write_schedule"]

MOST_STATES = 20_000  # of the search for the fewest changes


class Move(NamedTuple):
    """One step of a schedule: who takes it, and what it does in words."""

    process: str
    does: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()

    def __str__(self) -> str:
        return f"{self.process}: {', '.join(self.does)}" if self.does else self.process


class Schedule(Sequence[Move]):
    """The steps of one run, in their order.

    `names` is all that a replay needs: the process that takes each step. `switches` counts how often another process
    goes on than the one before.
    """

    def __init__(self, moves: Sequence[Move]) -> None:
        self.moves = tuple(moves)

    @property
    def names(self) -> tuple[str, ...]:
        """The process that takes each step."""
        return tuple(move.process for move in self.moves)

    @property
    def switches(self) -> int:
        """How often another process goes on than the one before."""
        return sum(one != other for one, other in pairwise(self.names))

    def __getitem__(self, index: int | slice) -> Move | Schedule:  # type: ignore[override]
        return Schedule(self.moves[index]) if isinstance(index, slice) else self.moves[index]

    def __len__(self) -> int:
        return len(self.moves)

    def __iter__(self) -> Iterator[Move]:
        return iter(self.moves)

    def __str__(self) -> str:
        width = len(str(len(self.moves)))
        return "\n".join(f"{n:>{width}}. {move}" for n, move in enumerate(self.moves, 1))

    def __repr__(self) -> str:
        return f"<Schedule {len(self)} steps, {self.switches} switches>\n{self}"


def write_schedule(run: Trial, order: Sequence[int]) -> Schedule:
    """The schedule of some steps of a run, in words."""
    labels = run.ground.names.labels
    steps = [run.steps[i] for i in order]
    return Schedule([Move(labels[step.pid], tuple(map(_describe_act, step.acts)), step.acts) for step in steps])


def _describe_act(act: Act) -> str:
    kind, runtime, record = act
    if kind == "goes wrong":
        return kind
    if kind == "send":
        return f"sends {preview(record.payload, 40)} to {runtime}"
    if kind == "take":
        return f"takes {preview(record.payload, 40)}"
    if kind == "done":
        return f"state {preview(record.state, 40)}"
    return kind.replace("_", " ")


def shortest_order(run: Trial, last: int) -> list[int]:
    """The steps that `last` needs (all, if it is -1), in an order with as few changes of process as can be found."""
    steps = run.steps
    past = order_steps(steps, run.keys.ignored)
    needed = (1 << len(steps)) - 1 if last < 0 else past[last] | 1 << last
    return _find_order(steps, [past[i] & needed for i in range(len(steps))], needed)


def required_length(run: Trial, last: int) -> int:
    """How many steps a failure needs."""
    if last < 0:
        return len(run.steps)
    return order_steps(run.steps, run.keys.ignored)[last].bit_count() + 1


def _find_order(steps: Sequence[Taken], past: list[int], needed: int) -> list[int]:
    """Breadth-first search over what is done and who went on last; a change of process costs one, going on nothing."""
    start = (0, -1)
    before: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
    cost, queue = {start: 0}, deque([start])
    closed = set()
    while queue:
        state = queue.popleft()
        if state in closed:
            continue
        closed.add(state)
        done, last = state
        if done == needed or len(closed) > MOST_STATES:
            break
        for i in bits_of(needed & ~done):
            if past[i] & ~done:
                continue
            pid = steps[i].pid
            following, price = (done | 1 << i, pid), cost[state] + (pid != last)
            if price < cost.get(following, 1 << 30):
                cost[following], before[following] = price, (state, i)
                (queue.appendleft if pid == last else queue.append)(following)
    if done != needed:
        return [*bits_of(needed)]
    order = []
    while state != start:
        state, i = before[state]
        order.append(i)
    return order[::-1]
