"""Commands that ask once, and can be undone for a while."""

from agentrt import Fate
from tests.support import turns, virtual
from tests.views.mailbox.support import by_hand, order, paused, press, shown, undo
from tests.views.support import update


@virtual
async def test_moves_ask_once_and_are_undone(manager):
    runtime, ids = paused(manager, *"abcd")
    view = shown(manager, runtime, who="operator (page)")
    for act, lane, moved in (("first", "standard", "cabd"), ("promote", "priority", "cabd")):
        press(view, "open", str(ids[2]))
        press(view, "ask", f"{act}:{ids[2]}")
        assert order(runtime) == "abcd", "it asks"
        assert f"activity {ids[2]}" in view.lists["standard"].html
        press(view, "no")
        await turns()
        assert order(runtime) == "abcd"
        await by_hand(view, act, ids[2])
        assert order(runtime) == moved
        assert "c'</code>" in view.lists[lane].html
        assert "Undo: put it back" in view.undoable.message.html
        await undo(view)
        assert order(runtime) == "abcd"
        assert "is back where it was" in view.undoable.message.html
        press(view, "open", str(ids[2]))
    await by_hand(view, "promote", ids[0])
    await by_hand(view, "demote", ids[0])
    assert order(runtime) == "bcda"
    who = {record.who for record in manager.ring.since(0)[0] if record.kind == "moved"}
    assert who == {"operator (page)"}
    runtime.resume()


@virtual
async def test_a_drop_is_honest_about_its_undo(manager):
    runtime, ids = paused(manager, "a", "b")
    receipt = runtime.mailbox_items()[0].receipt
    view = shown(manager, runtime)
    press(view, "open", str(ids[0]))
    press(view, "ask", f"drop:{ids[0]}")
    assert "as a new activity" in view.lists["standard"].html
    press(view, "yes")
    await turns()
    assert receipt.outcome.fate is Fate.DROPPED
    assert (order(runtime), view.opened) == ("b", None)
    await undo(view)
    again = runtime.mailbox_items()[-1]
    assert (again.payload, again.parent) == ("a", ids[0])
    assert f"as activity {again.id}" in view.undoable.message.html
    assert runtime.fates().dropped == 1
    runtime.resume()


@virtual
async def test_an_offer_to_undo_goes_after_a_while(manager):
    runtime, ids = paused(manager, *"ab")
    view = shown(manager, runtime)
    now = 0.0
    view.undoable.now = lambda: now
    await by_hand(view, "first", ids[1])
    assert view.update(update(manager)) is True
    now = 21.0
    await undo(view)
    assert order(runtime) == "ba", "too late, though it is still shown"
    await by_hand(view, "first", ids[0])
    now = 42.0
    view.update(update(manager))
    assert "Undo" not in view.undoable.message.html
    runtime.resume()
