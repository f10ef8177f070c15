"""What every injection form does, whatever draws it: values are checked and sent, and the results are put in words."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from ...errors import ActivityValidationError
from ...schema.convert import FormError, parse_json
from ...schema.form import Form
from ...schema.samples import example
from ..html import Content, Markup, b, chip, div, fragment, p, quiet
from ..role import Commands
from ..text import duration, plain, safe_text
from ..theme import FATES, LANES, Look, look_of
from .burst import MOST, Burst

__all__ = ["JSON", "OPTIONS", "Injection", "Options"]

JSON = "json"  # the name of the raw editor among the fields that can be wrong
SHOWN = 3  # sends that are shown

Typed = Mapping[str, Any] | str


class Options(msgspec.Struct):
    """How to send: asked for with the same fields as a payload."""

    delay: Annotated[float, msgspec.Meta(ge=0, title="delay (s)", description="on the agents' clock")] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST, title="burst of", description="activities")] = 100
    rate: Annotated[float, msgspec.Meta(gt=0, le=5000, title="at a rate of (1/s)", description="in real time")] = 20


OPTIONS = Form.of(Options)


class SentActivity(NamedTuple):
    """One send: its receipt, and how many waited before it when it was accepted. `delay` in seconds."""

    receipt: Any
    lane: str
    ahead: int
    delay: float


class Injection:
    """Sends to one runtime what a form holds. `problems` and `option_problems` map a field to what is wrong with it.

    `typed` is what the controls of the payload hold, by field, or the text of the raw editor. Commands may be called on
    any thread and run at once. `changed()` is called when a burst ends, on any thread. `label(look, text)` makes the
    HTML of a lane or a fate for `words()`.
    """

    def __init__(
        self,
        runtime: Any,
        commands: Commands | None = None,
        changed: Callable[[], Any] = lambda: None,
        label: Callable[..., Markup] = chip,
    ) -> None:
        page = commands or Commands(runtime.manager)
        self.runtime = runtime
        self.commands = Commands(page.manager, role=page.role, who=page.who, tell=self._refuse)
        self.changed = changed
        self.label = label
        self.problems: dict[str, str] = {}
        self.option_problems: dict[str, str] = {}
        self.refusal = ""
        self.sent: deque[SentActivity] = deque(maxlen=SHOWN)
        self.burst: Burst | None = None
        self.adapt()

    def adapt(self) -> bool:
        """Take the form of what the runtime accepts now. Returns whether it differs from the one before."""
        accepts = self.runtime.accepts
        if hasattr(self, "form") and accepts is self.accepts:
            return False
        self.accepts: Any = accepts
        self.form: Form = Form.of(accepts)
        return True

    @property
    def example(self) -> str:
        """What the raw editor starts with."""
        return example(self.accepts)

    def payload(self, typed: Typed) -> Any:
        """The payload that was typed, once the runtime has checked it. Raises `ActivityValidationError`."""
        payload = parse_json(typed, self.accepts) if isinstance(typed, str) else self.form.build(typed)
        self.runtime.validate(payload)
        return payload

    def send(self, typed: Typed, options: Mapping[str, Any], *, lane: str) -> bool:
        """Send once. Returns whether it was accepted."""
        return self._do(lambda: self._send(*self._check(typed, options), lane))

    def start(self, typed: Typed, options: Mapping[str, Any], *, lane: str) -> bool:
        """Start a burst, unless one is running. Returns whether it started."""
        return not self.bursting and self._do(lambda: self._start(typed, self._check(typed, options)[1], lane))

    def stop(self) -> None:
        """End the burst."""
        if self.burst is not None:
            self.commands.do("stop a burst", self.burst.stop)

    @property
    def bursting(self) -> bool:
        """Whether a burst is sending."""
        return self.burst is not None and self.burst.running

    @property
    def moving(self) -> bool:
        """Whether there is something whose end is not shown yet."""
        pending = any(sent.receipt.outcome is None for sent in self.sent)
        return pending or (self.burst is not None and not self.burst.settled)

    def _do(self, act: Callable[[], Any]) -> bool:
        return self.commands.do(f"send to {self.runtime.id}", act)

    def _refuse(self, text: str, wrong: bool) -> None:
        self.refusal = text

    def _check(self, typed: Typed, options: Mapping[str, Any]) -> tuple[Any, Options]:
        """The payload and the options. Raises `ActivityValidationError` once every problem is noted at its field."""
        self.problems, self.option_problems, rest = {}, {}, ""
        try:
            chosen = OPTIONS.build(options)
        except FormError as error:
            self.option_problems = error.problems
        try:
            payload = self.payload(typed)
        except ActivityValidationError as error:
            self.problems, rest = by_field(error.problems, self.form, isinstance(typed, str))
        if rest or self.problems or self.option_problems:
            raise ActivityValidationError(rest or "something is not right yet, see the marked fields")
        return payload, chosen

    def _send(self, payload: Any, options: Options, lane: str) -> None:
        urgent = lane == "priority"
        ahead = self.runtime.depth[0] if urgent else sum(self.runtime.depth)
        receipt = self.runtime.send_nowait(payload, priority=urgent, delay=options.delay or None)
        self.sent.append(SentActivity(receipt, lane, ahead, options.delay))

    def _start(self, typed: Typed, options: Options, lane: str) -> None:
        def send() -> Any:
            # A payload for each: a workflow may change the one that it gets.
            return self.runtime.send(self.payload(typed), priority=lane == "priority", delay=options.delay or None)

        self.burst = Burst(send, options.count, options.rate, self.changed).start(self.runtime.manager)

    # -- in words

    def words(self) -> Markup:
        """What happened, newest first, as HTML: what was refused, the burst, and the last sends with their fates."""
        sends = map(self._send_words, reversed(self.sent))
        return div(self._refusal_words(), self._burst_words(), sends, role="status", aria_live="polite", cls="sends")

    def _refusal_words(self) -> Content:
        if not self.refusal:
            return None
        return _line("refused", self.label(FATES["failed"], "not sent"), " ", safe_text(self.refusal, 400))

    def _burst_words(self) -> Content:
        burst = self.burst
        if burst is None:
            return None
        pending = burst.count()
        how = "sending" if burst.running else "stopped" if burst.stopped else "ended" if burst.error else "sent"
        fates = [f"{number:,} {_fate_look(kind).word}" for kind, number in burst.fates.items()]
        counts = ", ".join([*fates, *([f"{pending:,} pending"] if pending else [])])
        error = f" {plain(burst.error, 400)}" if burst.error else ""
        return _line("burst", b(f"burst {how}"), f": {burst.sent:,} of {burst.total:,}. {counts}{error}")

    def _send_words(self, sent: SentActivity) -> Markup:
        id = sent.receipt.id
        return _line(f"sent{id}", self.label(LANES[sent.lane]), " ", b(f"#{id}"), " ", self._fate_words(sent))

    def _fate_words(self, sent: SentActivity) -> Markup:
        outcome = sent.receipt.outcome
        if outcome is None:
            why = f"held back for {duration(sent.delay)}" if sent.delay else f"position {sent.ahead + 1:,} in line"
            return fragment("accepted ", quiet(f"({why})"))
        took = f"waited {duration(outcome.wait)}"
        if outcome.service is not None:
            took += f", took {duration(outcome.service)}"
        return fragment(self.label(_fate_look(outcome.kind)), " ", _result(outcome), " ", quiet(f"({took})"))


def _line(key: str, *content: Content) -> Markup:
    return p(*content, data_key=key)


def _fate_look(kind: str) -> Look:
    return FATES.get(kind) or look_of(kind)


def by_field(problems: Mapping[str, str], form: Form, raw: bool) -> tuple[dict[str, str], str]:
    """The problems of a payload by the control they belong to, and in one line those that belong to none."""
    names = {field.name for field in form.fields}
    placed: dict[str, str] = {}
    rest: list[str] = []
    for path, text in problems.items():
        first = re.match(r"\w*", path)
        name = first[0] if first else ""
        if raw:
            placed[JSON] = f"{path}: {text}" if path else text
        elif name in names:
            placed[name] = text if path == name else f"{text} at {path}"
        elif not form.record:
            placed[form.fields[0].name] = f"{text} at {path}" if path else text
        else:
            rest.append(f"{path}: {text}" if path else text)
    return placed, "; ".join(rest)


def _result(outcome: Any) -> str:
    if outcome.error is not None:
        return safe_text(str(outcome.error), 300)
    word = "state" if outcome.reply is msgspec.UNSET else "reply"
    return f"{word} {safe_text(outcome.value, 120)}"
