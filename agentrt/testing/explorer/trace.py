"""Which steps of a run come before which: their causes, and the conflicts between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .ground import Taken

__all__ = ["bits_of", "order_steps", "races_of"]


def bits_of(mask: int) -> Iterator[int]:
    """The places of the bits that are set, the lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def races_of(steps: Sequence[Taken], past: list[int], ignored: int) -> Iterator[tuple[int, int]]:
    """The pairs of steps (earlier, later) that follow each other directly, conflict, and might change their order.

    Args:
        steps: Of a run.
        past: What comes before each of the first steps, as bits; it is completed here.
        ignored: The keys that don't count.
    """
    for i in range(len(past), len(steps)):
        step = steps[i]
        reads, writes = step.footprint
        rivals = step.rivals
        before = 0
        for j in bits_of(step.cause):
            before |= past[j] | 1 << j
        races = []
        rest = ((1 << i) - 1) & ~before
        if reads or writes:
            while rest:
                j = rest.bit_length() - 1
                other = steps[j].footprint
                if (writes & (other[0] | other[1]) | reads & other[1]) & ~ignored or rivals >> j & 1:
                    races.append(j)
                    before |= past[j] | 1 << j
                    rest &= ~before
                else:
                    rest ^= 1 << j
        past.append(before)
        for j in races:
            yield j, i


def order_steps(steps: Sequence[Taken], ignored: int) -> list[int]:
    """What comes before each step, as bits."""
    past: list[int] = []
    for _ in races_of(steps, past, ignored):
        pass
    return past
