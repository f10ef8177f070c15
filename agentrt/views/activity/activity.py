"""One activity: its fate and which rule acted, who caused it and what it caused, the states around it, its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from ...events import Event
from ...schema.immutability import is_frozen
from ..app.address import Address
from ..feed import Update
from ..layout import WIDE, beside, section
from ..live import Live
from ..role import Commands
from ..runtime import diff
from ..runtime.log import words_of
from ..runtime.state import CSS as TREE
from ..runtime.state import tree
from ..runtime.steer import Soon, at_once
from ..text import count, duration, safe_text
from ..theme import FATES, LANES, STATUSES, chip
from . import sequence, traceback
from .activity_records import UNKNOWN, Message, Story
from .causal_trace import Family, story
from .rules import rules, verdict

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


OWN = ("log", "metric", "effect", "background")  # what a workflow puts on the record about itself
WHY = {
    "failed": "it failed",
    "timed_out": "it timed out",
    "dropped": "it was dropped",
    "terminated": "its runtime was terminated",
    "dead": "it never ran",
}


class ActivityView(pn.viewable.Viewer):
    """The page of one activity, `activity/123`. While it is pending its bar grows; after that it stands still."""

    def __init__(
        self,
        manager: Any,
        id: int,
        commands: Commands | None = None,
        *,
        go: Callable[[str], Any] | None = None,
        soon: Soon = at_once,
    ) -> None:
        super().__init__()
        self.manager = manager
        self.family = Family(int(id))
        self.told: Story | None = None
        on = {"go": go or (lambda address: None)}
        self.head = Live(css=CSS, on=on)
        self.who = Live(css=CSS + sequence.CSS, on=on)
        self.change = Live(css=diff.CSS + TREE)
        self.payload, self.reply = Live(css=TREE), Live(css=TREE)
        self.error = Live(css=traceback.CSS)
        self.inside = Live(css=CSS)
        self.boxes = {
            "error": section("Why it failed", self.error),
            "who": section("Who caused it, and what it caused", self.who, note="pale: waiting, solid: working"),
            "change": section("The state before and after", self.change, grow=3),
            "payload": section("Payload", self.payload, grow=2),
            "reply": section("Reply", self.reply, grow=2),
            "inside": section("Inside it", self.inside, note="its steps, and what it put on the record"),
        }
        states = beside(self.boxes["change"], self.boxes["payload"], self.boxes["reply"])
        order = (self.boxes["error"], self.boxes["who"], states, self.boxes["inside"])
        self.panel = pn.Column(section("", self.head), *order, **{**WIDE, "styles": {**WIDE["styles"], "gap": "12px"}})

    def __panel__(self) -> Any:
        return self.panel

    def update(self, update: Update) -> bool:
        """Draw what is new. True until it has its fate."""
        concerned = self.family.take(update.records) or self.told is None
        if not concerned and not self._moves():
            return False
        self.told = told = story(self.manager, self.family.id, self.family)
        self.head.draw(_head(told))
        self.who.draw(sequence.sequence_svg(told) + _relatives(told))
        if concerned:
            self._draw_once(told)
        return self._moves()

    def _moves(self) -> bool:
        """Whether it, or one of those it caused, is still under way."""
        told = self.told
        if told is None or told.message is None:
            return False
        return any(each.finished is None for each in (told.message, *told.ancestors, *told.descendants))

    def _draw_once(self, told: Story) -> None:
        """What does not change while time passes."""
        known = told.message is not None
        outcome = told.outcome
        failed = outcome is not None and outcome.error is not None
        shown = {
            "error": failed,
            "who": known,
            "change": known,
            "payload": known,
            "reply": outcome is not None and outcome.reply is not UNKNOWN,
            "inside": bool(told.spans) or any(note.kind in OWN for note in told.notes),
        }
        for name, visible in shown.items():
            if self.boxes[name].visible is not visible:
                self.boxes[name].visible = visible
        if outcome is not None and outcome.error is not None:
            before = [note.detail["error"] for note in told.notes if note.kind == "retry"]
            tone = STATUSES["error"].tone
            self.error.draw(f'<div style="--tone:{tone}">{traceback.trace_html(outcome.error, before)}</div>')
        self.change.draw(_change(told))
        self.payload.draw(_payload(told))
        self.reply.draw(tree(outcome.reply)[0] if outcome is not None and shown["reply"] else "")
        self.inside.draw(_inside(told))


def _head(told: Story) -> str:
    title = f"<h2>Activity {told.id}</h2>"
    said = f'<p class="say" role="status">{safe_text(verdict(told), 400)}</p>'
    if told.message is None:
        return f'<header class="row">{title}</header>{said}'
    look = sequence.look_of_message(told.message)
    to = _link("runtime", told.message.runtime)
    head = f'<header class="row">{title}{chip(look)}<span class="muted">of</span> {to}</header>'
    return f"{head}{said}{_course(told)}{_facts(told)}"


def _link(page: str, of: str, text: str = "") -> str:
    address = Address(page, of)
    return f'<button class="link" data-do="go" data-with="{address}">{text or safe_text(of, 60)}</button>'


def _course(told: Story) -> str:
    """Waiting and working as one bar, and as words."""
    message = told.message
    assert message is not None
    wait, service, lane = told.wait or 0.0, told.service, LANES[message.lane]
    share = 100 if service is None else 100 * wait / (wait + service or 1.0)
    bars = f'<b class="waits" style="width:{share:.2f}%"></b>'
    bars += '<b style="flex:1"></b>' if service is not None else ""
    worked = "not processed" if service is None else f"<strong>{duration(service)}</strong> processing"
    return f"""<div class="course" style="--tone:{lane.tone}" aria-hidden="true">{bars}</div>
      <div class="legend"><span><strong>{duration(wait)}</strong> waiting</span><span>{worked}</span>
      <span>{lane.glyph} {lane.word} lane</span></div>"""


def _facts(told: Story) -> str:
    facts = [(rule.name, _rule_words(rule, told)) for rule in rules(told)]
    facts.append(("caused by", _cause(told)))
    if told.correlation is not None:
        facts.append(("correlation", _chain(told.correlation, told)))
    if told.activity is not None and told.activity.key:
        facts.append(("key", safe_text(told.activity.key, 120)))
    rows = "".join(f"<dt>{safe_text(name)}</dt><dd>{words}</dd>" for name, words in facts)
    return f'<dl class="facts">{rows}</dl>'


def _chain(first: int, told: Story) -> str:
    if first == told.id:
        return f"{first}: it began its chain"
    return f"{first}: {_link('activity', str(first), f'activity {first}')} began its chain"


def _rule_words(rule: Any, told: Story) -> str:
    who = f", by {safe_text(rule.who, 60)}" if rule.who else ""
    created = told.message.created if told.message is not None else told.at
    when = f' <span class="muted">after {duration(rule.at - created)}</span>' if rule.at is not None else ""
    return f"{safe_text(rule.words, 400)}{who}{when}"


def _cause(told: Story) -> str:
    if told.lost_parent is not None:
        return f"activity {told.lost_parent}, which is no longer on the record"
    if told.ancestors:
        parent = told.ancestors[-1]
        activity = _link("activity", str(parent.id), f"activity {parent.id}")
        return f"{activity} of {_link('runtime', parent.runtime)}"
    if told.activity is None:
        return "not known: the record of its acceptance is gone"
    return "sent from outside: no activity caused it" if told.activity.source is None else "not known"


def _relatives(told: Story) -> str:
    """The same as the diagram, as a list that a keyboard gets through."""
    parts = [
        ("What led to it", told.ancestors),
        (f"It caused {count(len(told.descendants) + told.left_out, 'activity')}", told.descendants),
    ]
    lists = "".join(f"<p><strong>{head}</strong></p>{_list(each, told)}" for head, each in parts if each)
    more = f'<p class="muted">{told.left_out:,} more are not shown.</p>' if told.left_out else ""
    return (lists or '<p class="muted">It caused no other activity.</p>') + more


def _list(messages: tuple[Message, ...], told: Story) -> str:
    rows = [f"<li>{_relative(message, told)}</li>" for message in messages]
    return f'<ul class="family">{"".join(rows)}</ul>'


def _relative(message: Message, told: Story) -> str:
    words = sequence.words_of_message(message, told.at).removeprefix(f"activity {message.id} ")
    look = sequence.look_of_message(message)
    link = _link("activity", str(message.id), f"activity {message.id}")
    return f'<span aria-hidden="true">{look.glyph}</span> {link} {safe_text(words, 240)}'


def _payload(told: Story) -> str:
    if told.activity is None:
        return '<p class="muted">Its payload is no longer on the record.</p>'
    return tree(told.activity.payload)[0]


def _change(told: Story) -> str:
    """What it changed, or why that can't be said."""
    outcome = told.outcome
    if outcome is None:
        return '<p class="muted">It has changed nothing yet: a state is committed when an activity is done.</p>'
    if not outcome.ok:
        return _only(f"Unchanged: {WHY[outcome.kind]}.", outcome.state)
    if told.before is UNKNOWN:
        return _only("The state before it is no longer on the record. After it:", told.after)
    if told.before is told.after and not is_frozen(told.after):
        return _only("The same object before and after: what was changed in place is not known. It is now:", told.after)
    return diff.diff_html(told.before, told.after)


def _only(words: str, state: Any) -> str:
    return f'<p class="muted">{words}</p>{tree(state)[0]}'


def _inside(told: Story) -> str:
    spans = "".join(_span(span, told) for span in sorted(told.spans, key=lambda span: span.detail["started"]))
    rows = "".join(f"<li>{_note(note)}</li>" for note in told.notes[-40:] if note.kind in OWN)
    return spans + (f'<ul style="list-style:none">{rows}</ul>' if rows else "")


def _note(note: Event) -> str:
    detail = {key: value for key, value in note.detail.items() if key != "activity"}
    shown = Event(note.sequence, note.runtime, note.at, note.kind, note.who, detail)
    return f'<span class="muted">{safe_text(note.kind.replace("_", " "), 24)}</span> {words_of(shown)}'


def _span(span: Event, told: Story) -> str:
    """A step of the workflow, where it was in the whole of its processing."""
    message = told.message
    begin = message.started if message is not None and message.started is not None else span.detail["started"]
    whole = max(1e-9, (told.service or 0.0))
    left = min(100.0, max(0.0, 100 * (span.detail["started"] - begin) / whole))
    width = min(100.0 - left, 100 * (span.at - span.detail["started"]) / whole)
    look = STATUSES["error"] if span.detail.get("failed") else FATES["done"]
    indent = 14 * int(span.detail.get("depth", 0))
    name = f'<span style="padding-left:{indent}px">{look.glyph} {safe_text(span.detail["name"], 60)}</span>'
    bar = f'<i aria-hidden="true"><b style="left:{left:.2f}%;width:{width:.2f}%"></b></i>'
    took = f'<span class="num">{duration(span.at - span.detail["started"])}</span>'
    return f'<div class="span" style="--tone:{look.tone}">{name}{bar}{took}</div>'
