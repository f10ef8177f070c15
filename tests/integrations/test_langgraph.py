"""langgraph.py: LangGraph's own kind of programs, seen, stopped, answered, taken back and stored as agents."""

import asyncio
import operator
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypedDict

import pytest

pytest.importorskip("langgraph")

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Send, interrupt
from playwright.sync_api import Page, expect

from agentrt import ConfigurationError, ProcessingError, RuntimeManager
from agentrt.integrations.langgraph import (
    GraphState,
    Priority,
    Resume,
    create_langgraph_agent,
    graph_workflow,
    message,
)
from agentrt.integrations.plain_data import FrozenDict
from agentrt.testing.virtual import run
from agentrt.views.role import Role
from agentrt.views.server.server import serve
from tests.harness.place import ROOT
from tests.harness.shown import serving
from tests.harness.wait import PATIENCE, wait_until
from tests.support import still_picture, virtual


class Article(TypedDict):
    topic: str
    lines: Annotated[list, operator.add]


async def draft(state: Article):
    return {"lines": [f"about {state['topic']}"]}


def review(state: Article):
    verdict = interrupt({"publish": state["lines"][-1]})
    return {"lines": [f"review: {verdict}"]}


async def publish(state: Article, config):
    config["configurable"]["ctx"].log("published")
    return {"lines": ["published"]}


def article_graph(**nodes):
    """Three nodes in a row, the second of which asks a person; as in LangGraph's pages on humans in the loop."""
    builder = StateGraph(Article)
    for name, node in {"draft": draft, "review": review, "publish": publish, **nodes}.items():
        builder.add_node(name, node)
    builder.add_edge(START, "draft").add_edge("draft", "review").add_edge("review", "publish").add_edge("publish", END)
    return builder


def steps(manager):
    return [(each.detail["name"], each.detail["failed"]) for each in manager.ring.records if each.kind == "step"]


@virtual
async def test_a_graph_runs_to_its_question_and_with_the_answer_to_its_end(manager):
    agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": ["title"]})
    assert (agent.id, agent.state.values) == ("langgraph-1", {"lines": ("title",)})
    asked = await agent.ask({"topic": "cats"})
    assert asked.values == {"topic": "cats", "lines": ("title", "about cats")}
    assert (asked.next, [each.value for each in asked.questions]) == (("review",), [{"publish": "about cats"}])
    assert agent.status == "paused"
    done = (await agent.answer(Resume("yes"))).state
    assert done.values["lines"] == ("title", "about cats", "review: yes", "published")
    assert (done.next, done.questions, done.runs, agent.state) == ((), (), 2, done)
    assert steps(manager) == [("draft", False), ("review", False), ("review", False), ("publish", False)]
    events = [(each.kind, each.detail) for each in manager.ring.records if each.kind in ("log", "paused")]
    assert [kind for kind, _ in events] == ["paused", "log"]
    assert events[0][1]["why"] == "the graph asks {'publish': 'about cats'}"
    again = await agent.ask({"topic": "dogs"})  # which asks again
    assert again.values["lines"][-1] == "about dogs"


@virtual
async def test_what_waits_behind_a_question_is_held_until_it_is_answered(manager):
    agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
    receipts = [agent.send_nowait({"topic": each}) for each in ("cats", "dogs", "birds")]
    urgent = agent.send_nowait(message(manager, {"topic": "fish"}, Priority.HIGH, manager.clock.wall(10.0)))
    await receipts[0]
    await asyncio.sleep(20)
    assert (agent.status, agent.depth) == ("paused", (1, 2))
    assert (await agent.answer(Resume("yes"))).state.values["lines"][-2:] == ("review: yes", "published")
    for receipt, topic in zip((urgent, *receipts[1:]), ("fish", "dogs", "birds"), strict=True):
        assert (await receipt).state.questions[0].value == {"publish": f"about {topic}"}
        await agent.answer(Resume("no"))
    assert (agent.status, agent.depth, manager.fates().failed) == ("idle", (0, 0), 0)


@virtual
async def test_an_answer_that_nobody_asked_for_and_an_input_in_place_of_one_fail_and_change_nothing(manager):
    agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
    with pytest.raises(ProcessingError, match="asked for nothing"):
        await agent.ask(Resume("yes"))
    assert not agent.paused
    asked = await agent.ask({"topic": "cats"})
    with pytest.raises(ProcessingError, match=r"waits for a Resume.*about cats"):
        await agent.answer({"topic": "dogs"})
    assert (agent.state, agent.status) == (asked, "paused")
    assert (await agent.answer(Resume("no", asked.questions[0].id))).state.values["lines"][-2] == "review: no"


@virtual
async def test_a_node_that_fails_leaves_the_graph_as_it_was(manager):
    fails = [True]

    async def shaky(state):
        if fails:
            raise ValueError(f"no {fails.pop()}")
        return {"lines": ["published"]}

    agent = create_langgraph_agent(manager, article_graph(publish=shaky).compile(), {"lines": []})
    asked = await agent.ask({"topic": "cats"})
    with pytest.raises(ProcessingError, match="no True") as failure:
        await agent.answer(Resume("yes"))
    assert isinstance(failure.value.__cause__, ValueError)
    assert (agent.state, steps(manager)[-1], agent.paused) == (asked, ("publish", True), True)
    assert (await agent.answer(Resume("yes"))).state.values["lines"][-1] == "published"


def test_it_is_stopped_before_a_node_seen_and_stepped():
    with RuntimeManager(loop="thread") as manager:
        agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
        agent.breakpoints.add(step="review")
        receipt = agent.send_nowait({"topic": "cats"})
        stop = wait_until(lambda: agent.breakpoints.stop)
        assert (stop.kind, stop.steps, agent.status) == ("step", ("review",), "paused")
        assert agent.state == GraphState(values={"lines": []})
        agent.resume()
        assert receipt.result(PATIENCE).state.next == ("review",)
        agent.breakpoints.clear()
        assert agent.status == "paused"
        answers = [agent.send_nowait(payload) for payload in ({"resume": "yes"}, {"topic": "dogs"})]
        assert agent.step() == 1
        assert answers[0].result(PATIENCE).state.values["lines"][-1] == "published"
        assert (answers[1].value, agent.depth) == (None, (0, 1))
        assert "published" in still_picture(agent)


@virtual
async def test_it_is_taken_back_to_its_question_and_branched_off(manager):
    agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
    await agent.ask({"topic": "cats"})
    asked = manager.ring.records[-1].sequence
    await agent.answer(Resume("yes"))
    assert [each.state.runs for each in agent.history][-2:] == [1, 2]
    paths = [change.path for change in agent.history.diff(asked, manager.ring.records[-1].sequence)]
    assert paths == ["values.lines[1]", "values.lines[2]", "next[0]", "questions[0]", "runs", "checkpoint"]
    past = manager.at(asked)[agent.id].state
    assert (past.next, past.questions[0].value) == (("review",), {"publish": "about cats"})
    agent.pause()
    agent.edit_state(past)
    assert (await agent.answer(Resume("no"))).state.values["lines"][-2:] == ("review: no", "published")


def test_a_fork_answers_otherwise_and_the_first_one_is_left_alone():
    with RuntimeManager(loop="thread") as manager:
        agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
        manager.run(agent.ask({"topic": "cats"}))
        with manager.at().fork(effects="live") as other:
            assert other[agent.id].paused
            assert other[agent.id].answer(Resume("no")).result(PATIENCE).state.values["lines"][-2] == "review: no"
        assert agent.answer(Resume("yes")).result(PATIENCE).state.values["lines"][-2] == "review: yes"


@virtual
async def test_what_is_recorded_runs_again_with_the_same_states(manager):
    agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
    await agent.ask({"topic": "cats"})
    await agent.answer(Resume("yes"))
    assert manager.replay().matches

    async def other(state):
        return {"lines": ["about something else"]}

    changed = graph_workflow(article_graph(draft=other).compile(), {"lines": []})
    replay = manager.replay({agent.id: changed})
    assert not replay.matches
    assert "something else" in str(replay.divergence)


def test_it_goes_on_from_a_journal(tmp_path):
    def create(manager):
        return create_langgraph_agent(manager, article_graph().compile(), {"lines": []}, id="writer")

    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        agent = create(manager)
        asked = manager.run(agent.ask({"topic": "cats"}))
        manager.run(agent.send_nowait(Resume("later")).stored())
    with RuntimeManager(journal=tmp_path / "a.db") as manager:
        agent = create(manager)
        assert (agent.resumed, agent.state, type(agent.state.values)) == (True, asked, FrozenDict)
        assert (agent.status, agent.depth) == ("paused", (0, 1))
        agent.resume()
        assert wait_until(lambda: agent.state.runs == 2 and agent.state).values["lines"][-2] == "review: later"


@virtual
async def test_a_chat_keeps_its_messages(manager):
    """The first example of LangGraph's pages: a chatbot."""
    model = GenericFakeChatModel(messages=iter([AIMessage("Hello, Ada."), AIMessage("You are Ada.")]))

    async def chatbot(state: MessagesState):
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState).add_node("chatbot", chatbot).add_edge(START, "chatbot")
    agent = create_langgraph_agent(manager, builder.compile(), id="chat")
    await agent.ask({"messages": [{"role": "user", "content": "I am Ada."}]})
    state = await agent.ask({"messages": [{"role": "user", "content": "Who am I?"}]})
    said = [(each["type"], each["content"]) for each in state.values["messages"]]
    assert said == [("human", "I am Ada."), ("ai", "Hello, Ada."), ("human", "Who am I?"), ("ai", "You are Ada.")]


@virtual
async def test_nodes_side_by_side_each_ask_and_each_get_their_answer(manager):
    class Many(TypedDict):
        found: Annotated[list, operator.add]

    async def ask(state):
        return {"found": [interrupt(f"how many {state['of']}?")]}

    builder = StateGraph(Many).add_node("ask", ask)
    builder.add_conditional_edges(START, lambda state: [Send("ask", {"of": each}) for each in ("cats", "dogs")])
    agent = create_langgraph_agent(manager, builder.compile())
    asked = await agent.ask({"found": []})
    ids = {each.value: each.id for each in asked.questions}
    assert set(ids) == {"how many cats?", "how many dogs?"}
    one = (await agent.answer(Resume(2, ids["how many dogs?"]))).state
    assert [each.value for each in one.questions] == ["how many cats?"]
    assert (await agent.answer(Resume(1, ids["how many cats?"]))).state.values["found"] == (1, 2)


@virtual
async def test_a_question_inside_of_a_subgraph_is_answered(manager):
    builder = StateGraph(Article)
    builder.add_node("inner", article_graph().compile()).add_edge(START, "inner")
    agent = create_langgraph_agent(manager, builder.compile())
    asked = await agent.ask({"topic": "cats", "lines": []})
    assert [each.value for each in asked.questions] == [{"publish": "about cats"}]
    assert (await agent.answer(Resume("yes"))).state.values["lines"] == ("about cats", "review: yes", "published")


@virtual
async def test_none_goes_on_where_the_graph_was_told_to_stop(manager):
    graph = article_graph(review=publish).compile(interrupt_before=["publish"])
    agent = create_langgraph_agent(manager, graph, {"lines": []})
    stopped = await agent.ask({"topic": "cats"})
    assert (stopped.next, stopped.questions) == (("publish",), ())
    assert agent.status == "paused"
    assert (await agent.answer(None)).state.next == ()
    assert agent.status == "idle"


@virtual
async def test_the_config_is_that_of_each_run(manager):
    builder = StateGraph(Article).add_node("again", lambda state: Command(goto="again")).add_edge(START, "again")
    agent = create_langgraph_agent(manager, builder.compile(), config={"recursion_limit": 3})
    with pytest.raises(ProcessingError, match="Recursion limit of 3"):
        await agent.ask({"topic": "cats", "lines": []})


@pytest.mark.parametrize(
    ("priority", "lane"), [(Priority.HIGH, "priority"), *((p, "standard") for p in list(Priority)[1:])]
)
def test_four_priorities_go_to_two_lanes(priority, lane):
    async def main():
        async with RuntimeManager(loop="current") as manager:
            agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
            agent.pause()
            agent.send_nowait(message(manager, {"topic": "cats"}, priority))
            assert [each.lane for each in agent.mailbox_items()] == [lane]

    run(main())


@virtual
async def test_a_message_that_is_scheduled_waits_until_then(manager):
    agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []})
    noon = manager.clock.wall(manager.clock.now()).astimezone(UTC) + timedelta(hours=2)
    receipt = agent.send_nowait(message(manager, {"topic": "cats"}, scheduled_for=noon))
    before = manager.clock.now()
    outcome = await receipt
    assert outcome.started - before == pytest.approx(7200, abs=1e-3)
    past = message(manager, {"topic": "dogs"}, scheduled_for=datetime(2000, 1, 1, tzinfo=UTC))
    assert past.not_before == manager.clock.now()


@pytest.mark.browser
def test_a_person_answers_a_graph_on_its_page(page: Page):
    with RuntimeManager(name="office", loop="thread") as manager:
        agent = create_langgraph_agent(manager, article_graph().compile(), {"lines": []}, id="writer")
        receipts = [agent.send_nowait({"topic": topic}) for topic in ("cats", "dogs")]
        with serving(serve(manager)) as server:
            page.goto(server.link(Role.OPERATOR, "runtime/writer"))
            expect(
                page.get_by_text("Paused by its workflow (the graph asks {'publish': 'about cats'})")
            ).to_be_visible()
            page.get_by_role("tab", name="Inject").click()
            page.get_by_label("payload *").fill('{"resume": "yes"}')
            page.get_by_role("button", name="▲ priority").click()
            page.get_by_role("button", name="Send", exact=True).click()
            wait_until(lambda: agent.depth == (1, 1))
            page.get_by_role("button", name="Step", exact=True).click()
            wait_until(lambda: agent.state.runs == 2)
            assert agent.state.values["lines"][-2:] == ("review: yes", "published")
            page.get_by_role("button", name="Resume", exact=True).click()
            assert receipts[1].result(PATIENCE).state.questions[0].value == {"publish": "about dogs"}
            expect(page.get_by_text("by its workflow (the graph asks {'publish': 'about dogs'})")).to_be_visible()


def test_a_graph_whose_values_are_in_many_checkpoints_is_refused():
    class Grows(TypedDict):
        lines: Annotated[list, DeltaChannel(lambda old, new: [*old, *new])]

    graph = StateGraph(Grows).add_node("a", lambda state: {"lines": ["x"]}).add_edge(START, "a").compile()
    with pytest.raises(ConfigurationError, match="DeltaChannel"):
        graph_workflow(graph)


def test_the_workflow_has_the_name_of_the_graph():
    assert graph_workflow(article_graph().compile(name="article")).__name__ == "article"


def test_without_the_package_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['langgraph'] = None\n"
        "from agentrt.integrations.langgraph import graph_workflow; graph_workflow(None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "pip install 'agentrt[langgraph]'" in done.stderr
