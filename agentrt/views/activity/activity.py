"""One activity: its fate, the rules that acted, its causes and effects, the states around it, its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from ...events import Event
from ...feed.source import Source
from ...schema.immutability import is_frozen
from ..app.address import Address
from ..feed import Schedule, Update, run_now
from ..html import (
    Content,
    Markup,
    b,
    bullets,
    chip,
    dd,
    div,
    dl,
    dt,
    fragment,
    h2,
    header,
    i,
    link,
    p,
    quiet,
    span,
    strong,
    symbol,
)
from ..layout import WIDE, beside, section
from ..live import Live
from ..role import Commands
from ..runtime import diff
from ..runtime.log import record_words
from ..runtime.state import CSS as TREE
from ..runtime.state import tree
from ..text import duration, quantity, safe_text
from ..theme import FATES, LANES, STATUSES
from . import sequence, traceback
from .activity_records import UNKNOWN, CausalTrace, Message
from .causal_trace import RelatedRecords, causal_trace
from .recorded_test import RecordedTest
from .rules import AppliedRule, applied_rules, fate_sentence

__all__ = ["ActivityView"]

CSS = """
.say { font-size: var(--t2); line-height: 1.4; margin: var(--s2) 0 var(--s3); }
.course { display: flex; height: 16px; border-radius: 5px; overflow: hidden; background: var(--rt-fill); }
.course b { display: block; min-width: 3px; background: var(--tone); } .course .waits { opacity: .3; }
.legend { display: flex; flex-wrap: wrap; gap: 2px var(--s4); margin: 6px 0 var(--s3); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 3px var(--s4); }
.facts dt { color: var(--rt-muted); } .facts dd { overflow-wrap: anywhere; min-width: 0; }
.family + p { margin-top: var(--s2); }
.family { columns: 2 340px; list-style: none; font-size: var(--t0); margin-top: var(--s2); }
.family li { break-inside: avoid; padding: 2px 0; overflow-wrap: anywhere; }
.span { display: grid; grid-template-columns: minmax(90px, 30%) 1fr 84px; gap: var(--s2); align-items: center;
  padding: 2px 0; }
.span i { position: relative; height: 10px; background: var(--rt-fill); border-radius: 3px; }
.span b { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 3px; background: var(--tone); }
"""


OWN = ("log", "metric", "effect", "background")  # events that a workflow records about itself
NOT_STORED = "and processing: when it was started is not stored"
WHY = {
    "failed": "it failed",
    "timed_out": "it timed out",
    "dropped": "it was dropped",
    "terminated": "its runtime was terminated",
    "dead": "it was never processed",
}


class ActivityView(pn.viewable.Viewer):
    """The page of one activity, `activity/123`. While it is pending its bar grows."""

    def __init__(
        self,
        source: Source,
        id: int,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        schedule: Schedule = run_now,
    ) -> None:
        super().__init__()
        self.source = source
        self.related = RelatedRecords(int(id))
        self.trace: CausalTrace | None = None
        on = {"go": go or (lambda address: None)}
        self.head = Live(css=CSS, on=on)
        self.who = Live(css=CSS + sequence.CSS, on=on)
        self.change = Live(css=diff.CSS + TREE)
        self.payload, self.reply = Live(css=TREE), Live(css=TREE)
        self.error = Live(css=traceback.CSS)
        self.test = RecordedTest(source, self.related.id, commands)
        self.inside = Live(css=CSS)
        self.boxes = {
            "error": section("Why it failed", self.error, self.test),
            "who": section("Who caused it, and what it caused", self.who, note="pale: waiting, solid: working"),
            "change": section("The state before and after", self.change, grow=3),
            "payload": section("Payload", self.payload, grow=2),
            "reply": section("Reply", self.reply, grow=2),
            "inside": section("Inside it", self.inside, note="its steps, and what it recorded"),
        }
        states = beside(self.boxes["change"], self.boxes["payload"], self.boxes["reply"])
        order = (self.boxes["error"], self.boxes["who"], states, self.boxes["inside"])
        self.panel = pn.Column(section("", self.head), *order, **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px"}})

    def __panel__(self) -> Any:
        return self.panel

    def update(self, update: Update) -> bool:
        """Draw what is new. True until it has ended."""
        concerned = self.related.take(update.records, update.missed) or self.trace is None
        if not concerned and not self._moves():
            return False
        self.trace = trace = causal_trace(self.source, self.related.id, self.related)
        self.head.draw(_header(trace))
        self.who.draw(sequence.sequence_svg(trace) + _relatives(trace))
        if concerned:
            self._draw_records(trace)
        return self._moves()

    def _moves(self) -> bool:
        """Whether it, or one of those it caused, has not ended."""
        trace = self.trace
        if trace is None or trace.message is None:
            return False
        return any(each.finished is None for each in (trace.message, *trace.ancestors, *trace.descendants))

    def _draw_records(self, trace: CausalTrace) -> None:
        """Draw what changes only with a record."""
        there = trace.message is not None
        outcome = trace.outcome
        failed = outcome is not None and outcome.error is not None
        visible = {
            "error": failed,
            "who": there,
            "change": there,
            "payload": there,
            "reply": outcome is not None and outcome.reply is not UNKNOWN,
            "inside": bool(trace.spans) or any(note.kind in OWN for note in trace.notes),
        }
        for name, on in visible.items():
            if self.boxes[name].visible is not on:
                self.boxes[name].visible = on
        if outcome is not None and outcome.error is not None:
            before = [note.detail["error"] for note in trace.notes if note.kind == "retry"]
            tone = STATUSES["error"].tone
            self.error.draw(div(traceback.traceback_html(outcome.error, before), style=f"--tone:{tone}"))
        self.change.draw(_change(trace))
        self.payload.draw(_payload(trace))
        self.reply.draw(tree(outcome.reply)[0] if outcome is not None and visible["reply"] else "")
        self.inside.draw(_inside(trace))


def _header(trace: CausalTrace) -> Markup:
    title = h2(f"Activity {trace.id}")
    sentence = p(safe_text(fate_sentence(trace), 400), cls="say", role="status")
    if trace.message is None:
        return fragment(header(title, cls="row"), sentence)
    look = sequence.look_of_message(trace.message)
    head = header(title, chip(look), quiet("of"), " ", _runtime_link(trace.message.runtime), cls="row")
    return fragment(head, sentence, _course(trace), _fact_list(trace))


def _runtime_link(id: str) -> Markup:
    return link(Address("runtime", id), safe_text(id, 60))


def _activity_link(id: int) -> Markup:
    return link(Address("activity", str(id)), f"activity {id}")


def _course(trace: CausalTrace) -> Markup:
    """Waiting and working as one bar, and in words."""
    message = trace.message
    assert message is not None
    wait, service, lane = trace.wait or 0.0, trace.service, LANES[message.lane]
    share = 100 if service is None else 100 * wait / (wait + service or 1.0)
    waits, works = b(cls="waits", style=f"width:{share:.2f}%"), b(style="flex:1") if service is not None else None
    words = NOT_STORED if trace.outcome is not None and trace.outcome.was_processed else "not processed"
    worked = words if service is None else (strong(duration(service)), " processing")
    return fragment(
        div(waits, works, cls="course", style=f"--tone:{lane.tone}", aria_hidden=True),
        div(
            span(strong(duration(wait)), " waiting"),
            span(worked),
            span(symbol(lane), f" {lane.word} lane"),
            cls="legend",
        ),
    )


def _fact_list(trace: CausalTrace) -> Markup:
    facts: list[tuple[str, Content]] = [(rule.name, _rule_words(rule, trace)) for rule in applied_rules(trace)]
    facts.append(("caused by", _cause(trace)))
    if trace.correlation is not None:
        facts.append(("correlation", _correlation(trace.correlation, trace)))
    if trace.activity is not None and trace.activity.key:
        facts.append(("key", safe_text(trace.activity.key, 120)))
    return dl([(dt(safe_text(name)), dd(words)) for name, words in facts], cls="facts")


def _correlation(first: int, trace: CausalTrace) -> Content:
    if first == trace.id:
        return f"{first}: it started its chain"
    return f"{first}: ", _activity_link(first), " started its chain"


def _rule_words(rule: AppliedRule, trace: CausalTrace) -> Content:
    who = (", by ", safe_text(rule.who, 60)) if rule.who else None
    created = trace.message.created if trace.message is not None else trace.at
    when = (" ", quiet(f"after {duration(rule.at - created)}")) if rule.at is not None else None
    return safe_text(rule.words, 400), who, when


def _cause(trace: CausalTrace) -> Content:
    if trace.lost_parent is not None:
        return f"activity {trace.lost_parent}, which is no longer recorded"
    if trace.ancestors:
        parent = trace.ancestors[-1]
        return _activity_link(parent.id), " of ", _runtime_link(parent.runtime)
    if trace.activity is None:
        return "not known: the record of its acceptance is gone"
    return "sent from outside: no activity caused it" if trace.activity.source is None else "not known"


def _relatives(trace: CausalTrace) -> Markup:
    """The messages of the diagram as a list, which a keyboard and a screen reader can use."""
    parts = [
        ("What led to it", trace.ancestors),
        (f"It caused {quantity(len(trace.descendants) + trace.left_out, 'activity')}", trace.descendants),
    ]
    lists = [(p(strong(head)), _list(each, trace)) for head, each in parts if each]
    more = p(f"{trace.left_out:,} more are not shown.", cls="muted") if trace.left_out else None
    return fragment(lists or p("It caused no other activity.", cls="muted"), more)


def _list(messages: tuple[Message, ...], trace: CausalTrace) -> Markup:
    return bullets([_relative(message, trace) for message in messages], cls="family")


def _relative(message: Message, trace: CausalTrace) -> Content:
    words = sequence.words_of_message(message, trace.at).removeprefix(f"activity {message.id} ")
    return symbol(sequence.look_of_message(message)), " ", _activity_link(message.id), " ", safe_text(words, 240)


def _payload(trace: CausalTrace) -> Markup:
    if trace.activity is None:
        return p("Its payload is no longer recorded.", cls="muted")
    return tree(trace.activity.payload)[0]


def _change(trace: CausalTrace) -> Markup:
    """What it changed, or why that can't be shown."""
    outcome = trace.outcome
    if outcome is None:
        return p("It has changed nothing yet: a state is committed when an activity is done.", cls="muted")
    if not outcome.ok:
        return _state(f"Unchanged: {WHY[outcome.kind]}.", outcome.state)
    if trace.before is UNKNOWN:
        return _state("The state before it is no longer recorded. After it:", trace.after)
    if trace.before is trace.after and not is_frozen(trace.after):
        words = "The same object before and after: what was changed in place is not known. It is now:"
        return _state(words, trace.after)
    return diff.diff_html(trace.before, trace.after)


def _state(words: str, state: Any) -> Markup:
    return fragment(p(words, cls="muted"), tree(state)[0])


def _inside(trace: CausalTrace) -> Markup:
    spans = [_span(span, trace) for span in sorted(trace.spans, key=lambda span: span.detail["started"])]
    notes = [_event_words(note) for note in trace.notes[-40:] if note.kind in OWN]
    return fragment(spans, bullets(notes, style="list-style:none") if notes else None)


def _event_words(note: Event) -> Content:
    detail = {key: value for key, value in note.detail.items() if key != "activity"}
    event = Event(note.sequence, note.runtime, note.at, note.kind, note.who, detail)
    return quiet(safe_text(note.kind.replace("_", " "), 24)), " ", record_words(event)


def _span(step: Event, trace: CausalTrace) -> Markup:
    """A step of the workflow, as a bar at its place in the whole of the processing."""
    message = trace.message
    begin = message.started if message is not None and message.started is not None else step.detail["started"]
    whole = max(1e-9, (trace.service or 0.0))
    left = min(100.0, max(0.0, 100 * (step.detail["started"] - begin) / whole))
    width = min(100.0 - left, 100 * (step.at - step.detail["started"]) / whole)
    look = STATUSES["error"] if step.detail.get("failed") else FATES["done"]
    indent = 14 * int(step.detail.get("depth", 0))
    return div(
        span(symbol(look), " ", safe_text(step.detail["name"], 60), style=f"padding-left:{indent}px"),
        i(b(style=f"left:{left:.2f}%;width:{width:.2f}%"), aria_hidden=True),
        span(duration(step.at - step.detail["started"]), cls="num"),
        cls="span",
        style=f"--tone:{look.tone}",
    )
