"""dead_letters.py: what becomes of dead letters, and that the counts add up."""

import sys
import threading
from types import ModuleType

import msgspec
import pytest

from agentrt import (
    AgentError,
    Fate,
    JournalError,
    MailboxFullError,
    RuntimeManager,
    RuntimeNotFoundError,
    RuntimeTerminatedError,
)
from agentrt.dead_letters import DeadLetters, Ledger, send_again
from agentrt.engine.commands import ACTOR
from agentrt.journal import MemoryJournal, MemoryLog
from agentrt.testing import virtual as virtual_clock
from tests.support import collect, virtual


async def buried(manager, *payloads, id="doomed", **options):
    """A runtime that was terminated before it did these."""
    runtime = manager.create(id, (), collect)
    runtime.pause()
    receipts = [runtime.send_nowait(payload, **options) for payload in payloads]
    await runtime.terminate()
    return [receipt.id for receipt in receipts]


def events(manager, kind):
    return [record for record in manager.ring.since(0)[0] if record.kind == kind]


@virtual
async def test_a_letter_sent_again_is_a_new_activity_of_the_same_story(manager):
    (dead,) = await buried(manager, "tea", priority=True, timeout=7)
    other = manager.create("other", (), collect)
    other.pause()
    receipt = manager.dead_letters.resend(dead, to="other")
    (again,) = other.mailbox_items()
    assert (again.id, again.parent, again.correlation) == (receipt.id, dead, dead)
    assert (again.payload, again.lane, again.timeout, again.runtime) == ("tea", "priority", 7, "other")
    other.resume()
    assert (await receipt).state == ("tea",)
    assert manager.fates().dead == 1, "the first one stays dead"
    assert manager.fates().done == 1


@virtual
async def test_to_the_same_runtime_once_it_is_there_again(manager):
    (dead,) = await buried(manager, "tea")
    letters = manager.dead_letters
    with pytest.raises(RuntimeTerminatedError):
        letters.resend(dead)
    with pytest.raises(RuntimeNotFoundError):
        letters.resend(dead, to="nobody")
    assert len(letters) == 1, "it stays"
    manager.create("doomed", (), collect)
    assert (await letters.resend(dead)).state == ("tea",)
    with pytest.raises(AgentError, match="not among the dead letters"):
        letters.resend(dead)


@virtual
async def test_the_ledger_adds_up_with_the_fates(manager):
    first, second, third = await buried(manager, 1, 2, 3)
    letters = manager.dead_letters
    assert letters.ledger() == Ledger(dead=3, here=3)
    manager.create("other", (), collect)
    await letters.resend(second, to="other")
    assert letters.discard(first).activity.payload == 1
    assert [letter.activity.id for letter in letters] == [third]
    ledger = manager.dead_letters.ledger()
    assert ledger == Ledger(dead=3, here=1, resent=1, discarded=1)
    assert ledger.let_go == 0
    manager.dead_letters.clear()
    assert letters.ledger().let_go == 1


@virtual
async def test_a_discarded_letter_is_put_back_where_it_was(manager):
    ids = await buried(manager, 1, 2, 3)
    letters = manager.dead_letters
    for id in ids:
        letters.put_back(letters.discard(id))
        assert [letter.activity.id for letter in letters] == ids
    assert letters.ledger() == Ledger(dead=3, here=3)


@virtual
async def test_no_more_are_put_back_than_are_kept(manager):
    letters = manager.dead_letters = DeadLetters(manager, limit=2)
    _, second, third = await buried(manager, 1, 2, 3)
    assert [letter.activity.id for letter in letters] == [second, third], "the oldest is let go"
    letter = letters.discard(second)
    letters.add(msgspec.structs.replace(letters[0].activity, id=99), "another")
    with pytest.raises(AgentError, match="no more than 2"):
        letters.put_back(letter)
    assert letters.ledger() == Ledger(dead=3, here=2, discarded=1)


@virtual
async def test_they_are_a_sequence_of_what_is_kept_now(manager):
    first, second = await buried(manager, 1, 2)
    letters = manager.dead_letters
    assert [letter.activity.id for letter in reversed(letters)] == [second, first]
    assert letters[-1].activity.id == second
    assert [letter.activity.id for letter in letters[:1]] == [first]
    for letter in letters:  # what is discarded meanwhile does not disturb
        letters.discard(letter.activity.id)
    assert (len(letters), repr(letters)) == (0, "<DeadLetters 0 of at most 10,000>")


@virtual
async def test_a_refused_letter_stays(manager):
    (dead,) = await buried(manager, 1)
    full = manager.create("full", (), collect, standard_capacity=1)
    full.pause()
    full.send_nowait(0)
    letters = manager.dead_letters
    with pytest.raises(MailboxFullError):
        letters.resend(dead, to="full")
    assert letters.ledger() == Ledger(dead=1, here=1)
    full.resume()


@virtual
async def test_it_is_on_the_record_with_who_did_it(manager):
    first, second = await buried(manager, 1, 2)
    manager.create("other", (), collect)
    ACTOR.set("operator (page)")
    letters = manager.dead_letters
    receipt = letters.resend(first, to="other")
    letters.discard(second)
    ACTOR.set(None)
    await receipt
    (resent,), (gone,) = events(manager, "resent"), events(manager, "letter_discarded")
    assert (resent.runtime, resent.who, resent.detail) == (
        "other",
        "operator (page)",
        {"activity": first, "as": receipt.id, "from": "doomed"},
    )
    assert (gone.runtime, gone.who, gone.detail) == ("doomed", "operator (page)", {"activity": second})


@virtual
async def test_a_workflow_that_sends_one_again_is_not_its_parent(manager):
    (dead,) = await buried(manager, 1)

    async def postman(activity, state):
        return manager.dead_letters.resend(dead, to="other").id

    manager.create("other", (), collect)
    await manager.create("postman", 0, postman).ask(None)
    assert events(manager, "accepted")[-1].parent == dead


@virtual
async def test_what_was_dropped_is_sent_again_the_same_way(manager):
    runtime = manager.create("a", (), collect)
    runtime.pause()
    receipt = runtime.send_nowait("x")
    again = send_again(manager, runtime.drop(receipt.id))
    runtime.resume()
    assert (await again).state == ("x",)
    assert receipt.outcome.fate is Fate.DROPPED


class Odd:
    """Can't be compared."""

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None


@virtual
async def test_payloads_are_never_compared(manager):
    dead = await buried(manager, Odd(), Odd())
    letters = manager.dead_letters
    for id in reversed(dead):
        letters.discard(id)
    assert letters.ledger().discarded == 2


def test_many_hands_send_each_letter_once():
    with RuntimeManager(loop="thread") as manager:
        dead = manager.run(buried(manager, *range(200)))
        manager.create("other", (), collect)
        sent, lock = [], threading.Lock()

        def hand():
            for id in dead:
                try:
                    receipt = manager.dead_letters.resend(id, to="other")
                except AgentError:
                    continue
                with lock:
                    sent.append(receipt)

        hands = [threading.Thread(target=hand) for _ in range(4)]
        for each in hands:
            each.start()
        for each in hands:
            each.join()
        for receipt in sent:
            receipt.result(60)
        assert sorted(manager["other"].state) == list(range(200))
        assert manager.dead_letters.ledger() == Ledger(dead=200, here=0, resent=200)


# --- of a journal


def test_a_letter_whose_class_is_not_here_yet_is_seen_and_not_sent():
    """As after a restart of a notebook, whose first cell makes the manager and whose second defines the class."""
    log, notebook = MemoryLog(), ModuleType("a_notebook")
    sys.modules["a_notebook"] = notebook
    try:
        exec("import msgspec\nclass Order(msgspec.Struct, frozen=True): n: int", vars(notebook))
        with RuntimeManager(MemoryJournal(log)) as manager:
            runtime = manager.create("list", (), collect)
            runtime.pause()
            lost = runtime.send_nowait(notebook.Order(1))
            manager.run(runtime.terminate())
        order = vars(notebook).pop("Order")
        with RuntimeManager(MemoryJournal(log)) as manager:
            (letter,) = manager.dead_letters
            assert "Order, which is not here" in letter.activity.payload.reason
            manager.create("list", (), collect)
            with pytest.raises(JournalError, match=r"run the code that defines it first.*the letter stays"):
                manager.dead_letters.resend(lost.id)
            notebook.Order = order
            assert manager.dead_letters.resend(lost.id).result(60).state == (order(1),)
            assert len(manager.dead_letters) == 0
    finally:
        del sys.modules["a_notebook"]


def test_the_journal_keeps_the_letters_that_the_manager_keeps():
    async def use():
        journal = MemoryJournal()
        async with RuntimeManager(journal, loop="current") as manager:
            manager.dead_letters._letters.most = 3
            ids = await buried(manager, *range(5))
            assert [each.activity.id for each in manager.dead_letters] == ids[2:]
            assert [each.activity.id for each in journal.letters()] == ids[2:]
            letter = manager.dead_letters.discard(ids[3])
            manager.dead_letters.put_back(letter)
            for each in (journal, MemoryJournal(journal.log)):
                assert [letter.activity.id for letter in each.letters()] == ids[2:]
                assert each.letters()[1].reason == letter.reason
            manager.dead_letters.clear()
            assert journal.letters() == []

    virtual_clock.run(use())
