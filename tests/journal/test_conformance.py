"""What each kind of journal has to do: it is opened again, and everything is as it was."""

import asyncio
import dataclasses
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentrt import Activity, JournalError, Lane
from agentrt.journal import (
    UNCHANGED,
    Accepted,
    Changed,
    Committed,
    Created,
    EffectDone,
    LetterClosed,
    LetterKept,
    Removed,
    Retention,
    register,
)
from tests.journal.writes import accept, waiting


class Alert(Activity[str], frozen=True, kw_only=True):
    severity: int


@dataclasses.dataclass
class Big:
    name: str
    fields: dict[str, int]


register(Alert, name="tests:Alert")
register(Big, name="tests:Big")


def activity(number: int, runtime: str = "a", payload: Any = 0, **more: Any) -> Activity[Any]:
    return Activity(id=number, runtime=runtime, payload=payload, **more)


def test_a_runtime_comes_back_with_its_settings(store: Any) -> None:
    journal = store.open()
    journal.append(
        Created(runtime="a", state={"n": 1}, at=5.0, limits={"timeout": 2.5}, workflow="hash", version=3),
        Changed(runtime="a", paused=True, supervision=[1.0, 2.0]),
    )
    found = store.open().find("a")
    assert (found.created, found.limits, found.paused, found.workflow, found.version, found.supervision) == (
        *(5.0, {"timeout": 2.5}, True, "hash", 3),
        [1.0, 2.0],
    )
    assert store.journal.state("a") == {"n": 1}
    assert [each.id for each in store.journal.runtimes()] == ["a"]
    assert store.journal.find("b") is None


def test_an_activity_comes_back_as_it_was(store: Any) -> None:
    journal = store.open()
    sent = [
        activity(
            *(1, "a", {1, 2}),
            **{"lane": Lane.PRIORITY, "created": 1.5, "timeout": 3.0, "not_before": 9.0, "source": "b", "parent": 7},
            **{"correlation": 6, "key": "k"},
        ),
        Alert(id=2, runtime="a", payload="fire", severity=3),
    ]
    journal.append(Created(runtime="a", state=0), *(Accepted(activity=each) for each in sent))
    found = [each.activity for each in store.open().waiting("a")]
    assert found == sent
    assert type(found[1]) is Alert


def test_what_waits_is_in_the_order_of_its_lane(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), accept(3), accept(1), accept(2, lane=Lane.PRIORITY), accept(4))
    journal.append(Accepted(activity=activity(4), rank=0.5))
    assert waiting(store.open()) == [2, 4, 1, 3]
    assert store.journal.find("a").counts == {"accepted": 4}


def test_a_commit_is_all_of_what_it_causes(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), Created(runtime="b", state=0), accept(1))
    journal.append(
        Committed(runtime="a", activity=1, state=5, reply="yes", sent=(accept(2, "b"), accept(3, "a")), supervision=[1])
    )
    journal = store.open()
    assert journal.state("a") == 5
    assert (waiting(journal, "a"), waiting(journal, "b")) == ([3], [2])
    assert journal.find("a").counts == {"accepted": 2, "done": 1}
    assert journal.find("a").supervision == [1]


def test_a_retry_waits_with_the_number_of_its_attempts(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), accept(1))
    for _ in range(2):
        journal.append(Committed(runtime="a", activity=1, fate=None, error="ValueError: no", not_before=7.0))
    (found,) = store.open().waiting("a")
    assert (found.attempts, found.not_before) == (2, 7.0)
    store.journal.append(Committed(runtime="a", activity=1, fate="failed"))
    assert waiting(store.open()) == []
    assert store.journal.find("a").counts == {"accepted": 1, "failed": 1}


def test_a_dead_letter_stays_until_it_is_closed(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), accept(1, payload="x"), accept(2))
    journal.append(Committed(runtime="a", activity=1, fate="dead", error="too often", at=4.0))
    (letter,) = store.open().letters()
    assert (letter.activity.payload, letter.reason, letter.at) == ("x", "too often", 4.0)
    store.journal.append(LetterClosed(runtime="a", activity=1))
    assert store.open().letters() == []
    assert store.journal.find("a").counts == {"accepted": 2, "dead": 1}


def test_effects_of_an_interrupted_activity_come_back_until_it_is_committed(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), accept(1))
    journal.append(EffectDone(runtime="a", activity=1, name="pay", value=(1, "ok")))
    assert store.open().effects("a", 1) == {"pay": (1, "ok")}
    store.journal.append(Committed(runtime="a", activity=1))
    assert store.open().effects("a", 1) == {}


def test_keys_are_remembered(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), Accepted(activity=activity(1, key="k"), key_until=300.0))
    journal.append(Committed(runtime="a", activity=1))
    assert store.open().keys("a") == {"k": (1, 300.0)}


def test_what_is_sent_to_a_runtime_that_is_not_created_yet_waits(store: Any) -> None:
    store.open().append(accept(1, "later"))
    journal = store.open()
    assert journal.find("later").created is None
    journal.append(Created(runtime="later", state=0))
    assert waiting(store.open(), "later") == [1]
    assert store.journal.find("later").counts == {"accepted": 1}


def test_nothing_is_left_of_a_runtime_that_was_removed(store: Any) -> None:
    store.open().append(Created(runtime="a", state=0), accept(1), Removed(runtime="a"))
    assert store.open().runtimes() == []


def test_numbers_go_on_after_the_highest(store: Any) -> None:
    store.open().append(Created(runtime="a", state=0), accept(41), Committed(runtime="a", activity=41))
    assert store.open().last_activity == 41


def test_a_value_that_cant_be_stored_is_refused_and_nothing_of_the_call_is(store: Any) -> None:
    journal = store.open()
    with pytest.raises(JournalError, match="payload"):
        journal.append(Created(runtime="a", state=0), accept(1, payload=object()))
    assert journal.runtimes() == []


def test_a_closed_journal_refuses(store: Any) -> None:
    journal = store.open()
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append(Created(runtime="a", state=0))


def test_put_waits_until_it_is_stored_on_any_loop(store: Any) -> None:
    journal = store.open()

    async def use() -> None:
        await journal.put(Created(runtime="a", state=0))
        await asyncio.gather(*(journal.put(accept(each)) for each in range(1, 101)))

    asyncio.run(use())
    assert waiting(store.open()) == list(range(1, 101))


def large(n: int, changed: int = -1) -> Any:
    return {f"field {place}": (place == changed, "x" * 1000) for place in range(n)}


def test_a_large_state_comes_back_after_any_change(store: Any) -> None:
    state = large(20)
    store.open().append(Created(runtime="a", state=state))
    for change in (
        lambda: state.update(large(20, 3)),
        lambda: state.update(new=[1]),
        lambda: state.pop("field 7"),
        lambda: state.update({"field 7": 1}),
        lambda: state.update(dict(sorted(state.items(), reverse=True))),
        lambda: state.clear(),
        lambda: state.update(large(30)),
    ):
        change()
        store.journal.append(Changed(runtime="a", state=state))
        store.open()
        assert store.journal.state("a") == state
        assert list(store.journal.state("a")) == list(state)


def test_a_large_record_comes_back(store: Any) -> None:
    big = Big("x" * 5000, {"a": 1})
    store.open().append(Created(runtime="a", state=big), accept(1))
    store.journal.append(Committed(runtime="a", activity=1, state=Big("x" * 5000, {"a": 2})))
    found = store.open().state("a")
    assert found == Big("x" * 5000, {"a": 2})
    assert store.journal.plain_state("a") == {"name": "x" * 5000, "fields": {"a": 2}}


def test_one_field_of_a_thousand_is_all_that_is_written(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=large(1000)))
    before = store.size()
    journal.append(Committed(runtime="a", activity=1, state=large(1000, 5)))
    assert 1000 < store.size() - before <= 2_000
    assert store.open().state("a") == large(1000, 5)


def test_history_is_let_go_and_what_is_needed_stays(store: Any) -> None:
    journal = store.open(keep=Retention(records=200))
    journal.append(Created(runtime="a", state=0, limits=[1]), Created(runtime="b", state=large(20)))
    journal.append(accept(1, payload="waits"), Accepted(activity=activity(2, key="k"), key_until=1e9))
    journal.append(accept(3, payload="dead"), Committed(runtime="a", activity=3, fate="dead", error="why", at=1.0))
    journal.append(accept(4), Committed(runtime="a", activity=4, fate=None, not_before=3.0))
    journal.append(accept(5), EffectDone(runtime="a", activity=5, name="pay", value="ok"))
    journal.append(Committed(runtime="a", activity=2, state=2), Changed(runtime="a", paused=True))
    for number in range(10, 510):
        journal.append(accept(number, "b"), Committed(runtime="b", activity=number, state=large(20, number % 20)))
    for _ in range(50):
        store.sync()
    assert store.count() < 800
    for reopen in (False, True):
        journal = store.open(keep=Retention(records=200)) if reopen else store.journal
        assert journal.find("a").counts == {"accepted": 5, "done": 1, "dead": 1}
        assert journal.find("b").counts == {"accepted": 500, "done": 500}
        assert (journal.find("a").limits, journal.find("a").paused, journal.state("a")) == ([1], True, 2)
        assert [(each.activity.id, each.attempts) for each in journal.waiting("a")] == [(1, 0), (4, 1), (5, 0)]
        assert journal.keys("a") == {"k": (2, 1e9)}
        assert [(each.activity.payload, each.reason) for each in journal.letters()] == [("dead", "why")]
        assert journal.effects("a", 5) == {"pay": "ok"}
        assert journal.state("b") == large(20, 509 % 20)
        assert list(journal.state("b")) == list(large(20))
        assert journal.last_activity == 509


@pytest.mark.parametrize("keep", [Retention(bytes=20_000), Retention(age=10.0)])
def test_history_is_bounded_by_bytes_and_by_age(store: Any, keep: Retention) -> None:
    journal = store.open(keep=keep)
    journal.append(Created(runtime="a", state=0))
    for number in range(1, 1501):
        journal.append(accept(number, created=float(number)), Committed(runtime="a", activity=number, at=float(number)))
    for _ in range(50):
        store.sync()
    assert store.count() < 1200
    assert store.open().find("a").counts == {"accepted": 1500, "done": 1500}


class Model(msgspec.Struct):
    """What a journal must say."""

    state: dict[str, Any] = {}
    waiting: dict[str, list[int]] = {}
    counts: dict[str, dict[str, int]] = {}
    retired: Counter[str] = msgspec.field(default_factory=Counter)


steps = st.lists(
    st.tuples(
        st.sampled_from(["create", "send", "done", "fail", "retry", "remove", "open"]),
        st.sampled_from("ab"),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.sampled_from([None, 1, 5]))
def test_any_order_of_writes_is_read_back(store: Any, tmp_path_factory: Any, taken: Any, records: int | None) -> None:
    if store.journal is not None:
        store.journal.close()
        store.journal = None
    store.path = tmp_path_factory.mktemp("any") / "agents.db"
    keep = None if records is None else Retention(records=records)
    journal, model, number = store.open(keep=keep), Model(), 0
    for what, runtime, pick in taken:
        queue, counts = model.waiting.setdefault(runtime, []), model.counts.setdefault(runtime, {})
        if what == "open":
            journal = store.open(keep=keep)
        elif what == "remove":
            journal.append(Removed(runtime=runtime, counts=dict(counts)))
            model.retired.update(counts)
            for part in (model.state, model.waiting, model.counts):
                part.pop(runtime, None)
        elif what == "create" and runtime not in model.state:
            journal.append(Created(runtime=runtime, state=[0]))
            model.state[runtime] = [0]
        elif what == "send":
            number += 1
            journal.append(accept(number, runtime))
            queue.append(number)
            counts["accepted"] = counts.get("accepted", 0) + 1
        elif queue and runtime in model.state and what in ("done", "fail", "retry"):
            chosen = queue[pick % len(queue)]
            fate = {"done": "done", "fail": "dead", "retry": None}[what]
            state = [chosen] if what == "done" else model.state[runtime]
            journal.append(Committed(runtime=runtime, activity=chosen, fate=fate, state=state))
            model.state[runtime] = state
            if fate is not None:
                queue.remove(chosen)
                counts[fate] = counts.get(fate, 0) + 1
    journal = store.open()
    for runtime, state in model.state.items():
        assert journal.state(runtime) == state
    for runtime, queue in model.waiting.items():
        if queue or model.counts[runtime]:
            assert waiting(journal, runtime) == queue
            assert journal.find(runtime).counts == model.counts[runtime]
    assert journal.retired == model.retired
    journal.close()


def test_several_runtimes_are_loaded_at_once(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=1), accept(2), accept(1), Changed(runtime="a", paused=True))
    journal.append(Created(runtime="b", state=large(20)), accept(3, "c", key="once"), Removed(runtime="d"))
    journal.append(Accepted(activity=activity(4, "a", lane=Lane.PRIORITY, key="key"), key_until=5.0))
    journal.append(Committed(runtime="a", activity=2, fate=None, not_before=7.0))
    journal = store.open()
    assert journal.ids() == ["a", "b", "c"]
    found = {name: make() for name, make in journal.load(["b", "a", "nobody", "c"]).items()}
    assert list(found) == ["b", "a", "c"]
    for name, whole in found.items():
        assert whole.runtime == journal.find(name)
        assert whole.waiting == list(journal.waiting(name))
        assert whole.keys == journal.keys(name)
    assert [each.activity.id for each in found["a"].waiting] == [4, 1, 2]
    assert (found["a"].state, found["b"].state, found["c"].state) == (1, large(20), UNCHANGED)


class Shrunk(msgspec.Struct, frozen=True):
    other: int


def test_a_state_that_cannot_be_read_is_left_out_of_what_is_loaded(store: Any) -> None:
    store.open().append(Created(runtime="a", state=Big("a", {})))
    register(Shrunk, name="tests:Big")
    try:
        journal = store.open()
        assert journal.load(["a"])["a"]().state is UNCHANGED
        with pytest.raises(JournalError):
            journal.state("a")
    finally:
        register(Big, name="tests:Big")


def test_what_is_required_is_stored_when_writing_works_again(store: Any) -> None:
    journal = store.open()
    errors: list[Any] = []
    journal.append(accept(1), then=errors.append, required=True)
    journal.flush()
    journal.runtimes()
    assert errors == [None]
    assert journal.last_time == 0.0
    journal.append(Committed(runtime="a", activity=1, at=12.5))
    journal.runtimes()
    assert journal.last_time == 12.5


def test_what_is_appended_with_more_is_stored_with_the_next(store: Any) -> None:
    journal = store.open()
    stored: list[int] = []
    journal.append(accept(1), then=lambda error: stored.append(1), more=True)
    journal.append(accept(2), then=lambda error: stored.append(2))
    journal.runtimes()
    assert stored == [1, 2]
    journal.append(accept(3), more=True)
    assert waiting(journal) == [1, 2, 3]
    journal.append(accept(4), more=True)
    journal.close()
    assert waiting(store.open()) == [1, 2, 3, 4]


def test_a_value_is_checked_without_being_stored(store: Any) -> None:
    journal = store.open()
    journal.check({"n": 1}, "the payload")
    with pytest.raises(JournalError, match="the payload"):
        journal.check(object(), "the payload")
    assert journal.ids() == []


def test_a_commit_that_was_handed_over_twice_counts_once(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), accept(1))
    commit = Committed(runtime="a", activity=1, state=1, sent=(accept(2, "b"),))
    journal.append(commit)
    journal.append(commit)
    journal = store.open()
    assert journal.find("a").counts == {"accepted": 1, "done": 1}
    assert (journal.find("b").counts, waiting(journal, "b")) == ({"accepted": 1}, [2])


def test_keys_that_are_over_are_forgotten(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0))
    for number in range(1, 1001):
        activity = Activity(id=number, runtime="a", payload=0, created=float(number), key=f"key {number}")
        journal.append(Accepted(activity=activity, key_until=number + 10.0), Committed(runtime="a", activity=number))
    assert len(journal.keys("a")) <= 200
    assert all(f"key {number}" in journal.keys("a") for number in range(991, 1001))


def test_what_was_removed_is_gone_with_its_last_dead_letter(store: Any) -> None:
    journal = store.open()
    journal.append(Created(runtime="a", state=0), Accepted(activity=Activity(id=1, runtime="a")))
    journal.append(Committed(runtime="a", activity=1, fate="dead"), Removed(runtime="a"))
    store.sync()
    assert [each.activity.id for each in journal.letters()] == [1]
    journal.append(LetterClosed(runtime="a", activity=1))
    store.sync()
    assert journal.runtimes() == []
    assert store.open().runtimes() == []


def test_a_letter_that_is_kept_after_all_is_there_and_counted_once(store: Any) -> None:
    journal = store.open()
    activity = Activity(id=1, runtime="a", payload="late")
    journal.append(Created(runtime="a", state=0), Accepted(activity=activity))
    journal.append(Committed(runtime="a", activity=1, fate="dead", error="gone", at=5.0))
    store.sync()
    before = journal.letters()
    journal.append(LetterClosed(runtime="a", activity=1, fate="discarded"))
    assert journal.retired["discarded"] == 1
    journal.append(LetterKept(activity=activity, reason="gone", at=5.0))
    for _ in range(2):
        assert journal.letters() == before
        assert not journal.retired.get("discarded")
        assert journal.find("a").counts == {"accepted": 1, "dead": 1}
        assert journal.find("a").waiting == 0
        journal = store.open()


def test_what_became_of_dead_letters_is_counted_also_when_their_rows_are_gone(store: Any) -> None:
    journal = store.open(keep=Retention(records=1))
    journal.append(Created(runtime="a", state=0), *(Accepted(activity=Activity(id=n, runtime="a")) for n in (1, 2, 3)))
    journal.append(*(Committed(runtime="a", activity=n, fate="dead") for n in (1, 2, 3)))
    journal.append(LetterClosed(runtime="a", activity=1, fate="resent"))
    journal.append(LetterClosed(runtime="a", activity=2, fate="discarded"), LetterClosed(runtime="a", activity=3))
    for n in range(4, 50):
        journal.append(Accepted(activity=Activity(id=n, runtime="a")), Committed(runtime="a", activity=n, fate="done"))
        store.sync()
    for _ in range(2):
        assert journal.retired == {"resent": 1, "discarded": 1}
        journal = store.open()


def test_keys_are_written_again_once_for_each_time_that_they_come_to_the_front(store: Any) -> None:
    """Not all that are remembered with each portion: that would be a pause, where there are many."""
    keep = Retention(records=200)
    journal = store.open(keep=keep)
    written = []
    real = journal._index.carry

    def carry(head: Any) -> Any:
        found = real(head)
        written.append((sum(len(getattr(row, "keys", None) or ()) for row in found), len(head)))
        return found

    journal._index.carry = carry
    for number in range(1, 1001):
        activity = Activity(id=number, runtime="a", payload=0, created=1.0, key=f"key {number}")
        journal.append(Accepted(activity=activity, key_until=1e9), Committed(runtime="a", activity=number))
        if number % 50 == 0:
            store.sync()
    rows = [(keys, head) for keys, head in written if head]
    assert len(rows) > 3
    assert sum(keys for keys, _ in rows[:3]) <= sum(head for _, head in rows[:3])
    expected = {f"key {number}": (number, 1e9) for number in range(1, 1001)}
    assert journal.keys("a") == expected
    assert store.open(keep=keep).keys("a") == expected
