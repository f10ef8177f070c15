"""stored.py: a journal file, looked back at as a manager is."""

import asyncio
import importlib
import random
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from agentrt import AgentError, ConfigurationError, RuntimeManager, Status
from agentrt.cli import main
from agentrt.history.moment import Moment
from agentrt.history.replay import replay_records
from agentrt.history.stored import StoredHistory
from agentrt.history.transcript import write_test
from agentrt.journal import JournalReader
from tests.history.shop import Order, Till, count_down, sell, stock
from tests.history.support import MOMENTS, long_run, plain
from tests.support import add

pytestmark = pytest.mark.filterwarnings("ignore:the state of")


def facts_of(runtime: Any) -> tuple[Any, ...]:
    """What is compared: of a handle, or of one that stood so."""
    return runtime.state, runtime.fates(), plain(runtime.mailbox_items()), runtime.status


class Looks:
    """What a reader sees of a durable manager, and how far its file is then."""

    def __init__(self, manager: RuntimeManager, folder: Path) -> None:
        self.manager, self.folder = manager, folder
        self.seen: dict[int, Any] = {}

    def look(self) -> None:
        path = self.folder / f"{len(self.seen)}.db"
        self.manager.journal.backup(path)
        with JournalReader(path) as reader:
            last = reader.history(1)[0][0][0]
        self.seen[last] = {each.id: facts_of(each) for each in self.manager.runtimes()}


def as_seen(moment: Moment) -> dict[str, Any]:
    return {id: facts_of(moment[id]) for id in moment.ids}


def run_day(folder: Path) -> Looks:
    with RuntimeManager(folder / "agents.db") as manager:
        looks = Looks(manager, folder)
        a = manager.create("a", 5, add)
        looks.look()
        manager.run(a.ask(1))
        looks.look()
        a.pause()
        ids = [a.send_nowait(n, priority=n == 3).id for n in (1, 2, 3, 4)]
        late = a.send_nowait(9, delay=900).id
        looks.look()
        a.promote(ids[3])
        looks.look()
        a.first(ids[3])
        looks.look()
        a.edit(ids[0], 100)
        a.drop(ids[1])
        a.drop(late)
        looks.look()
        b = manager.create("b", 0, count_down, retries=0)
        with pytest.raises(AgentError):
            manager.run(b.ask(-1))
        looks.look()
        a.resume()
        manager.run(a.ask(0))
        looks.look()
    return looks


def test_every_moment_is_what_a_reader_saw(tmp_path):
    looks = run_day(tmp_path)
    history = StoredHistory(tmp_path / "agents.db")
    assert len(looks.seen) == 8
    for position, seen in looks.seen.items():
        assert as_seen(Moment(history, position)) == seen, position


def test_random_moments_of_a_longer_run(tmp_path):
    with RuntimeManager(tmp_path / "agents.db") as manager:
        runtimes = [manager.create(f"r{n}", 0, add, standard_capacity=5_000) for n in range(3)]
        chance = random.Random(5)
        for _ in range(1_500):
            chance.choice(runtimes).send_nowait(chance.randint(1, 9))
        for each in runtimes:
            manager.run(each.ask(0))
    history = StoredHistory(tmp_path / "agents.db")
    states = dict.fromkeys(("r0", "r1", "r2"), 0)
    expected = {}
    for record, number in zip(history.chronicle.records, history.chronicle.sequences, strict=True):
        if record.kind == "done":
            states[record.runtime] = record.state
        expected[number] = dict(states)
    for number in chance.sample(sorted(expected)[10:], 300):
        moment = Moment(history, number)
        assert {id: moment[id].state for id in moment.ids} == {id: expected[number][id] for id in moment.ids}
        assert moment.fates().adds_up


@pytest.mark.slow
def test_random_moments_of_a_long_run(tmp_path):
    """Read while everything is stored: the last row of the file is then the moment."""
    seen: dict[int, Any] = {}
    with RuntimeManager(tmp_path / "agents.db", ring=1_000) as manager:

        def look() -> None:
            manager.journal.runtimes()  # all that was appended is stored
            last = manager.journal._database.meta.last
            seen[last] = {each.id: facts_of(each) for each in manager.runtimes()}

        manager.run(long_run(manager, look, MOMENTS, failing=0))
    history = StoredHistory(tmp_path / "agents.db")
    for position in random.Random(1).sample(sorted(seen), MOMENTS):
        assert as_seen(Moment(history, position)) == seen[position], position


def test_a_moment_is_found_by_its_time_and_drawn(tmp_path):
    run_day(tmp_path)
    history = StoredHistory(tmp_path / "agents.db")
    end = Moment(history)
    assert Moment(history, time=end.time).sequence == history.chronicle.last
    assert "the file agents.db as it stood on" in end.source.standing().recorded
    assert end.source.snapshot("a").status is Status.IDLE
    assert abs((end.wall - history.wall(end.time)).total_seconds()) < 1
    with pytest.raises(ConfigurationError, match="a file has no code"):
        end.fork(workflows={"a": add, "b": add})


def run_shop(folder: Path) -> Path:
    with RuntimeManager(folder / "shop.db", name="shop") as manager:
        manager.create("stock", {"tea": 5, "milk": 1}, stock, retries=0)
        manager.create("ledger", 0, add)
        till = manager.create("till", Till(), sell_without_chance, retries=0)
        for order in (Order("tea"), Order("milk"), Order("milk")):
            manager.run(till.send_nowait(order).wait())
        manager.run(asyncio.sleep(0))
    return folder / "shop.db"


async def sell_without_chance(activity: Any, till: Till, ctx: Any) -> Till:
    order = activity.payload
    price = await ctx.effect("price", {"tea": 3, "milk": 1}.get, order.item)
    with ctx.step("ask"):
        left = await ctx.ask("stock", (order.item, order.count))
    if left < 0:
        raise ValueError(f"no more {order.item}")
    await ctx.send("ledger", price * order.count)
    ctx.reply(price)
    return Till(till.total + price * order.count, (*till.sold, order.item))


async def sell_too_dear(activity: Any, till: Till, ctx: Any) -> Till:
    new = await sell_without_chance(activity, till, ctx)
    return Till(new.total + (activity.payload.item == "milk"), new.sold)


WORKFLOWS = {"stock": stock, "ledger": add, "till": sell_without_chance}


def test_it_is_replayed_against_code_that_is_given(tmp_path):
    history = StoredHistory(run_shop(tmp_path), modules=["tests.history.shop"])
    replay = replay_records(history, WORKFLOWS)
    assert (replay.matches, replay.skipped, replay.count) == (True, (), 8), replay
    changed = replay_records(history, WORKFLOWS | {"till": sell_too_dear})
    assert (changed.divergence.what, changed.divergence.activity.payload) == ("state", Order("milk"))
    assert [each.path for each in changed.divergence.changes] == ["total"]


def test_without_code_nothing_is_run(tmp_path):
    replay = replay_records(StoredHistory(run_shop(tmp_path)))
    assert (replay.count, {each.why for each in replay.skipped}) == (
        0, {"the record does not have its workflow: give it"},
    )  # fmt: skip


def test_what_is_not_stored_is_named(tmp_path):
    async def clock(activity: Any, state: float, ctx: Any) -> float:
        return ctx.now()

    with RuntimeManager(tmp_path / "a.db") as manager:
        manager.run(manager.create("clock", 0.0, clock).ask(1))
        manager.create("stock", {"tea": 5}, stock)
        manager.create("ledger", 0, add)
        manager.run(manager.create("till", Till(), sell).ask(Order("tea")))
    history = StoredHistory(tmp_path / "a.db", modules=["tests.history.shop"])
    replay = replay_records(history, {"clock": clock, "till": sell, "stock": stock, "ledger": add})
    assert replay.matches
    assert {each.runtime: each.why for each in replay.skipped} == {
        "clock": "it reads the time, and what the clock gave is not stored",
        "till": "it uses chance, and the seed is not stored",
    }


def test_a_test_is_written_of_a_file(tmp_path):
    history = StoredHistory(run_shop(tmp_path), modules=["tests.history.shop"])
    file = write_test(history, tmp_path / "test_stock.py", ids=["stock"], workflows=WORKFLOWS)
    space: dict[str, Any] = {}
    exec(file.read_text(), space)
    space["test_stock"]()
    assert "the file shop.db" in file.read_text()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Code in a file of its own, as the command line finds it."""
    source = """
        def double(activity, state):
            return state + 2 * activity.payload

        def triple(activity, state):
            return state + 3 * activity.payload
        """
    (tmp_path / "doubling.py").write_text(dedent(source))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    doubling = importlib.import_module("doubling")
    with RuntimeManager(tmp_path / "a.db") as manager:
        runtime = manager.create("sum", 0, doubling.double)
        for n in (0, 1, 2):
            manager.run(runtime.ask(n))
    yield tmp_path / "a.db"
    sys.modules.pop("doubling", None)


def test_the_command_line_replays_a_file(module, capsys):
    assert main(["replay", str(module), "--workflow", "sum=doubling:double"]) == 0
    assert "<Replay of 3 activities: matches>" in capsys.readouterr().out
    assert main(["replay", str(module), "--workflow", "sum=doubling:triple"]) == 1
    out = capsys.readouterr().out
    assert "Divergence in the state" in out
    assert "state: 2 -> 3" in out
    assert main(["replay", str(module)]) == 2
    said = capsys.readouterr().err
    assert "the record does not have its workflow: give it with --workflow sum=MODULE:FUNCTION" in said
    assert main(["record-test", str(module)]) == 2
    assert "give it with --workflow ID=MODULE:FUNCTION" in capsys.readouterr().err


def test_code_that_opens_the_file_itself_is_told_apart(module, capsys):
    Path("opens.py").write_text(
        "import agentrt\nmanager = agentrt.RuntimeManager('a.db')\nfrom doubling import double\n"
    )
    try:
        assert main(["replay", str(module), "--workflow", "sum=opens:double"]) == 2
        said = capsys.readouterr().err
        assert 'put what opens it below if __name__ == "__main__":' in said
    finally:
        sys.modules.pop("opens").manager.close()


def test_the_command_line_writes_a_test(module, capsys):
    arguments = ["record-test", str(module), "--workflow", "sum=doubling:double", "--to", "test_sum.py"]
    assert main(arguments) == 0
    assert "test_sum.py is written" in capsys.readouterr().out
    space: dict[str, Any] = {}
    exec(Path("test_sum.py").read_text(), space)
    space["test_sum"]()
    assert main([*arguments, "--id", "nobody"]) == 2


@pytest.mark.parametrize("given", ["sum", "sum=doubling", "=doubling:double", "sum=doubling:nothing", "sum=no_such:f"])
def test_the_command_line_says_what_is_wrong(module, capsys, given):
    assert main(["replay", str(module), "--workflow", given]) == 2
    assert "agentrt replay:" in capsys.readouterr().err
