"""What every injection form does, whatever draws it: values are checked and sent, and the results are put in words."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from ...errors import ActivityValidationError
from ...events import Outcome
from ...feed.source import MOST_IN_BURST, BurstProgress, PayloadForm, Source, Typed
from ...schema.convert import FormError
from ...schema.form import Form
from ..html import Content, Markup, b, chip, div, fragment, p, quiet
from ..role import Commands
from ..text import duration, plain, safe_text
from ..theme import FATES, LANES, Look, look_of_fate

__all__ = ["JSON", "OPTIONS", "Injection", "Options"]

JSON = "json"  # the name of the raw editor among the fields that can be wrong
SHOWN = 3  # sends that are shown
NO_FORM = PayloadForm((), False, "")


class Options(msgspec.Struct):
    """How to send: asked for with the same fields as a payload."""

    delay: Annotated[float, msgspec.Meta(ge=0, title="delay (s)", description="on the agents' clock")] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST_IN_BURST, title="burst of", description="activities")] = 100
    rate: Annotated[float, msgspec.Meta(gt=0, le=5000, title="at a rate of (1/s)", description="in real time")] = 20


OPTIONS = Form.of(Options)


class SentActivity(NamedTuple):
    """One send: its number, and how many waited before it when it was accepted. `delay` in seconds."""

    id: int
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
        source: Source,
        id: str,
        commands: Commands | None = None,
        changed: Callable[[], Any] = lambda: None,
        label: Callable[..., Markup] = chip,
    ) -> None:
        self.source = source
        self.id = id
        self.commands = (commands or Commands(source)).report_to(self._refuse)
        self.changed = changed
        self.label = label
        self.problems: dict[str, str] = {}
        self.option_problems: dict[str, str] = {}
        self.refusal = ""
        self.sent: deque[SentActivity] = deque(maxlen=SHOWN)
        self.burst: int | None = None
        self.form = source.form(id) or NO_FORM

    def adapt(self) -> bool:
        """Take the form of what the runtime accepts now. Returns whether it differs from the one before."""
        form = self.source.form(self.id)
        if form is None or form is self.form:
            return False
        self.form = form
        return True

    def send(self, typed: Typed, options: Mapping[str, Any], *, lane: str) -> bool:
        """Send once. Returns whether it was accepted."""
        return self._do(lambda: self._send(typed, self._check(typed, options), lane))

    def start(self, typed: Typed, options: Mapping[str, Any], *, lane: str) -> bool:
        """Start a burst, unless one is running. Returns whether it started."""
        return not self.bursting and self._do(lambda: self._start(typed, self._check(typed, options), lane))

    def stop(self) -> None:
        """End the burst."""
        if self.burst is not None:
            number = self.burst
            self.commands.do("stop a burst", lambda: self.commands.command("stop_burst", number=number))

    @property
    def progress(self) -> BurstProgress | None:
        """How far the last burst is; None before the first."""
        return None if self.burst is None else self.source.burst(self.burst)

    @property
    def bursting(self) -> bool:
        """Whether a burst is sending."""
        progress = self.progress
        return progress is not None and progress.running

    @property
    def moving(self) -> bool:
        """Whether there is something whose end is not shown yet."""
        progress = self.progress
        pending = len(self.source.outcomes(sent.id for sent in self.sent)) < len(self.sent)
        return pending or (progress is not None and not progress.settled)

    def _do(self, act: Callable[[], Any]) -> bool:
        return self.commands.do(f"send to {self.id}", act)

    def _refuse(self, text: str, wrong: bool) -> None:
        self.refusal = text

    def _check(self, typed: Typed, options: Mapping[str, Any]) -> Options:
        """The options. Raises `ActivityValidationError` once every problem with them and the payload is noted."""
        self.problems, self.option_problems, rest = {}, {}, ""
        try:
            chosen: Options = OPTIONS.build(options)
        except FormError as error:
            self.option_problems = error.problems
        try:
            self.commands.command("check", self.id, typed=typed)
        except ActivityValidationError as error:
            self.problems, rest = by_field(error.problems, self.form, isinstance(typed, str))
        if rest or self.problems or self.option_problems:
            raise ActivityValidationError(rest or "something is not right yet, see the marked fields")
        return chosen

    def _send(self, typed: Typed, options: Options, lane: str) -> None:
        reply = self.commands.command("send", self.id, typed=typed, lane=lane, delay=options.delay)
        if reply.activity is not None:
            self.sent.append(SentActivity(reply.activity, lane, reply.ahead, options.delay))

    def _start(self, typed: Typed, options: Options, lane: str) -> None:
        how = {"lane": lane, "delay": options.delay, "count": options.count, "rate": options.rate}
        self.burst = self.commands.command("burst", self.id, typed=typed, ended=self.changed, **how).burst

    # -- in words

    def words(self) -> Markup:
        """What happened, newest first, as HTML: what was refused, the burst, and the last sends with their fates."""
        outcomes = self.source.outcomes(sent.id for sent in self.sent)
        sends = [self._send_words(sent, outcomes.get(sent.id)) for sent in reversed(self.sent)]
        return div(self._refusal_words(), self._burst_words(), sends, role="status", aria_live="polite", cls="sends")

    def _refusal_words(self) -> Content:
        if not self.refusal:
            return None
        return _line("refused", self.label(FATES["failed"], "not sent"), " ", safe_text(self.refusal, 400))

    def _burst_words(self) -> Content:
        burst = self.progress
        if burst is None:
            return None
        how = "sending" if burst.running else "stopped" if burst.stopped else "ended" if burst.error else "sent"
        fates = [f"{number:,} {_fate_look(kind).word}" for kind, number in burst.fates.items()]
        counts = ", ".join([*fates, *([f"{burst.pending:,} pending"] if burst.pending else [])])
        error = f" {plain(burst.error, 400)}" if burst.error else ""
        return _line("burst", b(f"burst {how}"), f": {burst.sent:,} of {burst.total:,}. {counts}{error}")

    def _send_words(self, sent: SentActivity, outcome: Outcome | None) -> Markup:
        words = self._fate_words(sent, outcome)
        return _line(f"sent{sent.id}", self.label(LANES[sent.lane]), " ", b(f"#{sent.id}"), " ", words)

    def _fate_words(self, sent: SentActivity, outcome: Outcome | None) -> Markup:
        if outcome is None:
            why = f"delayed for {duration(sent.delay)}" if sent.delay else f"position {sent.ahead + 1:,} in its lane"
            return fragment("accepted ", quiet(f"({why})"))
        took = f"waited {duration(outcome.wait)}"
        if outcome.service is not None:
            took += f", took {duration(outcome.service)}"
        return fragment(self.label(_fate_look(outcome.kind)), " ", _result(outcome), " ", quiet(f"({took})"))


def _line(key: str, *content: Content) -> Markup:
    return p(*content, data_key=key)


def _fate_look(kind: str) -> Look:
    return look_of_fate(kind)


def by_field(problems: Mapping[str, str], form: Form | PayloadForm, raw: bool) -> tuple[dict[str, str], str]:
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
        elif not form.record and form.fields:
            placed[form.fields[0].name] = f"{text} at {path}" if path else text
        else:
            rest.append(f"{path}: {text}" if path else text)
    return placed, "; ".join(rest)


def _result(outcome: Outcome) -> str:
    if outcome.error is not None:
        return safe_text(str(outcome.error), 300)
    word = "state" if outcome.reply is msgspec.UNSET else "reply"
    return f"{word} {safe_text(outcome.value, 120)}"
