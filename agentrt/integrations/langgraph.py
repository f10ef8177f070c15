"""A compiled graph of LangGraph as an agent.

The state of the runtime holds the checkpoint of the graph. So a graph that fails leaves its state as it was, and what
the runtime can do with its state it can do with the graph: store it in a journal, restart, go back, branch off. Each
node is a `ctx.step`: seen on the timeline, and a place to stop at. An interrupt of the graph ends the activity and
pauses the runtime: the state then has the question, what is sent meanwhile waits, and `runtime.answer` goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from ..activity import Activity, Lane
from ..context import Context
from ..errors import ConfigurationError
from ..journal import register
from ..limits import LimitOptions
from ..manager import RuntimeManager
from ..optional import explain_missing
from ..runtime import Runtime
from ..schema.preview import preview
from .plain_data import freeze, freeze_values

if TYPE_CHECKING:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.pregel import Pregel

__all__ = ["GraphState", "Priority", "Question", "Resume", "create_langgraph_agent", "graph_workflow", "message"]

WHAT, EXTRA = "a graph of LangGraph needs", "langgraph"
MOST_CHARACTERS = 200  # of a question in a message
THREAD = "agentrt"  # the one thread of a graph: a runtime has one state


class Priority(StrEnum):
    """How urgent a message is. HIGH goes to the priority lane, the other three to the standard lane, in order."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
    BACKGROUND = "background"


class Question(msgspec.Struct, frozen=True, eq=False):
    """What an interrupt of the graph asks for. Two that ask the same are equal: LangGraph's ids differ in each run."""

    id: str
    value: Any

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "value", freeze(self.value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self.value == other.value

    def __hash__(self) -> int:
        return hash(Question)


class Checkpoint:
    """All that a graph goes on from. All are equal: what counts is the rest of the state, as ids differ in each run."""

    __frozen__ = True
    __slots__ = ("content",)

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint)

    def __hash__(self) -> int:
        return hash(Checkpoint)

    def __reduce__(self) -> tuple[type[Checkpoint], tuple[bytes]]:
        return Checkpoint, (self.content,)

    def __repr__(self) -> str:
        return f"<Checkpoint of {len(self.content)} bytes>"


register(Checkpoint, encode=lambda checkpoint: checkpoint.content, decode=Checkpoint)


class Resume(msgspec.Struct, frozen=True):
    """A payload that answers the interrupts of a graph, with which it goes on.

    Where a payload is typed as JSON, as on a page, `{"resume": "yes"}` is the same; with `"id"` where several are open.

    Args:
        value: What `interrupt()` returns in the node.
        id: Which question it is for, where several are open.
    """

    value: Any
    id: str | None = None


class GraphState(msgspec.Struct, frozen=True):
    """A graph between two activities.

    Args:
        values: The values of its channels as plain data, to look at; messages are dicts.
        next: The nodes that come next; none at its end.
        questions: The interrupts that wait for a `Resume`.
        runs: How many activities have run it.
        checkpoint: All that the graph goes on from. Empty before the first run.
    """

    values: dict[str, Any] = {}
    next: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    runs: int = 0
    checkpoint: Checkpoint = msgspec.field(default_factory=Checkpoint)

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "values", freeze(self.values))


Workflow = Callable[[Activity[Any], GraphState, Context], Any]


def create_langgraph_agent(
    manager: RuntimeManager,
    graph: Pregel[Any, Any, Any, Any],
    initial_state: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,
    config: Mapping[str, Any] | None = None,
    **limits: Unpack[LimitOptions],
) -> Runtime[GraphState, Any]:
    """Create a runtime that runs a compiled graph.

    A payload is an input of the graph, as `graph.invoke` takes it, or a `Resume`. `ask` returns the new `GraphState`.
    Where the graph asks (`interrupt`) or stops (`interrupt_before`, `interrupt_after`), the runtime is paused: go on
    with `runtime.answer(Resume("yes"))`, or with `runtime.answer(None)` where it only stops.

    Args:
        manager: Where to create it.
        graph: The compiled graph. Its own checkpointer is not used.
        initial_state: What its channels hold before the first input.
        id: The id of the runtime; "langgraph-1" and so on without it.
        config: A config of LangGraph for each run, such as `{"recursion_limit": 50}`.
        **limits: Those of `manager.create`.

    Raises:
        MissingPackageError: LangGraph is not installed.
        ConfigurationError: The graph can't be run from one checkpoint.
        RuntimeExistsError: The id is taken.

    >>> import agentrt
    >>> from langgraph.graph import START, StateGraph
    >>> builder = StateGraph(dict)
    >>> _ = builder.add_node("double", lambda state: {"n": state["n"] * 2}).add_edge(START, "double")
    >>> with agentrt.RuntimeManager() as manager:
    ...     runtime = create_langgraph_agent(manager, builder.compile(), id="doubles")
    ...     manager.run(runtime.ask({"n": 21})).values
    {'n': 42}
    """
    workflow = graph_workflow(graph, initial_state, config)
    names = (f"langgraph-{number}" for number in count(1))
    name = id if id is not None else next(each for each in names if each not in manager)
    return manager.create(name, GraphState(values=freeze_values(initial_state or {})), workflow, **limits)


def graph_workflow(
    graph: Pregel[Any, Any, Any, Any],
    initial_state: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Workflow:
    """Make a workflow of a compiled graph, for `manager.create(id, GraphState(), workflow)` or `runtime.swap`.

    The nodes get `ctx` in the config of LangGraph: `config["configurable"]["ctx"]`.

    Args:
        graph: As in `create_langgraph_agent`.
        initial_state: As in `create_langgraph_agent`.
        config: As in `create_langgraph_agent`.

    Raises:
        MissingPackageError: LangGraph is not installed.
        ConfigurationError: The graph can't be run from one checkpoint.
    """
    stepped = _with_steps(graph)

    async def run_graph(activity: Activity[Any], state: GraphState, ctx: Context) -> GraphState:
        saver = load_checkpoint(state.checkpoint.content)
        running = stepped.copy({"checkpointer": saver})
        options: Any = dict(config or {})
        options["configurable"] = {**options.get("configurable", {}), "thread_id": THREAD, "ctx": ctx}
        if not state.checkpoint.content and initial_state:
            await running.aupdate_state(options, dict(initial_state), as_node="__start__")
        await running.ainvoke(_input_of(activity.payload, state), options, durability="exit")
        after = await running.aget_state(options)
        questions = tuple(Question(each.id, freeze_values(each.value)) for each in after.interrupts)
        if after.next:
            ctx.pause(_reason_to_pause(questions, after.next))
        return GraphState(
            freeze_values(after.values), after.next, questions, state.runs + 1, Checkpoint(dump_checkpoint(saver))
        )

    run_graph.__name__ = run_graph.__qualname__ = graph.get_name()
    return run_graph


def message(
    manager: RuntimeManager, payload: Any, priority: Priority = Priority.NORMAL, scheduled_for: datetime | None = None
) -> Activity[Any]:
    """Make an activity of a payload, to be sent: `runtime.send_nowait(message(manager, payload, Priority.HIGH))`.

    Args:
        manager: The one whose clock says when `scheduled_for` is.
        payload: What to send.
        priority: Which lane it goes to.
        scheduled_for: It joins its lane at this time, or at once if that is past.
    """
    lane = Lane.PRIORITY if priority == Priority.HIGH else Lane.STANDARD
    if scheduled_for is None:
        return Activity(payload=payload, lane=lane)
    now = manager.clock.now()
    delay = scheduled_for.timestamp() - manager.clock.wall(now).timestamp()
    return Activity(payload=payload, lane=lane, not_before=now + max(0.0, delay))


# ---- what goes into the graph, and what is seen of it


def _input_of(payload: Any, state: GraphState) -> Any:
    from langgraph.types import Command

    if state.questions and isinstance(payload, Mapping) and "resume" in payload and payload.keys() <= {"resume", "id"}:
        payload = Resume(payload["resume"], payload.get("id"))
    if isinstance(payload, Resume):
        if not state.questions:
            raise ValueError("there is an answer, and the graph has asked for nothing")
        return Command(resume=payload.value if payload.id is None else {payload.id: payload.value})
    if state.questions and payload is not None:
        asked = preview(state.questions[0].value, MOST_CHARACTERS)
        raise ValueError(f"the graph waits for a Resume, and takes no input before it has one: {asked}")
    return payload


def _reason_to_pause(questions: tuple[Question, ...], nodes: tuple[str, ...]) -> str:
    if not questions:
        return f"the graph stops before {', '.join(nodes)}"
    return f"the graph asks {preview(questions[0].value, MOST_CHARACTERS)}"


# ---- nodes


def _with_steps(graph: Any) -> Any:
    """A copy of a graph in which each node is a step of the context."""
    with explain_missing(WHAT, EXTRA):
        from langgraph.channels.delta import DeltaChannel
    if deltas := [name for name, channel in graph.channels.items() if isinstance(channel, DeltaChannel)]:
        raise ConfigurationError(f"the channel {deltas[0]!r} is a DeltaChannel, whose value is in many checkpoints")
    step = _step_class()
    nodes = {
        name: node if name == "__start__" else node.copy({"bound": step(name, node.bound)})
        for name, node in graph.nodes.items()
    }
    return graph.copy({"nodes": nodes})


def _step_class() -> Any:
    """The class of a node that is a step. It is made when LangGraph is there to be derived from."""
    with explain_missing(WHAT, EXTRA):
        from langchain_core.runnables import Runnable
        from langgraph.errors import GraphBubbleUp

    class NodeStep(Runnable[Any, Any]):
        """A node that is a step of the context."""

        def __init__(self, name: str, bound: Any) -> None:
            self.name = name
            self.bound = bound

        def invoke(self, input: Any, config: Any = None, **options: Any) -> Any:
            return self.bound.invoke(input, config, **options)

        async def ainvoke(self, input: Any, config: Any = None, **options: Any) -> Any:
            bubble: GraphBubbleUp
            with config["configurable"]["ctx"].step(self.name):
                try:
                    return await self.bound.ainvoke(input, config, **options)
                except GraphBubbleUp as error:  # an interrupt is no failure of the step
                    bubble = error
            raise bubble

    return NodeStep


# ---- checkpoints


def load_checkpoint(content: bytes) -> InMemorySaver:
    """A saver that has what was dumped."""
    with explain_missing(WHAT, EXTRA):
        from langgraph.checkpoint.memory import InMemorySaver
    saver = InMemorySaver()
    for space, checkpoint, metadata, writes in saver.serde.loads_typed(("msgpack", content)) if content else ():
        at: Any = {"configurable": {"thread_id": THREAD, "checkpoint_ns": space}}
        at = saver.put(at, checkpoint, metadata, checkpoint["channel_versions"])
        for task in dict.fromkeys(task for task, _, _ in writes):
            saver.put_writes(at, [(channel, value) for of, channel, value in writes if of == task], task)
    return saver


def dump_checkpoint(saver: InMemorySaver) -> bytes:
    """The last checkpoint of the graph, and of each of its subgraphs, with what is pending."""
    last: dict[str, Any] = {}
    for found in saver.list({"configurable": {"thread_id": THREAD}}):
        space = found.config["configurable"]["checkpoint_ns"]
        newest = last.get(space)
        if newest is None or found.checkpoint["id"] > newest.checkpoint["id"]:
            last[space] = found
    parts = [(space, each.checkpoint, each.metadata, each.pending_writes or []) for space, each in last.items()]
    kind, content = saver.serde.dumps_typed(parts)
    assert kind == "msgpack"
    return content
