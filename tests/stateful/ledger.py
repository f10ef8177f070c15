"""A second account of all activities, computed from the ring alone: it must agree with the manager."""

from collections import Counter

from agentrt import Activity, Event, Fate, Fates, Outcome


class Book:
    """The account of one runtime: its accepted activities, their outcomes, and the state that follows from them."""

    def __init__(self):
        self.accepted = {}
        self.outcomes = {}
        self.state = 0
        self.keyed = {}
        self.retries = Counter()

    @property
    def open(self):
        return self.accepted.keys() - self.outcomes.keys()

    @property
    def fates(self):
        counts = Counter(outcome.fate for outcome in self.outcomes.values())
        return Fates(len(self.accepted), *(counts[fate] for fate in Fate), len(self.open))

    def accept(self, activity):
        assert activity.id not in self.accepted, f"{activity} was accepted twice"
        self.accepted[activity.id] = activity
        if activity.key is not None:
            self.keyed[activity.key] = activity

    def retry(self, activity, retry, error):
        self.retries[activity] += 1
        assert self.retries[activity] == retry, f"activity {activity} was tried {self.retries[activity]} times"

    def decide(self, outcome):
        """Each activity has one outcome, with times in order and the right state: one more if done, else the same."""
        activity = self.accepted.get(outcome.id)
        assert activity is not None, f"a fate for what was never accepted: {outcome}"
        assert outcome.id not in self.outcomes, f"two fates: {self.outcomes[outcome.id]} and {outcome}"
        self.outcomes[outcome.id] = outcome
        began = outcome.created if outcome.started is None else outcome.started
        assert activity.created == outcome.created <= began <= outcome.finished, outcome
        assert (outcome.error is None) == outcome.ok, outcome
        assert not outcome.ok or outcome.attempts == self.retries[outcome.id] + 1, outcome
        self.state += outcome.ok
        assert outcome.state == self.state, f"the state should be {self.state}: {outcome}"


class Ledger:
    """The accounts of all runtimes, terminated ones included, in the order of their creation."""

    def __init__(self, ring):
        self.ring = ring
        self.cursor = self.sequence = 0
        self.books = []
        self.current = {}

    def read(self):
        records, self.cursor, missed = self.ring.since(self.cursor)
        assert missed == 0
        for record in records:
            assert record.sequence > self.sequence, f"out of order after {self.sequence}: {record}"
            self.sequence = record.sequence
            self._add(record)

    def _add(self, record):
        if isinstance(record, Event):
            self._add_event(record)
        elif isinstance(record, Outcome):
            self.current[record.runtime].decide(record)
        else:
            assert isinstance(record, Activity)
            self.current[record.runtime].accept(record)

    def _add_event(self, event):
        if event.kind == "created":
            self.current[event.runtime] = Book()
            self.books.append(self.current[event.runtime])
        elif event.kind == "restarted":
            self.current[event.runtime].state = 0
        elif event.kind == "retry":
            self.current[event.runtime].retry(**event.detail)

    def decided(self, fate):
        """The ids of all activities with this fate, in the order of their outcomes."""
        found = [outcome for book in self.books for outcome in book.outcomes.values() if outcome.fate is fate]
        return [outcome.id for outcome in sorted(found, key=lambda outcome: outcome.sequence)]
