"""entry_state.py: an entry changes in named ways only, and what was interrupted is completed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentrt
from agentrt import Activity, Fate, Lane, RuntimeManager
from agentrt.engine.entry_counts import COUNTS
from agentrt.engine.fields import ENTRY_FIELDS, MAILBOX_FIELDS
from agentrt.limits import Limits
from agentrt.receipt import Receipt
from tests.support import add, virtual

PACKAGE = Path(agentrt.__file__).parent
OWNER_NAMES = ("entry_state.py", "entry_counts.py", "holds.py", "entry.py", "durable_entry.py", "durable_settings.py")
OWNERS = {PACKAGE / "engine" / name for name in OWNER_NAMES}
MAILBOX_OWNERS = OWNERS | {PACKAGE / "engine" / name for name in ("mailbox.py", "rate_limit.py")}
# What other classes have under the same name; they set it on themselves.
FIELDS = set(ENTRY_FIELDS)
INTERNALS = {name for name in MAILBOX_FIELDS if name not in ("priority_capacity", "standard_capacity")}
MODULES = sorted(PACKAGE.rglob("*.py"))


def assigned(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Every attribute that is set or deleted, of something else than `self`."""
    for node in ast.walk(tree):
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
        if is_set and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield node


def is_entry(node: ast.expr) -> bool:
    """Whether an expression is named as an entry is."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.strip("_") in ("entry", "child", "member", "waiter")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nobody_else_sets_a_field_of_an_entry(path: Path) -> None:
    if path not in OWNERS:
        found = [node for node in assigned(ast.parse(path.read_text())) if is_entry(node.value) and node.attr in FIELDS]
        assert [f"line {node.lineno}: {ast.unparse(node)}" for node in found] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nobody_else_reaches_into_a_mailbox(path: Path) -> None:
    if path not in MAILBOX_OWNERS:
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        inside = [node for node in nodes if isinstance(node.value, ast.Attribute) and node.value.attr == "mailbox"]
        inside += [node for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "mailbox"]
        assert [f"line {node.lineno}: {ast.unparse(node)}" for node in inside if node.attr in INTERNALS] == []


def test_every_fate_is_counted() -> None:
    assert set(COUNTS) == set(Fate)
    assert set(COUNTS.values()) <= FIELDS


def test_a_new_entry_holds_nothing_of_its_own_but_an_id_and_a_mailbox() -> None:
    """A hundred thousand idle ones share the rest: an empty set for each took a fifth of what one holds."""
    with RuntimeManager() as manager:
        limits = Limits()
        first, second = (manager.create_entry(id, 0, add, limits) for id in ("first", "second"))
        own = {name for name in ENTRY_FIELDS if getattr(first, name) is not getattr(second, name)}
        assert own <= {"id", "mailbox", "flush_at"}
        mailboxes = first.mailbox, second.mailbox
        assert not {name for name in MAILBOX_FIELDS if getattr(mailboxes[0], name) is not getattr(mailboxes[1], name)}


@virtual
async def test_a_send_that_was_interrupted_is_completed(manager: RuntimeManager) -> None:
    entry = manager.create("a", 0, add).entry
    for n, step in enumerate(("nothing", "counted", "recorded", "queued"), 1):
        receipt = Receipt(entry, None, None, entry.host.number())
        activity = Activity(receipt.id, "a", n, Lane.STANDARD, receipt=receipt)
        with entry.host.lock:
            if step != "nothing":
                entry._count_in_lane(Lane.STANDARD, +1)
            if step in ("recorded", "queued"):
                entry.host.ring.append(activity)
            if step == "queued":
                entry.mailbox.add(activity)
            entry.complete_send(activity)
        assert (await receipt).state == sum(range(n + 1))
    fates = manager.fates()
    assert (fates.accepted, fates.done, fates.pending) == (4, 4, 0)


@virtual
async def test_an_outcome_that_was_interrupted_is_completed(manager: RuntimeManager) -> None:
    runtime = manager.create("a", 0, add)
    entry = runtime.entry
    runtime.pause()
    receipt = runtime.send_nowait(5)
    activity = runtime.mailbox_items()[0]
    outcome = agentrt.Outcome(99, activity.id, "a", False, "done", 0.0, 0.0, 0.0, 5)
    with entry.host.lock:
        entry.mailbox.take()
        entry.complete(activity, outcome)
        entry.complete(activity, outcome)
    assert (receipt.outcome, runtime.state) == (outcome, 5)
    assert (runtime.fates().done, runtime.fates().pending) == (1, 0)
    assert len([each for each in manager.ring.since(0)[0] if each is outcome]) == 1
