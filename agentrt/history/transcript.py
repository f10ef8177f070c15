"""What was recorded, as a pytest file that stands alone: payloads as literals, effects and answers from the record."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..errors import AgentError, ConfigurationError
from ..events import Outcome
from ..schema.difference import has_changed
from ..schema.immutability import copy_out_always
from ..schema.preview import preview
from .case import ActivityFields, Case, Returned, make_error, send_of
from .literal import NAN, SourceWriter
from .minimize import minimize
from .origin import Origin
from .playback import Performance, perform
from .playback_loop import run_apart
from .replay import compare, error_words, find_scripts, functions_of, reason_to_skip
from .script import Attempt, CallKind, RecordedCall, Script, content_of
from .stage import Stage

__all__ = ["write_test"]

WIDEST = 100  # characters of a line that is not broken
Function = Callable[..., Any]


class Scene(msgspec.Struct, frozen=True):
    """One attempt of an activity, what came of it, and what a case is given for it."""

    function: Function
    script: Script
    attempt: Attempt
    performance: Performance
    stage: Stage
    arguments: dict[str, Any] = {}

    @property
    def error(self) -> BaseException | None:
        """What the workflow raised."""
        return self.performance.error


class Passage(msgspec.Struct):
    """The scenes of one runtime."""

    runtime: str
    function: Function
    scenes: list[Scene]


def write_test(
    origin: Origin,
    path: str | os.PathLike[str],
    ids: Collection[str | int] | str | int | None = None,
    since: int | None = None,
    until: int | None = None,
    minimise: bool = False,
    workflows: dict[str, Function] | None = None,
) -> Path:
    """Write a test of what is recorded. See `RuntimeManager.record_test`."""
    if isinstance(ids, str | int):
        ids = [ids]
    parts, notes = _read_parts(origin, ids, since, until, workflows or {})
    if minimise:
        parts = [_minimise(part) for part in parts]
    if not parts:
        what = "" if ids is None else f" of {', '.join(preview(each, 40) for each in ids)}"
        why = "".join(f"; {note}" for note in notes) or "; `ids` are ids of runtimes and numbers of activities"
        raise ConfigurationError(f"nothing that was processed{what} is recorded there{why}")
    writer = SourceWriter()
    writer.import_name("agentrt.history.case", "Case")
    named = tuple(_with_names(parts))
    for _, name in named:
        writer.reserve(name)
    bodies = [_lines_of_function(part, writer, name) for part, name in named]
    lines = [
        f'"""Recorded from {origin.describe()}: what its workflows were given, and what came of it."""',
        *[f"# Left out: {note}." for note in notes],
        "",
        *writer.import_lines(),
        *[line for body in bodies for line in ("", "", *body)],
        "",
    ]
    file = Path(path)
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


# ---- what is recorded


def _read_parts(
    origin: Origin,
    ids: Collection[str | int] | None,
    since: int | None,
    until: int | None,
    workflows: dict[str, Function],
) -> tuple[list[Passage], list[str]]:
    """The scenes of each runtime, and why some are left out."""
    parts: list[Passage] = []
    current: dict[str, Passage] = {}
    notes: list[str] = []
    for script in find_scripts(origin, since, until):
        runtime, number = script.activity.runtime, script.activity.id
        if ids is not None and runtime not in ids and number not in ids:
            continue
        scenes, why = _read_scenes(functions_of(script, workflows.get(runtime)), script)
        if why:
            notes.append(f"activity {number} of {runtime!r}, as {' '.join(why.split())}")
            continue
        for scene in scenes:
            part = current.get(runtime)
            if part is None or part.function is not scene.function:
                part = current[runtime] = Passage(runtime, scene.function, [])
                parts.append(part)
            part.scenes.append(scene)
    return parts, notes


def _read_scenes(functions: list[Function], script: Script) -> tuple[list[Scene], str]:
    """The attempts of an activity; and why a test of it would not pass on the code that was recorded, if so."""
    why = reason_to_skip(script, functions)
    if why:
        return [], why
    scenes = run_apart(lambda: list(_scenes_of(functions, script)))
    why = _dishonesty(script, scenes)
    if why:
        return [], why
    given = [_find_arguments(scene) for scene in scenes]
    if None in given:
        return [], "it depends on more than a test can give it, such as the order of its tasks"
    return [msgspec.structs.replace(one, arguments=each) for one, each in zip(scenes, given, strict=True)], ""


def _scenes_of(functions: list[Function], script: Script) -> Iterator[Scene]:
    readings = list(script.readings)
    for function, attempt in zip(functions, script.attempts, strict=True):
        stage = Stage(script, attempt, None, readings)
        found = perform(function, script, stage)
        yield Scene(function, script, attempt, found, stage)


def _dishonesty(script: Script, scenes: list[Scene]) -> str:
    """Why a test of an activity would not pass on the code that was recorded; empty if it would."""
    for scene in scenes:
        if scene.performance.unrecorded:
            return scene.performance.unrecorded
    found = compare(script, scenes[-1].performance)
    if found is None:
        return ""
    impure = scenes[-1].performance.impurities
    return (
        f"it {impure[0].what} ({impure[0].call})" if impure else f"it does otherwise when it runs again ({found.what})"
    )


# ---- minimising


def _minimise(part: Passage) -> Passage:
    """Leave out what is not needed to reach the last end, from the state of the first scene."""
    *earlier, last = part.scenes
    wanted = _end_of(last.performance)
    seed = last.script.seed

    def leads_there(scenes: list[Scene]) -> bool:
        case = Case(part.runtime, part.function, part.scenes[0].script.state, seed=seed or 0)
        try:
            for scene in [*scenes, last]:
                _run_scene(case, scene)
        except AssertionError:
            return False
        return not has_changed(wanted, _end_of(case.performance))

    left = minimize(earlier, leads_there)
    return Passage(part.runtime, part.function, list(_follow_states(part, [*left, last], seed)))


def _follow_states(part: Passage, scenes: list[Scene], seed: int | None) -> Iterator[Scene]:
    """The scenes with the states that they have one after the other."""
    case = Case(part.runtime, part.function, part.scenes[0].script.state, seed=seed or 0)
    for scene in scenes:
        script = msgspec.structs.replace(scene.script, state=case.state)
        _run_scene(case, scene)
        yield msgspec.structs.replace(scene, script=script, performance=case.performance)


def _end_of(found: Performance) -> tuple[Any, ...]:
    """What a minimal test shall reach: the error, or what was replied and sent."""
    if found.error is not None:
        return (error_words(found.error),)
    return found.reply, tuple((each.name, each.value) for each in found.calls if each.kind == CallKind.SEND)


def _run_scene(case: Case, scene: Scene) -> None:
    case.run(content_of(scene.script.activity), **scene.arguments)


def _find_arguments(scene: Scene) -> dict[str, Any] | None:
    """What a case has to be given to do what is recorded, and no more; None if it does otherwise on all there is."""
    usual, more = _usual_arguments(scene), _other_arguments(scene)

    def leads_there(part: list[tuple[str, Any]]) -> bool:
        return _does_the_same(scene, {**usual, **dict(part)})

    if leads_there([]):
        return usual
    return {**usual, **dict(minimize(list(more.items()), leads_there))} if leads_there(list(more.items())) else None


def _does_the_same(scene: Scene, arguments: dict[str, Any]) -> bool:
    """Whether a case that is given this comes to the recorded end."""
    script, recorded = scene.script, scene.performance
    case = Case(script.activity.runtime, scene.function, script.state, seed=script.seed or 0)
    try:
        case.run(content_of(script.activity), **arguments)
    except AssertionError:
        return False
    found = case.performance
    if not found.error and has_changed(recorded.state, found.state):
        return False
    return not has_changed(_end_of(recorded), _end_of(found)) and not has_changed(recorded.reply, found.reply)


def _usual_arguments(scene: Scene) -> dict[str, Any]:
    """What a case is given for a scene, without what it has anyway and what most workflows don't look at."""
    script, stage = scene.script, scene.stage
    activity = script.activity
    found: dict[str, Any] = {}
    if stage.used_chance:
        found["id"] = activity.id
    if activity.lane != "standard":
        found["lane"] = activity.lane.value
    if stage.used_time:
        found["at"] = scene.attempt.began or 0.0
        if stage.times:
            found["times"] = tuple(stage.times)
    if activity.source is not None:
        found["source"] = activity.source
    return {**found, **_given_by_calls(scene, _without_details)}


def _other_arguments(scene: Scene) -> dict[str, Any]:
    """What else there is."""
    activity = scene.script.activity
    fields = {name: getattr(activity, name) for name in ("id", *ActivityFields.__annotations__)}
    sends = [each.activity for each in scene.attempt.calls if each.kind == CallKind.SEND]
    at = {"at": scene.attempt.began} if scene.attempt.began is not None else {}
    more = {**at, **fields, "numbers": sends, **_given_by_calls(scene, lambda error: error)}
    return {name: value for name, value in more.items() if value not in (None, [])}


def _given_by_calls(scene: Scene, copy_error: Callable[[BaseException], BaseException]) -> dict[str, Any]:
    """What a scene's effects and sends have given to it."""

    def give(value: Any, error: BaseException | None) -> Any:
        if error is not None:
            return copy_error(error)
        return Returned(value) if isinstance(value, BaseException) else value

    calls = scene.attempt.calls
    effects = {each.name: give(each.result, each.error) for each in calls if each.kind == CallKind.EFFECT}
    answers = [
        (each.name, give(None if each.result.error else each.result.value, each.result.error))
        for each in calls
        if each.kind == CallKind.SEND and _has_answer(each, scene.script)
    ]
    refusals = [(each.value, copy_error(each.error)) for each in calls if each.kind == CallKind.REFUSED and each.error]
    more = {"effects": effects, "answers": answers, "refusals": refusals}
    return {name: value for name, value in more.items() if value}


def _without_details(error: BaseException) -> BaseException:
    """An error of this package with no more than its message."""
    return (
        type(error)(*error.args)
        if isinstance(error, AgentError)
        else make_error(type(error), *error.args, **vars(error))
    )


def _has_answer(call: RecordedCall, script: Script) -> bool:
    """Whether a send had come to its end when the activity did: only then the workflow can have waited for it."""
    result = call.result if call.kind == CallKind.SEND else None
    return isinstance(result, Outcome) and result.sequence < script.outcome.sequence


# ---- the text


def _with_names(parts: Iterable[Passage]) -> Iterator[tuple[Passage, str]]:
    used: set[str] = set()
    for part in parts:
        name = base = "test_" + (_identifier(part.runtime.lower()) or "runtime")
        n = 1
        while name in used:
            n += 1
            name = f"{base}_{n}"
        used.add(name)
        yield part, name


def _identifier(text: str) -> str:
    """A text as a part of a name."""
    letters = (each if f"_{each}".isidentifier() else "_" for each in text)
    return re.sub("__+", "_", "".join(letters)).strip("_")


def _lines_of_function(part: Passage, writer: SourceWriter, name: str) -> list[str]:
    first = part.scenes[0].script
    more = {"seed": first.seed} if any(scene.stage.used_chance for scene in part.scenes) else {}
    arguments = [
        writer.value(part.runtime),
        writer.name(part.function),
        writer.value(first.state),
        *_keywords(more, writer),
    ]
    lines = [f"def {name}() -> None:", *_call_lines("case = Case", arguments)]
    state = first.state
    for scene in part.scenes:
        if has_changed(state, scene.script.state):
            lines.append(f"    case.state = {writer.value(scene.script.state)}")
        lines += _scene_lines(scene, writer)
        state = scene.script.state if scene.error is not None else scene.performance.state
    return lines


def _scene_lines(scene: Scene, writer: SourceWriter) -> list[str]:
    arguments = [writer.value(content_of(scene.script.activity)), *_keywords(scene.arguments, writer)]
    lines = [*_call_lines("case.run", arguments)]
    found = scene.performance
    if found.error is not None:
        lines.append(f"    assert case.error == {writer.value(error_words(found.error))}")
    else:
        lines.append("    assert case.error is None")
        lines.append(_assertion("case.state", found.state, writer))
    if found.reply is not msgspec.UNSET:
        lines.append(_assertion("case.reply", found.reply, writer))
    if found.calls:
        sends = [send_of(each) for each in found.calls if each.kind == CallKind.SEND]
        lines.append(_assertion("case.sends", sends, writer))
    return lines


def _assertion(what: str, value: Any, writer: SourceWriter) -> str:
    """The line that says what should be so; where `==` does not tell, by what is in it."""
    source = writer.value(value)
    if NAN not in source and _equals_its_copy(value):
        return f"    assert {what} == {source}"
    return f"    assert not {writer.import_name('agentrt.history.case', 'has_changed')}({what}, {source})"


def _equals_its_copy(value: Any) -> bool:
    try:
        return bool(copy_out_always(value) == value)
    except Exception:  # its class may be user code
        return False


def _keywords(arguments: dict[str, Any], writer: SourceWriter) -> list[str]:
    return [f"{name}={writer.value(value)}" for name, value in arguments.items()]


def _call_lines(name: str, arguments: list[str]) -> list[str]:
    """A call on one line, or with each argument on a line of its own."""
    line = f"    {name}({', '.join(arguments)})"
    if len(line) <= WIDEST:
        return [line]
    return [f"    {name}(", *[f"        {each}," for each in arguments], "    )"]
