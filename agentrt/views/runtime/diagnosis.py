"""How it stands with a runtime, in sentences: what it waits for, why it does not move, and what would help."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from ...debugger import WAITS, How, Wait, Whereabouts
from ...events import Event, Outcome
from ...frames import StackFrame, location_of, package_of
from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..mailbox.items import link
from ..text import count, duration, listing, safe_block, safe_text
from ..theme import STATUSES, Look, look_of, toned
from .source import is_own, place_of, title_of

__all__ = ["awaited", "ended_html", "idle_html", "loop_advice", "sentence", "stuck_advice"]

CORE_WORDS = {
    Wait.CLOCK: "for time to pass, on the manager's clock",
    Wait.REPLY: "for an answer",
    Wait.ROOM: "for room in another runtime's mailbox",
    Wait.OUTCOME: "for an activity to be done",
}
PYTHON_WORDS: dict[Callable[..., object], str] = {
    asyncio.sleep: "for time to pass",
    asyncio.Event.wait: "for an asyncio.Event to be set",
    asyncio.Queue.get: "for something to come into an asyncio.Queue",
    asyncio.Queue.put: "for room in an asyncio.Queue",
    asyncio.Queue.join: "for an asyncio.Queue to be worked off",
    asyncio.Lock.acquire: "for an asyncio.Lock that somebody holds",
    asyncio.Semaphore.acquire: "for an asyncio.Semaphore",
    asyncio.Condition.wait: "for an asyncio.Condition to be notified",
    asyncio.Barrier.wait: "for others at an asyncio.Barrier",
    asyncio.StreamReader.readuntil: "for bytes from a stream",
    asyncio.StreamReader.read: "for bytes from a stream",
    asyncio.to_thread: "for a thread",
    asyncio.wait_for: "for something with a timeout",
    threading.Event.wait: "for a threading.Event to be set",
    threading.Condition.wait: "for a threading.Condition to be notified",
    threading.Thread.join: "for a thread to end",
    queue.Queue.get: "for something to come into a queue.Queue",
    queue.Queue.put: "for room in a queue.Queue",
}
# What a wait is for, by the package and the function that waits.
WORDS = {location: CORE_WORDS[wait] for location, wait in WAITS.items()}
WORDS |= {location_of(function): words for function, words in PYTHON_WORDS.items()}


def awaited(frames: Sequence[StackFrame]) -> str:
    """What these frames wait for, in words; empty where that can't be told."""
    return next((words for frame in frames if (words := WORDS.get((package_of(frame.file), frame.function)))), "")


def sentence(shot: Snapshot, found: Whereabouts, here: float) -> str:
    """What it does now and for how long, safe for HTML. `here`: seconds it has been seen at its line."""
    assert found.activity is not None
    ran = duration(found.at - shot.started) if shot.started is not None else "a while"
    spans = " / ".join(safe_text(span, 60) for span in shot.spans)
    step = f" (step <em>{spans}</em>)" if spans else ""
    head = f"Activity {found.activity.id} runs for <strong>{ran}</strong>{step}"
    return f"{head}, {_doing(found)}{_since(found, here)}."


def _doing(found: Whereabouts) -> str:
    if found.how is How.PROCESS:
        return "in another process, which can't be looked into"
    if not found.frames:
        return "and is at no line at this moment: it is being started, or waits before another attempt"
    own = [frame for frame in found.frames if is_own(frame)] or list(found.frames)
    line = f"<strong>{place_of(own[-1])}</strong> of {title_of(own[-1])}"
    if found.how is How.THREAD:
        return f"in a worker thread of its own, at {line}"
    if found.how is How.RUNNING:
        return f"at work on the loop's thread, at {line}"
    if found.waits_for:
        return f"waiting at {line} for {listing([safe_text(id, 60) for id in found.waits_for])}"
    return f"waiting at {line} {escape(awaited(found.frames))}".rstrip()


def _since(found: Whereabouts, here: float) -> str:
    return f"; seen there for {duration(here)}" if found.frames and here > 0 else ""


def loop_advice(shot: Snapshot, blocked: Event | None, keeper: str | None) -> str:
    """That a runtime keeps the loop now (`keeper`), or that this one did: what it means and what would help. HTML."""
    if keeper == shot.id:
        return _note(STATUSES["error"], _keeps(blocked))
    if keeper is not None:
        name = link(Address("runtime", keeper), safe_text(keeper, 60))
        words = f"{name} keeps the loop: until it lets go, no other runtime of this manager moves."
        return _note(STATUSES["error"], words)
    return _blocked_before(blocked) if blocked is not None and blocked.runtime == shot.id else ""


def stuck_advice(shot: Snapshot, found: Whereabouts, since: float | None) -> str:
    """What it means that it is stuck, since when, and what would help. HTML; empty if it is not."""
    if shot.status is not Status.STUCK:
        return ""
    how_long = "" if since is None else f" for <strong>{duration(shot.at - since)}</strong>"
    stubborn = (
        "A thread can't be interrupted: it has to come to an end by itself."
        if found.how is How.THREAD
        else "Look at the marked line for an <code>except</code> that swallows <code>CancelledError</code>, "
        "or for work that never awaits."
    )
    return _note(
        STATUSES["stuck"],
        f"Stuck{how_long}. Its time was over, it was told to stop, and it goes on. The activity has failed as timed "
        "out, the state is what it was, and what still comes of it is thrown away. Nothing is started beside it: "
        f"{_waiting(shot)}. {stubborn} "
        "Terminate gives the runtime up; what waits then goes to the dead letters.",
    )


def _waiting(shot: Snapshot) -> str:
    return f"{count(sum(shot.depth), 'activity')} waiting" if any(shot.depth) else "nothing else waits"


def _keeps(blocked: Event | None) -> str:
    seconds = "" if blocked is None else f" (told after {duration(blocked.detail['seconds'])})"
    return (
        f"It keeps the loop{seconds}: while this line runs, no other runtime of this manager moves. Await what takes "
        "long, or write a plain <code>def</code> and create it with <code>blocking=True</code>."
    )


def _blocked_before(blocked: Event) -> str:
    detail = blocked.detail
    stack = "\n".join(f"{frame.file}:{frame.line} {frame.function}\n    {frame.source}" for frame in detail["stack"])
    words = f"Its activity {detail['activity']} kept the loop for {duration(detail['seconds'])} or more."
    return f"""<details class="note" style="--tone:{STATUSES["error"].tone}"><summary>{words} Where?</summary>
      <pre>{safe_block(stack)}</pre></details>"""


def _note(look: Look, words: str) -> str:
    return f'<div class="note" style="--tone:{look.tone}">{toned(look, "")}{words}</div>'


def idle_html(shot: Snapshot, last: Outcome | None, stopped: Event | None, clock: Any) -> str:
    """Why nothing runs, what it did last, and what would make it go on."""
    waiting = sum(shot.depth)
    before = "" if last is None else f" Its last was {ended_html(last, clock)}"
    if shot.status is Status.TERMINATED:
        return f"It is over, and is nowhere any more.{before}"
    if shot.status is Status.FAILED:
        return f"Nothing runs: its supervisor stopped it, {count(waiting, 'activity')} kept. Recover goes on.{before}"
    if shot.status is Status.PAUSED:
        why = "Paused" if stopped is None else f"Stopped by the breakpoint {safe_text(stopped.detail['at'], 60)}"
        return f"{why}, {_waiting(shot)}. Step lets one through, Resume all.{before}"
    if waiting:
        return f"Nothing runs at this moment, {count(waiting, 'activity')} waiting.{before}"
    return f"Nothing runs.{before or _teach()}"


def ended_html(last: Outcome, clock: Any) -> str:
    """An activity that has ended, with a link to it: how, when, and how long it took."""
    # At what time, not how long ago: nothing draws this again while nothing happens.
    how = toned(look_of(last.kind), safe_text(look_of(last.kind).word))
    took = f", took {duration(last.service)}" if last.service is not None else ""
    name = link(Address("activity", str(last.id)), f"activity {last.id}")
    return f"{name}: {how} at {clock.wall(last.at):%H:%M:%S}{took}."


def _teach() -> str:
    return " Send it something (<code>runtime.send_nowait(1)</code>, or Inject): here is the line it is at, as it runs."
