"""A paused runtime, and the microscope of its mailbox without a page."""

from typing import Any

from agentrt import Runtime, RuntimeManager
from agentrt.views.mailbox.microscope import Microscope
from agentrt.views.role import Commands
from tests.support import collect, turns
from tests.views.support import update


def shown(manager: RuntimeManager, runtime: Runtime, **options: Any) -> Microscope:
    """A microscope that has drawn what waits."""
    view = Microscope(runtime.manager.source, runtime.id, Commands(manager.source, **options))
    view.pause = 0
    view.update(update(manager, first=True))
    return view


def paused(manager: RuntimeManager, *payloads: Any, **limits: Any) -> tuple[Runtime, list[int]]:
    """A paused runtime, and the ids of what waits in it."""
    runtime = manager.create("a", (), collect, **limits)
    runtime.pause()
    return runtime, [runtime.send_nowait(payload).id for payload in payloads]


def press(view: Microscope, action: str, of: str = "") -> None:
    """Press a button of the list."""
    view.lists["standard"].actions[action](of)


async def undo(view: Microscope) -> None:
    """Press the button that undoes the last act."""
    view.undoable.message.actions["undo"]("")
    await turns()


async def by_hand(view: Microscope, act: str, id: int) -> None:
    """Open an item, ask for an act on it, say yes."""
    if view.opened != id:
        press(view, "open", str(id))
    press(view, "ask", f"{act}:{id}")
    press(view, "yes")
    await turns()


def order(runtime: Runtime) -> str:
    """The payloads that wait, in their order."""
    return "".join(activity.payload for activity in runtime.mailbox_items())
