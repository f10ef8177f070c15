"""Transfer: a runtime with all that it holds, as it goes from one node to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..activity import Activity, was_delayed
from ..engine.baseline import record_baseline
from ..engine.entry_state import EntryState
from ..engine.isolation import user_function
from ..engine.restore import place
from ..engine.stored_settings import pack_limits
from ..errors import AgentError
from ..events import Fate, Outcome
from ..journal import Accepted, Changed, Committed, Created, EffectDone, Write
from ..limits import Limits
from .breakpoint_copies import PackedBreakpoint, pack_breakpoints, restore_breakpoints
from .deliveries import Address

__all__ = ["Transfer", "TransferredActivity", "collect", "fill_entry"]

LATER = 0.001  # seconds: of two journals that hold a runtime, the one that it was created in later is right


class TransferredActivity(msgspec.Struct):
    """What waits.

    Attributes:
        activity: It, without its receipt.
        addresses: To whom its outcome is sent.
        key_until: Until when its key is remembered, in seconds on the clock of the node that it leaves.
        attempts: How often it was tried.
        not_before: When it may be tried again.
        effects: What it has done outside, by name.
        is_delayed: Whether it is not due yet, and so in no lane.
    """

    activity: Activity[Any]
    addresses: list[Address]
    key_until: float | None = None
    attempts: int = 0
    not_before: float | None = None
    effects: dict[str, Any] = {}
    is_delayed: bool = False


class Transfer(msgspec.Struct):
    """A runtime at rest. Times are seconds on the clock of the node that it leaves, `now` is that.

    Attributes:
        id: Its id.
        now: When it left.
        state: Its state.
        initial: The state that a restart goes back to.
        workflow: The function.
        given: The limits that the code says.
        limits: The limits that it has.
        group: The name of its group.
        waiting: What waits, in the order of each lane.
        keys: The fates of what was done, by key, and until when that is remembered.
        paused: Whether it is paused.
        failed: Whether its supervisor has stopped it.
        failures: When it has failed.
        error: The last error, when it was, and whether nothing was done since.
        version: The version of its state in the journal; None where it is not stored.
        created: When it was stored first.
        breakpoints: Where it stops.
        is_stopped: Whether it is stopped before what waits first.
    """

    id: str
    now: float
    state: Any
    initial: Any
    workflow: Callable[..., Any]
    given: Limits
    limits: Limits
    group: str | None
    waiting: list[TransferredActivity]
    keys: dict[str, tuple[str, float]]
    paused: bool
    failed: bool
    failures: list[float]
    error: tuple[AgentError, float, bool] | None
    version: int | None = None
    created: float = 0.0
    breakpoints: list[PackedBreakpoint] = []
    is_stopped: bool = False


Receivers = Callable[[Activity[Any]], tuple[str | None, list[Address]]]  # the key of an activity, and its addresses


def collect(entry: Any, group: str | None, receivers: Receivers) -> Transfer:
    """All that a runtime at rest holds. The lock is held."""
    made = Transfer(
        id=entry.id,
        now=entry.host.clock.now(),
        state=entry.state,
        initial=entry.initial,
        workflow=user_function(entry.workflow.call),
        given=entry.limits,
        limits=entry.limits,
        group=group,
        waiting=[_collect_activity(entry, each, *receivers(each)) for each in entry.mailbox.items()],
        keys=_past_keys(entry),
        paused=entry.paused,
        failed=entry.failed,
        failures=list(entry.failures or ()),
        error=None if entry.error is None else (entry.error, entry.error_at or 0.0, entry.in_error),
        breakpoints=pack_breakpoints(entry),
        is_stopped=entry.breakpoints is not None and entry.breakpoints.is_stopped_before,
    )
    if entry.effects is not None:
        stored = entry.storage.journal.find(entry.id)
        made.given, made.version, made.created = entry.given, stored.version, stored.created or 0.0
    return made


def _collect_activity(
    entry: Any, activity: Activity[Any], key: str | None, addresses: list[Address]
) -> TransferredActivity:
    until = (entry.keys or {}).get(key, (None,))[0]
    if key is not None and until is None:
        until = entry.host.clock.now() + entry.limits.key_window
    made = TransferredActivity(msgspec.structs.replace(activity, key=key, receipt=None), addresses, until)
    made.is_delayed = entry.mailbox.delayed_activity(activity.id) is not None
    if entry.effects is not None:
        made.attempts, made.not_before = entry.attempts.get(activity.id, (0, None))
        made.effects = entry.effects.of(activity)
    return made


def _past_keys(entry: Any) -> dict[str, tuple[str, float]]:
    now, keys = entry.host.clock.now(), entry.keys or {}
    return {
        key: (receipt.value.kind, until)
        for key, (until, receipt) in keys.items()
        if receipt.value is not None and until > now
    }


def fill_entry(entry: Any, transfer: Transfer, owe: Callable[[Any, list[Address]], None]) -> None:
    """Have a new entry go on from there: what waits gets numbers of this node. The lock is held.

    Args:
        entry: One that has processed nothing.
        transfer: What has arrived.
        owe: Has the outcome of a receipt sent to these addresses.
    """
    shift = entry.host.clock.now() - transfer.now
    waiting = [(each, _renumber(entry, each, shift)) for each in transfer.waiting]
    past = {key: (_past_receipt(entry, kind), until + shift) for key, (kind, until) in transfer.keys.items()}
    if transfer.limits != transfer.given:
        EntryState.change_limits(entry, transfer.limits)
    if entry.effects is not None:
        _store(entry, transfer, waiting, past, shift)
    record_baseline(entry, "created", entry.workflow.name)
    EntryState.use_newest(entry, transfer.state, transfer.initial)
    EntryState.restore(
        entry, transfer.state, [at + shift for at in transfer.failures], transfer.failed, transfer.paused
    )
    if transfer.error is not None:
        error, at, in_error = transfer.error
        entry.record_error(error, in_error, at + shift)
    for key, (receipt, until) in past.items():
        entry.count_past(receipt.value.fate)
        entry.remember_key(key, until, receipt)
    for each, activity in waiting:
        entry.count_past(None, activity.lane)
        if activity.key is not None and each.key_until is not None:
            entry.remember_key(activity.key, each.key_until + shift, activity.receipt)
        place(entry, activity, activity.not_before if each.is_delayed else None)
        if each.addresses:
            owe(activity.receipt, each.addresses)
    restore_breakpoints(entry, transfer.breakpoints, transfer.is_stopped)


def _renumber(entry: Any, each: TransferredActivity, shift: float) -> Activity[Any]:
    receipt = entry.new_receipt(entry.host.number())
    old = each.activity
    return msgspec.structs.replace(
        old,
        id=receipt.id,
        receipt=receipt,
        created=old.created + shift,
        not_before=None if old.not_before is None else old.not_before + shift,
    )


def _place_of(entry: Any, each: TransferredActivity, activity: Activity[Any]) -> float | None:
    """The place of one that was delayed and is due: without it, it would still be delayed. Else its id says it."""
    if each.is_delayed or not was_delayed(activity):
        return None
    rank = entry.places[activity.id] = float(activity.id)
    return rank


def _past_receipt(entry: Any, kind: str) -> Any:
    """The receipt of what was done elsewhere. Of its outcome the time and the state are of now."""
    receipt, now = entry.new_receipt(entry.host.number()), entry.host.clock.now()
    error = None if kind == Fate.DONE.value else AgentError(f"it had {kind.replace('_', ' ')} on another node")
    receipt.value = Outcome(
        entry.host.number(), receipt.id, entry.id, False, kind, now, None, now, entry.state, error=error
    )
    receipt._entry = None
    return receipt


def _store(entry: Any, transfer: Transfer, waiting: list[Any], past: dict[str, Any], shift: float) -> None:
    """Have all of it stored, or none."""
    at = max(entry.host.clock.now(), transfer.created + LATER)
    supervision = {"failures": [each + shift for each in transfer.failures], "failed": transfer.failed}
    writes: list[Write] = [
        Created(
            runtime=entry.id,
            state=transfer.state,
            at=at,
            limits=pack_limits(entry.given, entry.limits),
            workflow=entry.code,
            version=transfer.version or 1,
        ),
        Changed(runtime=entry.id, paused=transfer.paused, supervision=supervision),
    ]
    for key, (receipt, until) in past.items():
        done = Activity(id=receipt.id, runtime=entry.id, created=at, key=key)
        writes.append(Accepted(activity=done, key_until=until))
        writes.append(Committed(runtime=entry.id, activity=receipt.id, fate=receipt.value.kind, at=at))
    for each, activity in waiting:
        activity.receipt._stored = False
        until = None if each.key_until is None else each.key_until + shift
        writes.append(Accepted(activity=activity, key_until=until, rank=_place_of(entry, each, activity)))
        again = None if each.not_before is None else each.not_before + shift
        retry = Committed(runtime=entry.id, activity=activity.id, fate=None, at=at, not_before=again)
        writes += [retry] * each.attempts
        if each.attempts:
            entry.attempts[activity.id] = each.attempts, again
        for name, value in each.effects.items():
            writes.append(EffectDone(runtime=entry.id, activity=activity.id, name=name, value=value))
        entry.effects.restore(activity.id, each.effects)
    receipts = [activity.receipt for _, activity in waiting]
    entry.storage.append(*writes, then=lambda error: [receipt.accept(error) for receipt in receipts])
    entry.remember_state(transfer.state)
