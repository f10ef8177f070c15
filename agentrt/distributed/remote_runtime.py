"""RemoteRuntime: the handle of a runtime that is on another node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..display import RuntimeDisplay
from ..notebook import displayable, mime_bundle
from ..runtime import Runtime
from ..schema.preview import preview
from ..snapshot import Snapshot
from .remote_entry import RemoteEntry

__all__ = ["COMMANDS", "RemoteRuntime"]

# What is done on the node of the runtime, by the name of the method of `Runtime`; each is recorded as any command.
COMMANDS = (
    "pause", "resume", "step", "recover", "swap", "terminate", "drop", "promote", "demote", "first", "put_back", "edit",
    "edit_state", "fates", "mailbox_items", "where", "whereabouts",
)  # fmt: skip
Call = Callable[..., Any]


class RemoteRuntime(RuntimeDisplay):
    """A runtime on another node: send to it, ask it, watch it, steer it. Safe from any thread.

    It has the methods of `Runtime`; what they say holds, but for `answer`. It shows itself and its views as that does.
    What is read of it is asked of its node, and takes as long as a call there.

    Args:
        entry: What carries activities to it.
        call: Has its node do something: `call(id, name, *arguments, **options)`.
    """

    def __init__(self, entry: RemoteEntry, call: Call) -> None:
        self.entry = entry
        self._call = call
        self.send_nowait, self.send, self.ask = entry.send_nowait, entry.send, entry.ask

    @property
    def id(self) -> str:
        """The id, as given to create."""
        return self.entry.id

    @property
    def manager(self) -> Any:
        """The manager of the cluster."""
        return self.entry.transport.host

    @property
    def node(self) -> str:
        """The name of the node that it is on."""
        return self.entry.transport.node_of(self.id)

    def snapshot(self, metrics: bool = True) -> Snapshot:
        """Return everything about it at one time, as one immutable record."""
        shot: Snapshot = self._call(self.id, "snapshot", metrics)
        return shot

    def answer(self, payload: Any) -> Any:
        """Send what it waits for to the priority lane, and resume it; `Runtime.answer` on its node does more."""
        receipt = self.send_nowait(payload, priority=True)
        self._call(self.id, "resume")
        return receipt

    @property
    def state(self) -> Any:
        """The last committed state."""
        return self.snapshot(False).state

    @property
    def status(self) -> Any:
        """What it is doing."""
        return self.snapshot(False).status

    @property
    def depth(self) -> tuple[int, int]:
        """How many activities wait in each lane: (priority, standard)."""
        return self.snapshot(False).depth

    @property
    def metrics(self) -> Any:
        """Counts, and percentiles of waiting and working for both lanes."""
        return self.snapshot().metrics

    def __repr__(self) -> str:
        shot = self.snapshot(False)
        waiting = f"waiting {shot.depth[0]} priority {shot.depth[1]} standard"
        return (
            f"<Runtime {self.id!r} on {self.node!r} {shot.status.value}, {waiting}, state {preview(shot.state, 120)}>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return mime_bundle(self, include, exclude)

    def _display_(self) -> Any:  # what marimo asks for
        return displayable(self)


def _command(name: str) -> Any:
    def call(self: RemoteRuntime, *arguments: Any, **options: Any) -> Any:
        return self._call(self.id, name, *arguments, **options)

    call.__name__, call.__doc__ = name, f"{vars(Runtime)[name].__doc__}"
    return call


for _name in COMMANDS:
    setattr(RemoteRuntime, _name, _command(_name))
