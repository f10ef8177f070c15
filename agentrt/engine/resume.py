"""How a runtime goes on from a journal: its settings, its state, and what waits, in order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec

from ..activity import Activity, UntrackedActivity, may_hold_others, was_delayed
from ..errors import ActivityValidationError, JournalError, RuntimeExistsError
from ..events import Fate
from ..journal import UNCHANGED, Changed, Created, StoredWhole, WaitingActivity
from ..limits import Limits
from ..logs import log_safely
from ..receipt import clear_field
from ..schema.typecheck import find_problem
from .admission import MOST_KEYS
from .durability import Durability, Upgrade
from .durable_entry import DurableEntry
from .durable_receipt import DurableReceipt, UntrackedDurableReceipt
from .entry_state import EntryState
from .failure import decide_fate
from .rate_limit import LimitedMailbox
from .restore import place
from .storage import Storage
from .stored_settings import pack_limits, unpack_limits
from .workflow import Workflow

__all__ = ["adopt", "begin", "dormant_entry"]

Entry = DurableEntry[Any, Any]
logger = logging.getLogger(__name__)
MANY = 1_000_000_000  # an id that nobody has created yet has no limits


def begin(entry: Entry, wanted: Durability) -> None:
    """Have a new entry go on from what the journal holds, or store that it begins. The lock is held.

    Raises:
        RuntimeExistsError: The journal holds it, and it shall not be resumed.
        JournalError: Its state can't be read as what the code takes, or can't be stored.
    """
    storage = entry.storage
    storage.check_writable(entry.id)
    dormant = storage.dormant.get(entry.id)
    whole = storage.take(entry.id) if dormant is None or dormant.whole is None else dormant.whole
    if whole is None or whole.runtime.created is None:
        _create(entry, wanted)
    else:
        _resume(entry, wanted, whole)
    if whole is not None and (dormant is None or dormant.whole is None):
        _load_mailbox(entry, whole)
    if dormant is not None:
        _take_over(entry, storage.dormant.pop(entry.id))
    storage.forget(entry.id)


def _create(entry: Entry, wanted: Durability) -> None:
    entry.storage.append(
        Created(
            runtime=entry.id,
            state=entry.state,
            at=entry.host.clock.now(),
            limits=pack_limits(entry.given, entry.limits),
            workflow=entry.code,
            version=wanted.version,
        )
    )
    entry.remember_state(entry.state)


def _resume(entry: Entry, wanted: Durability, whole: StoredWhole) -> None:
    id, stored = entry.id, whole.runtime
    if not wanted.resume:
        raise RuntimeExistsError(
            f"the journal holds {id!r}, created before; leave out resume=False to go on with it, end it with "
            f"manager.terminate({id!r}), or give another id",
            runtime=id,
        )
    state = _load_state(entry, wanted, whole)
    supervision = stored.supervision or {}
    entry.restore(state, supervision.get("failures", ()), bool(supervision.get("failed")), stored.paused)
    entry.group_failures = supervision.get("groups", {})
    limits = unpack_limits(entry.given, stored.limits)
    EntryState.change_limits(entry, limits)
    packed = pack_limits(entry.given, limits)
    if (packed, entry.code, wanted.version) != (stored.limits, stored.workflow, stored.version):
        new = UNCHANGED if wanted.version == stored.version else state
        entry.storage.append(Changed(runtime=id, state=new, limits=packed, workflow=entry.code, version=wanted.version))
    entry.remember_state(state)
    detail = {"waiting": stored.waiting, "version": stored.version}
    entry.record_event("resumed_from_journal", detail)
    if stored.workflow and entry.code and stored.workflow != entry.code:
        entry.record_event("workflow_changed", {"from": stored.workflow, "to": entry.code})
        note = "%r goes on with a workflow whose code has changed since it was stored"
        log_safely(logger, note, id, level=logging.INFO)


def _load_state(entry: Entry, wanted: Durability, whole: StoredWhole) -> Any:
    id, journal, was = entry.id, entry.storage.journal, whole.runtime.version
    if was > wanted.version:
        raise JournalError(
            f"the state of {id!r} is of version {was}, newer than state_version={wanted.version} of this code",
            runtime=id,
        )
    if was == wanted.version:
        state = journal.state(id) if whole.state is UNCHANGED else whole.state
    elif wanted.upgrade is None:
        raise JournalError(
            f"the state of {id!r} is of version {was}, and state_version is {wanted.version}: "
            "give upgrade=function(plain, from_version), which returns the state as it is now",
            runtime=id,
        )
    else:
        plain = journal.plain_state(id)
        try:
            state = _upgrade(id, wanted.upgrade, plain, was, wanted.version)
        except Exception as error:
            error.add_note(f"It came of upgrade= for the state of {id!r}, of version {was}; what is stored stays.")
            raise
    problem = None if entry.workflow.state is None else find_problem(state, entry.workflow.state)
    if problem is not None:
        path = f" at {problem.path}" if problem.path else ""
        raise JournalError(
            f"the stored state of {id!r} does not fit {entry.workflow.name}:{path} {problem.text}; it was left as it "
            "is: give state_version= and upgrade= to convert it",
            runtime=id,
        )
    return state


def _upgrade(id: str, upgrade: Upgrade, plain: Any, was: int, version: int) -> Any:
    """The state of another version: by one function, or by one for each version on the way."""
    if not isinstance(upgrade, Mapping):
        return upgrade(plain, was)
    for each in range(was, version):
        if each not in upgrade:
            raise JournalError(
                f"the state of {id!r} is of version {was}, and upgrade has no function for version {each}", runtime=id
            )
        plain = upgrade[each](plain)
    return plain


def _load_mailbox(entry: Entry, whole: StoredWhole) -> None:
    """What waits, each with a receipt that nobody holds; the counts; the keys."""
    entry.restore_counts(whole.runtime.counts)
    _count_from_here(entry)
    plain = not entry.workflow.takes_context and not may_hold_others(type(entry.state))
    receipts = {each.activity.id: _put_back(entry, each, plain) for each in whole.waiting}
    entry.share_counts()
    now, older = entry.host.clock.now(), max(0, len(whole.keys) - MOST_KEYS)
    for key, (id, until) in islice(whole.keys.items(), older, None):
        receipt = receipts.get(id)
        if until > now:
            entry.remember_key(key, until, receipt if receipt is not None else entry.past_receipt(id))


def _count_from_here(entry: Entry) -> None:
    """What was accepted before the restart takes nothing from the rate."""
    if isinstance(entry.mailbox, LimitedMailbox):
        entry.mailbox.attach_to(entry)


def _put_back(entry: Entry, waiting: WaitingActivity, plain: bool) -> Any:
    """Have it wait again. `plain`: whether the states hold no other objects."""
    activity = waiting.activity
    is_untracked = plain and isinstance(activity, UntrackedActivity)
    receipt = (UntrackedDurableReceipt if is_untracked else DurableReceipt)(entry, None, None, activity.id, True)
    clear_field(activity, "receipt", receipt)
    if waiting.attempts:
        entry.attempts[activity.id] = waiting.attempts, waiting.not_before
    if waiting.rank is not None:
        entry.places[activity.id] = waiting.rank
    _place(entry, activity)
    return receipt


def _place(entry: Entry, activity: Activity[Any]) -> None:
    """Put what waited where it was. What has become due since then is recorded as due, as any other."""
    is_in_lane = activity.id in entry.places or not was_delayed(activity)
    place(entry, activity, None if is_in_lane else activity.not_before)


def _take_over(entry: Entry, dormant: Entry) -> None:
    """What was sent to an id before it was created."""
    entry.add_counts(dormant)
    _count_from_here(entry)
    entry.places.update(dormant.places)
    for activity in dormant.mailbox.clear():
        activity.receipt._entry = entry
        if entry.accepts is not None and (found := find_problem(activity.payload, entry.accepts)) is not None:
            _refuse(entry, activity, found.text)
        else:
            _place(entry, activity)
    entry.attempts.update(dormant.attempts)
    for key, (until, receipt) in (dormant.keys or {}).items():
        entry.remember_key(key, until, receipt)
    EntryState.close(dormant)


def _refuse(entry: Entry, activity: Activity[Any], why: str) -> None:
    """What was sent before anybody knew what the runtime takes is a dead letter, if it does not take that."""
    error = ActivityValidationError(
        f"{entry.id!r} does not take activity {activity.id}, which was sent before it was created: {why}",
        runtime=entry.id,
        activity=activity.id,
    )
    decide_fate(entry, activity, Fate.DEAD, None, error=error)
    entry.dead_letter(activity, "its runtime does not take its payload")


async def _nobody(activity: Any, state: Any) -> Any:
    """The workflow of what nobody has created yet. It never runs."""
    return state


def dormant_entry(storage: Storage, host: Any, id: str) -> Entry | None:
    """The entry of an id that the journal holds and nobody has created yet; None for another. The lock is held."""
    found: Entry | None = storage.dormant.get(id)
    if found is None:
        try:
            whole = storage.take(id)
        except JournalError:  # a class of what waits is not here yet: it is read when the runtime is created
            return _add_dormant(storage, host, id)
        if whole is None or (whole.runtime.created is None and not whole.waiting):
            return None
        found = _add_dormant(storage, host, id)
        found.whole = msgspec.structs.replace(whole, waiting=[])
        _load_mailbox(found, whole)
        storage.forget(id)
    return found


def adopt(storage: Storage, host: Any, id: str) -> Entry | None:
    """Take an id that the journal holds out of those that wait for somebody to create them. The lock is held.

    Raises:
        JournalError: What waits can't be read: a class is not here.
    """
    found = dormant_entry(storage, host, id)
    if found is None:
        return None
    whole = storage.take(id) if found.whole is None else None
    del storage.dormant[id]
    if whole is not None:  # it could not be read before
        sent, found = found, _add_dormant(storage, host, id)
        _load_mailbox(found, whole)
        _take_over(found, sent)
        del storage.dormant[id]
    storage.forget(id)
    return found


def _add_dormant(storage: Storage, host: Any, id: str) -> Entry:
    limits = Limits(priority_capacity=MANY, standard_capacity=MANY)
    found: Entry = DurableEntry(host, id, None, Workflow.of(_nobody), limits, storage)
    EntryState.pause(found)
    storage.dormant[id] = found
    return found
