"""The condition of a runtime in sentences: what it waits for, why it does not move, and what would help."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence

from ...debugger import WAITS, How, Wait, Whereabouts
from ...events import Event, Outcome
from ...feed.source import Time
from ...frames import StackFrame, location_of, package_of
from ...snapshot import Snapshot, Status
from ..app.address import Address
from ..html import Content, Markup, code, details, div, em, fragment, join, link, pre, strong, summary, with_glyph
from ..text import duration, listing, plain, quantity, safe_block, safe_text
from ..theme import STATUSES, Look, look_of_fate
from .source import is_own, place_of, title_of

__all__ = [
    "activity_sentence",
    "idle_html",
    "loop_advice",
    "outcome_html",
    "past_sentence",
    "stuck_advice",
    "wait_reason",
]

MOST_OF_REASON = 200  # characters of why a workflow has paused its runtime
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
    asyncio.Queue.join: "for an asyncio.Queue to be empty and done",
    asyncio.Lock.acquire: "for an asyncio.Lock that another task holds",
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


def wait_reason(frames: Sequence[StackFrame]) -> str:
    """What these frames wait for, in words; empty where the table has no words for it."""
    return next((words for frame in frames if (words := WORDS.get((package_of(frame.file), frame.function)))), "")


def past_sentence(shot: Snapshot) -> Markup:
    """What it did at a moment that has passed, of which the line is not recorded."""
    assert shot.current is not None
    ran = duration(shot.at - shot.started) if shot.started is not None else "a while"
    steps = join(" / ", [safe_text(span, 60) for span in shot.spans])
    step = (", in the step ", em(steps)) if steps else None
    name = link(Address("activity", str(shot.current.id)), f"Activity {shot.current.id}")
    return fragment(name, " had run for ", strong(ran), step, ". At which line it was is not recorded.")


PASSES = "; it comes back there again and again"


def activity_sentence(shot: Snapshot, found: Whereabouts, here: float | None) -> Markup:
    """What it does now and for how long. `here`: seconds it has been seen at its line; None if it often passes it."""
    assert found.activity is not None
    ran = duration(found.at - shot.started) if shot.started is not None else "a while"
    steps = join(" / ", [safe_text(span, 60) for span in shot.spans])
    step = (" (step ", em(steps), ")") if steps else None
    stays = f"; seen there for {duration(here)}" if here else None
    since = None if not found.frames else PASSES if here is None else stays
    return fragment(f"Activity {found.activity.id} runs for ", strong(ran), step, ", ", _place_words(found), since, ".")


def _place_words(found: Whereabouts) -> Content:
    if found.how is How.PROCESS:
        return "in another process, whose frames can't be read"
    if not found.frames:
        return "and is at no line at this moment: it starts, or waits before another attempt or for the disk"
    own = [frame for frame in found.frames if is_own(frame)] or list(found.frames)
    line = strong(place_of(own[-1])), " of ", title_of(own[-1])
    if found.how is How.THREAD:
        return "in a worker thread of its own, at ", line
    if found.how is How.RUNNING:
        return "running on the loop's thread, at ", line
    if found.waits_for:
        return "waiting at ", line, f" for {listing([plain(id, 60) for id in found.waits_for])}"
    reason = wait_reason(found.frames)
    return "waiting at ", line, f" {reason}" if reason else None


def loop_advice(shot: Snapshot, blocked: Event | None, blocker: str | None) -> Content:
    """That a runtime blocks the loop now (`blocker`), or that this one did: what it means and what would help."""
    if blocker == shot.id:
        return _advice(STATUSES["error"], _blocking_words(blocked))
    if blocker is not None:
        name = link(Address("runtime", blocker), safe_text(blocker, 60))
        words = " blocks the loop: until it returns, no other runtime of this manager moves."
        return _advice(STATUSES["error"], (name, words))
    return _past_block(blocked) if blocked is not None and blocked.runtime == shot.id else None


def stuck_advice(shot: Snapshot, found: Whereabouts, since: float | None) -> Content:
    """What it means that it is stuck, since when, and what would help; nothing if it is not."""
    if shot.status is not Status.STUCK:
        return None
    how_long = None if since is None else (" for ", strong(duration(shot.at - since)))
    meaning = (
        ". Its deadline passed, it was cancelled, and it still runs. The activity has failed as timed out, the state "
        "is unchanged, and any later result is discarded. No other activity runs beside it: "
    )
    advice = THREAD_ADVICE if found.how is How.THREAD else SWALLOW_ADVICE
    end = " Terminate gives the runtime up; what waits then goes to the dead letters."
    return _advice(STATUSES["stuck"], ("Stuck", how_long, meaning, _waiting_words(shot), ". ", advice, end))


THREAD_ADVICE = "A thread can't be interrupted: it has to end by itself."
SWALLOW_ADVICE = fragment(
    *("Look at the marked line for an ", code("except"), " that swallows ", code("CancelledError")),
    ", or for work that never awaits.",
)


def _waiting_words(shot: Snapshot) -> str:
    return f"{quantity(sum(shot.depth), 'activity')} waiting" if any(shot.depth) else "nothing else waits"


def _blocking_words(blocked: Event | None) -> Content:
    seconds = "" if blocked is None else f" (noticed after {duration(blocked.detail['seconds'])})"
    return (
        f"It blocks the loop{seconds}: while this line runs, no other runtime of this manager moves. Await what takes "
        "long, or write a plain ",
        *(code("def"), " and create it with ", code("blocking=True"), "."),
    )


def _past_block(blocked: Event) -> Markup:
    detail = blocked.detail
    stack = "\n".join(f"{frame.file}:{frame.line} {frame.function}\n    {frame.source}" for frame in detail["stack"])
    words = f"Its activity {detail['activity']} blocked the loop for {duration(detail['seconds'])} or more. Where?"
    tone = f"--tone:{STATUSES['error'].tone}"
    return details(summary(words), " ", pre(safe_block(stack)), cls="note", style=tone)


def _advice(look: Look, words: Content) -> Markup:
    return div(with_glyph(look, ""), words, cls="note", style=f"--tone:{look.tone}")


def idle_html(shot: Snapshot, last: Outcome | None, stopped: Event | None, clock: Time) -> Markup:
    """Why nothing runs, what ended last, and what would make it continue."""
    words = _idle_words(shot, stopped)
    if last is not None:
        return fragment(words, " Its last was ", outcome_html(last, clock))
    return fragment(words, TRY_IT if words == NOTHING_RUNS else None)


def _idle_words(shot: Snapshot, stopped: Event | None) -> str:
    waiting = quantity(sum(shot.depth), "activity")
    if shot.status is Status.TERMINATED:
        return "It is terminated: nothing of it runs any more."
    if shot.status is Status.FAILED:
        return f"Nothing runs: its supervisor stopped it; {waiting} waiting. Recover resumes it."
    if shot.status is Status.PAUSED:
        return f"{_words_of_pause(stopped)}, {_waiting_words(shot)}. Step processes one; Resume processes all."
    return f"Nothing runs at this moment, {waiting} waiting." if any(shot.depth) else NOTHING_RUNS


def _words_of_pause(stopped: Event | None) -> str:
    if stopped is None:
        return "Paused"
    if stopped.kind == "breakpoint":
        return f"Stopped by the breakpoint {plain(stopped.detail['at'], 60)}"
    why = plain(stopped.detail["why"], MOST_OF_REASON)
    return f"Paused by its workflow ({why})" if why else "Paused by its workflow"


NOTHING_RUNS = "Nothing runs."
TRY_IT = fragment(
    " Send it something (", code("runtime.send_nowait(1)"), ", or Inject): the line it is at is then shown here."
)


def outcome_html(last: Outcome, clock: Time) -> Markup:
    """An activity that has ended, with a link to it: how, when, and how long it took."""
    # At what time, and not how long ago: this is not drawn again while nothing happens.
    took = f", took {duration(last.service)}" if last.service is not None else ""
    name = link(Address("activity", str(last.id)), f"activity {last.id}")
    return fragment(name, ": ", with_glyph(look_of_fate(last.kind)), f" at {clock.wall(last.at):%H:%M:%S}{took}.")
