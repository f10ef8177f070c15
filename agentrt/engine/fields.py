"""The fields that the hot path reads and writes: of an entry, of its mailbox and of its manager.

Each class here is nothing but fields; what they mean and how they change stands in the classes derived from them. They
are slots, which the compiled core reads and writes at their place in memory.
"""

from __future__ import annotations

__all__ = ["ENTRY_FIELDS", "HOST_FIELDS", "MAILBOX_FIELDS", "EntryFields", "HostFields", "MailboxFields"]

ENTRY_FIELDS = (
    "accepted_priority", "accepted_standard", "accepts", "activity_class", "awaits", "breakpoints", "closed",
    "current", "dead", "deadline", "done", "draining", "driver", "dropped", "ended", "error", "error_at", "exact",
    "exact_state", "expired", "failed", "failed_count", "failures", "faulted_at", "flush_at", "held", "host", "id",
    "in_error", "initial", "keys", "leaving", "limits", "mailbox", "parked", "paused", "priority_recorders", "question",
    "receipt_class", "restarts", "running", "scheduled", "spans", "standard_recorders", "started", "state", "steps",
    "stuck", "terminated", "timed_out", "timeout", "times", "undelivered", "waits_for", "workflow",
)  # fmt: skip
MAILBOX_FIELDS = (
    "delayed", "fairness", "fast_limit_priority", "fast_limit_standard", "granted_priority", "granted_standard",
    "priority", "priority_capacity", "reserved_priority", "reserved_standard", "senders", "standard",
    "standard_capacity", "streak", "timers",
)  # fmt: skip
HOST_FIELDS = (
    "asleep", "busy", "clock", "counter", "deadlines", "inline_budget", "listeners", "lock", "loop", "record", "ring",
    "thread", "watchdog",
)  # fmt: skip


class EntryFields:
    """The fields of a runtime entry: see `EntryState` and `EntryCounts`."""

    __slots__ = ("__weakref__", *ENTRY_FIELDS)


class MailboxFields:
    """The fields of a mailbox: see `PrioritizedMailbox`."""

    __slots__ = MAILBOX_FIELDS


class HostFields:
    """The fields of a manager that are read for each activity: see `Host`."""

    __slots__ = HOST_FIELDS
