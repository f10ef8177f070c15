import asyncio
from types import SimpleNamespace

import pytest

from agentrt import Fate, Lane, Outcome, RuntimeManager, Status
from agentrt.engine.hub import Frame
from agentrt.views.feed import Feed, Session, Update
from agentrt.views.html import escape
from agentrt.views.role import Commands, Role
from agentrt.views.runtime.last_error import error_html
from agentrt.views.runtime.log import Events, record_row, record_words
from agentrt.views.runtime.runtime import RuntimeView
from agentrt.views.runtime.state import State, tree
from agentrt.views.runtime.steer import Steer
from agentrt.views.timeline.axes import Scale, TimeAxis
from agentrt.views.timeline.depth import depth_history
from agentrt.views.timeline.timeline import bar_columns
from tests.harness.shown import loaded, shown
from tests.support import Gate, add, fail, virtual
from tests.views.support import HOSTILE, update


def outcome(
    n: int, lane: Lane = Lane.STANDARD, fate: Fate = Fate.DONE, *, started: float | None = None, took: float = 1.0
):
    begin = float(n) if started is None else started
    return Outcome(n, n, "a", lane is Lane.PRIORITY, fate.value, begin - 2, begin, begin + took, None)


# ---- its parts


def test_the_depth_is_worked_out_backwards():
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        runtime.pause()
        for urgent in (False, False, True):
            runtime.send_nowait(1, priority=urgent)
        runtime.resume()
        manager.run(runtime.ask(1))
        records, _, _ = manager.ring.since(0)
        depths = [point[1:] for point in depth_history(records, runtime.depth, manager.clock.now())]
    assert depths[0] == (0, 1)
    assert (1, 2) in depths
    assert depths[-1] == (0, 0)
    assert all(low >= 0 and high >= 0 for low, high in depths)


def test_bars_too_short_to_see_become_one():
    class Axis:
        def ms(self, at):
            return at * 1000

    short = [outcome(n, started=n * 0.01, took=0.01) for n in range(50)]
    drawn = bar_columns(short, Axis(), least=0.25)
    assert len(drawn["y"]) < 5
    assert sum(int(words.split()[0]) for words in drawn["words"]) == 50
    failed = bar_columns([outcome(1), outcome(2, fate=Fate.FAILED), outcome(3, Lane.PRIORITY)], Axis(), least=100)
    assert len(failed["y"]) == 3, "neither fates nor lanes are mixed"
    assert failed["shape"] == ["circle", "x", "circle"], "a dot of Bokeh is one pixel"
    assert min(failed["size"]) >= 5


def test_what_never_ran_is_a_bar_of_waiting():
    class Axis:
        def ms(self, at):
            return at

    dropped = Outcome(9, 9, "a", False, "dropped", 1.0, None, 5.0, None)
    drawn = bar_columns([dropped], Axis(), 0.1)
    assert (drawn["created"], drawn["started"], drawn["finished"]) == ([1.0], [5.0], [5.0])
    assert "never started" in drawn["words"][0]


def test_a_state_tree_marks_what_changed_and_is_bounded():
    _, seen = tree({"a": 1, "b": {"c": [1, 2]}})
    html, _ = tree({"a": 1, "b": {"c": [1, 3]}}, seen)
    assert html.count('class="changed"') == 1
    assert '<span class="changed">3</span>' in html
    assert len(tree({n: list(range(1000)) for n in range(1000)})[0]) < 400_000
    loop: list = []
    loop.append(loop)
    assert tree(loop)


def test_a_state_that_grows_where_it_is_not_shown_says_how_large_it_is():
    pane = State()
    pane.draw(tuple(range(96)))
    before = pane.panel.html
    pane.draw(tuple(range(96)))
    assert pane.panel.html == before, "an equal copy"
    pane.draw(tuple(range(100)))
    assert "tuple, 100" in pane.panel.html
    assert "50 more" in pane.panel.html


@pytest.mark.parametrize("state", [HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE], {"a": {"b": HOSTILE}}])
def test_a_hostile_state_is_only_text(state):
    html, _ = tree(state)
    assert "<script" not in html
    assert "<img" not in html


def test_a_scale_grows_at_once_and_shrinks_late():
    scale = Scale(10)
    scale.fit(20)
    assert scale.range.end == 25
    scale.fit(15)
    assert scale.range.end == 25
    scale.fit(4)
    assert scale.range.end == 5


def test_the_axis_covers_a_minute_of_a_person_at_any_speed():
    with RuntimeManager(loop="thread") as manager:
        axis = TimeAxis(manager.source)
        assert axis.span == 60
        manager.speed = 60
        assert axis.span == 3600
        manager.speed = 0
        assert axis.span == 60


# ---- the view


@virtual
async def test_it_shows_a_runtime_through_its_life(manager):
    gate = Gate()
    runtime = manager.create("gate", (HOSTILE,), gate)
    view = RuntimeView(runtime.manager.source, runtime.id)
    assert view.update(update(manager, first=True)) is False
    assert "Nothing to do." in view.head.html
    receipt = runtime.send_nowait(HOSTILE, priority=True)
    runtime.send_nowait(2)
    await gate.entered.wait()
    assert view.update(update(manager)) is True, "it moves by itself while an activity runs"
    assert "of the priority lane runs for" in view.head.html
    assert "<script" not in view.head.html + view.state.panel.html + view.where.head.html + view.lanes.panel.html
    assert len(view.timeline.now.data["y"]) == 2, "one bar works, one waits"
    gate.open.set()
    await receipt
    runtime.pause()
    view.update(update(manager))
    assert view.steer.pause.label == "Resume"
    runtime.resume()
    await manager.terminate("gate", drain=True)
    assert view.update(update(manager)) is False
    assert "It is terminated" in view.head.html
    assert view.steer.end.disabled
    past = RuntimeView(manager.source, "gate")
    past.update(update(manager, first=True))
    assert "It is terminated" in past.head.html


@virtual
async def test_it_shows_the_last_error_with_its_traceback(manager):
    runtime = manager.create("a", 0, fail)
    view = RuntimeView(runtime.manager.source, runtime.id)
    view.update(update(manager, first=True))
    with pytest.raises(Exception, match="no "):
        await runtime.ask(HOSTILE)
    view.update(update(manager))
    html = view.last_error.panel.html
    assert "ValueError: no &lt;script" in html
    assert "raise ValueError" in html, "the line of the source"
    assert "<script" not in html
    assert "<img" not in html


@virtual
async def test_the_last_error_is_shown_whole_on_demand(manager):
    runtime = manager.create("a", 0, fail)
    view = RuntimeView(runtime.manager.source, runtime.id)
    text = "\n".join(f"line {n} of <b>many</b>" for n in range(1000)) + HOSTILE
    with pytest.raises(Exception, match="no "):
        await runtime.ask(text)
    view.update(update(manager, first=True))
    pane = view.last_error.panel
    assert "line 500" not in pane.html
    assert "show all" in pane.html
    pane._handle_msg({"do": "whole", "with": ""})
    assert "line 0 of &lt;b&gt;many" in pane.html
    assert "line 500 of" in pane.html
    assert "<script" not in pane.html
    view.update(update(manager))
    assert "line 500 of" in pane.html
    with pytest.raises(Exception, match="no "):
        await runtime.ask("short")
    view.update(update(manager))
    assert "no short" in pane.html
    assert "show" not in pane.html, "there is nothing more of it"


@virtual
async def test_nothing_is_drawn_again_when_nothing_changed(manager):
    runtime = manager.create("a", 0, add)
    await runtime.ask(1)
    view = RuntimeView(runtime.manager.source, runtime.id)
    view.update(update(manager, first=True))
    events = []
    sources = (view.depth.source, view.timeline.ended, view.timeline.now, view.throughput.source)
    for source in sources:
        source.on_change("data", lambda attr, old, new: events.append(new))
    for part in (view.head, view.lanes.panel, view.state.panel, view.last_error.panel, view.where.body):
        part.param.watch(events.append, "html")
    view.update(Update(manager.clock.now(), [], set()))
    assert events == []


@virtual
async def test_the_log_keeps_the_last_and_says_what_it_missed(manager):
    runtime = manager.create("a", 0, add)
    view = Events(runtime.manager.source, runtime.id)
    view.update(update(manager, first=True))
    for n in range(200):
        await runtime.ask(n)
    view.update(Update(manager.clock.now(), manager.ring.since(0)[0], {"a"}, missed=7))
    assert view.log.panel.html.count("data-key") == 80
    assert "7 events passed" in view.log.panel.html


@virtual
async def test_every_kind_of_record_has_words(manager):
    runtime = manager.create("a", 0, fail, retries=0)
    runtime.send_nowait(HOSTILE, priority=True)
    await asyncio.sleep(1)
    runtime.timeout = 3
    manager.speed = 2
    for record in manager.ring.since(0)[0]:
        assert "<script" not in record_row(record, manager.clock)
        assert escape(record_words(record))


def test_an_error_of_any_kind_can_be_shown():
    class Odd(Exception):
        def __str__(self):
            return HOSTILE

    assert "<script" not in error_html(Odd(), 1.0)


# ---- steering


@virtual
async def test_limit_fields_set_the_runtime_and_say_what_is_wrong(manager):
    runtime = manager.create("a", 0, add)
    steer = Steer(
        runtime.manager.source, runtime.id, Commands(manager.source, tell=lambda text, wrong: steer.say(text, wrong))
    )
    limits = {field.name: field for field in steer.limits}
    limits["timeout"].widget.value = "2.5 s"
    assert runtime.timeout == 2.5
    assert limits["timeout"].widget.value == "2.5"
    limits["standard_capacity"].widget.value = "-3"
    assert runtime.standard_capacity == 1000
    assert limits["standard_capacity"].widget.error_state
    assert "standard_capacity" in steer.message.html
    limits["fairness"].widget.value = "<b>"
    assert "&lt;b&gt;" in steer.message.html
    limits["fairness"].widget.value = "none"
    assert runtime.fairness is None
    runtime.timeout = None
    steer.draw(runtime.snapshot())
    assert limits["timeout"].widget.value == "none"
    steer.overflow.value = "drop_oldest"
    assert runtime.overflow == "drop_oldest"


@virtual
async def test_terminate_asks_once(manager):
    runtime = manager.create("a", 0, add)
    steer = Steer(runtime.manager.source, runtime.id, Commands(manager.source))
    steer.end.clicks += 1
    assert runtime.status is Status.IDLE
    assert steer.confirm.visible
    steer.cancel.clicks += 1
    assert not steer.confirm.visible
    steer.end.clicks += 1
    steer.confirm.clicks += 1
    await asyncio.sleep(1)
    assert runtime.status is Status.TERMINATED


COMMANDS = ("pause", "resume", "step", "recover", "terminate")


@virtual
async def test_a_viewer_is_refused_every_command(manager):
    runtime = manager.create("a", 0, add)
    said = []
    commands = Commands(
        manager.source, role=Role.VIEWER, who="viewer", tell=lambda text, wrong: said.append((text, wrong))
    )
    before = manager.ring.cursor
    for name in COMMANDS:
        assert getattr(commands, name)("a") is False
    assert commands.set("a", "timeout", 1) is False
    assert commands.speed(10) is False
    assert commands.pause_all() is False
    assert commands.resume_all() is False
    assert commands.do("send", lambda: runtime.send_nowait(1)) is False
    assert manager.ring.cursor == before, "nothing happened"
    assert len(said) == 10
    assert all(wrong and "looking only" in text for text, wrong in said)


@virtual
async def test_every_act_is_on_the_record_with_who_did_it(manager):
    runtime = manager.create("a", 0, add)
    commands = Commands(manager.source, who="operator (page)")
    runtime.send_nowait(1)
    for name in ("pause", "step", "resume"):
        assert getattr(commands, name)("a")
    assert commands.set("a", "timeout", 5)
    assert commands.speed(2)
    runtime.pause()
    acts = [(r.kind, r.who) for r in manager.ring.since(0)[0] if hasattr(r, "who") and r.kind != "created"]
    by = dict(acts[:-1])
    assert {"paused", "stepped", "resumed", "limit", "speed"} <= set(by)
    assert set(by.values()) == {"operator (page)"}
    assert acts[-1] == ("paused", None), "code acts as nobody"


# ---- the feed


class Recorder:
    def __init__(self, moves: bool = False) -> None:
        self.updates: list[Update] = []
        self.moves = moves

    def update(self, update: Update) -> bool:
        self.updates.append(update)
        return self.moves


@virtual
async def test_a_feed_draws_each_record_once_and_goes_on_after_a_fault(manager):
    queue: list = []
    feed = Feed(manager.source, schedule=queue.append, later=lambda seconds, call: queue.append(call))

    class Broken:
        def update(self, update):
            raise RuntimeError("broken")

    runtime = manager.create("a", 0, add)
    good, broken = Recorder(), Broken()
    feed.follow(broken)
    feed.follow(good)
    assert feed.views == [good]
    await runtime.ask(1)
    records, _, _ = manager.ring.since(0)
    feed._detach = lambda: None
    feed.flush(Frame(manager.clock.now(), records, 0, {"a"}))
    seen = [record.sequence for update in good.updates for record in update.records]
    assert len(seen) == len(set(seen)) == len(records)


@virtual
async def test_a_moving_view_is_asked_again_and_a_still_one_is_not(manager):
    later: list = []
    feed = Feed(manager.source, schedule=lambda call: None, later=lambda seconds, call: later.append(call))
    feed._detach = lambda: None
    moving, still = Recorder(moves=True), Recorder()
    feed.follow(moving)
    feed.follow(still)
    assert len(later) == 1
    later.pop()()
    assert (len(moving.updates), len(still.updates)) == (2, 1)
    moving.moves = False
    later.pop()()
    assert later == []


def test_a_feed_lets_go_of_the_hub():
    with RuntimeManager(loop="thread") as manager:
        feed = Feed(manager.source, schedule=lambda call: call(), later=lambda seconds, call: None).start()
        assert manager.hub.running
        feed.stop()
        feed.stop()
        assert not manager.hub.running
        gone = Feed(manager.source, schedule=lambda call: call(), later=lambda s, c: None, alive=lambda: False).start()
        manager.create("a", 0, add)
        from tests.harness.wait import wait_until

        wait_until(lambda: not gone.running, what="a feed whose output is gone stops by itself")
        assert not manager.hub.running


@virtual
async def test_nothing_is_drawn_for_a_page_that_is_gone_until_it_is_back(manager):
    class Doc:
        session_context = None

    class Page:
        connection_count, destroyed = 0, False

        async def with_document_locked(self, inside, call):
            await inside(call)

    page, doc, drawn = Page(), Doc(), []
    doc.session_context = SimpleNamespace(session=None, server_context=None)
    session = Session(doc)
    session.schedule(lambda: drawn.append("first"))
    await asyncio.sleep(100)
    doc.session_context.session = page  # it was made on another thread
    await asyncio.sleep(100)
    assert drawn == []
    page.connection_count = 1
    await asyncio.sleep(1)
    assert drawn == ["first"]
    page.connection_count = 0
    session.schedule(lambda: drawn.append("never"))
    await asyncio.sleep(100)
    page.destroyed = True
    await asyncio.sleep(1)
    assert (drawn, session.tasks) == (["first"], set())
    session.schedule(lambda: drawn.append("never"))
    doc.session_context = None
    await asyncio.sleep(1)
    assert (drawn, session.tasks) == (["first"], set())


@pytest.mark.browser
def test_the_words_of_an_event_have_a_line_of_their_own_on_a_narrow_page(page):
    with RuntimeManager(loop="thread") as manager:
        manager.create("a", 0, add).send_nowait(1).result(60)

        def events(feed):
            view = Events(manager.source, "a")
            view.panel = view.log.panel
            return view

        with shown(manager, events) as url:
            for width, least in ((400, 250), (1000, 500)):
                page.set_viewport_size({"width": width, "height": 700})
                page.goto(url)
                words = page.locator(".log > div > :last-child").first
                words.wait_for()
                loaded(page)
                assert words.bounding_box()["width"] > least
