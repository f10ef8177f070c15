"""Activities that hypothesis makes: of the type that a workflow takes, for either lane, at once or later."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, get_args, get_origin

from ..activity import Activity, Lane
from ..engine.workflow import Workflow
from ..errors import ConfigurationError, MissingPackageError
from ..runtime import Runtime
from ..schema.annotations import UNIONS, annotation_of, base_of, metadata_of
from ..schema.constraints import constraints_of
from ..schema.convert import is_pydantic
from ..schema.numbers import seconds
from ..schema.preview import preview
from ..schema.records import RecordMember, members_of
from ..schema.typecheck import find_problem

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["activities"]

# hypothesis reads these conditions, and makes nothing else; of any other it throws away what does not hold.
BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "ge": operator.le,
    "gt": operator.lt,
    "le": operator.ge,
    "lt": operator.gt,
}


def activities(
    of: Runtime[Any, Any] | Callable[..., Any],
    *,
    payloads: SearchStrategy[Any] | None = None,
    lanes: Collection[Lane] = tuple(Lane),
    longest_delay: float = 0.0,
) -> SearchStrategy[Activity[Any]]:
    """Make a strategy of hypothesis for the activities of a workflow, to be sent: `runtime.send_nowait(activity)`.

    Args:
        of: A runtime, or the function of a workflow. Payloads are made of the type that it takes, and fit it.
        payloads: What to make payloads with instead, as where the workflow takes any.
        lanes: The lanes to choose from.
        longest_delay: Seconds on the manager's clock by which some of them are delayed at most, from when they are
            made; for a function from 0, where a virtual clock begins. 0 delays none.

    Raises:
        MissingPackageError: hypothesis is not installed.
        ConfigurationError: The workflow does not say what it takes, and no `payloads` are given; or there is no lane.

    >>> from hypothesis import given, settings
    >>> def add(activity: Activity[int], state: int) -> int:
    ...     return state + activity.payload
    >>> @settings(max_examples=20, database=None)
    ... @given(activities(add, lanes=[Lane.PRIORITY]))
    ... def check(activity):
    ...     assert isinstance(activity.payload, int)
    ...     assert activity.lane is Lane.PRIORITY
    >>> check()
    """
    try:
        from hypothesis import strategies
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "activities() needs hypothesis, which is not installed: pip install hypothesis"
        ) from error
    if not lanes:
        raise ConfigurationError("lanes is empty; give at least one lane, or leave it out for both")
    longest = seconds("longest_delay", longest_delay, endless=False)
    begin = of.manager.clock.now if isinstance(of, Runtime) else float
    due: Any = strategies.none()
    if longest:
        due |= strategies.floats(0, longest).map(lambda delay: begin() + delay)
    return strategies.builds(
        Activity,
        payload=_payloads(of) if payloads is None else payloads,
        lane=strategies.sampled_from([Lane(each) for each in lanes]),
        not_before=due,
    )


def _payloads(of: Any) -> SearchStrategy[Any]:
    """Payloads that a runtime or a workflow takes."""
    accepts = of.accepts if isinstance(of, Runtime) else Workflow.of(of).accepts
    if accepts is None:
        raise ConfigurationError(
            f"{preview(of, 80)} takes any payload; say which in its first parameter, `activity: Activity[int]`, or "
            "give payloads"
        )
    return _Maker().make(annotation_of(accepts)).filter(lambda payload: find_problem(payload, accepts) is None)


class _Maker:
    """Makes the strategy of an annotation. What it knows nothing of is hypothesis's: `strategies.from_type`.

    It knows constraints of msgspec and pydantic, which hypothesis does not read, and so the records that have them.
    """

    def __init__(self) -> None:
        self._records: dict[Any, SearchStrategy[Any]] = {}  # a record may have a field of its own type

    def make(self, hint: Any) -> SearchStrategy[Any]:
        """The strategy of an annotation."""
        from hypothesis import strategies

        base, constraints = base_of(hint), constraints_of(metadata_of(hint))
        if get_origin(base) in UNIONS:
            made = strategies.one_of([self.make(each) for each in get_args(base)])
        elif (members := members_of(base)) is not None:
            made = self._make_record(base, members)
        elif base is str and constraints:
            made = _texts(constraints)
        else:
            made = strategies.from_type(base if constraints else hint)
        for name, holds in BOUNDS.items():
            if name in constraints:
                made = made.filter(partial(holds, constraints[name]))
        return made

    def _make_record(self, kind: Any, members: list[RecordMember]) -> SearchStrategy[Any]:
        from hypothesis import strategies

        if kind not in self._records:

            def record() -> SearchStrategy[Any]:
                fields = {each.key if is_pydantic(kind) else each.name: self.make(each.annotation) for each in members}
                return strategies.builds(kind, **fields)

            self._records[kind] = strategies.deferred(record)
        return self._records[kind]


def _texts(constraints: dict[str, Any]) -> SearchStrategy[str]:
    from hypothesis import strategies

    if "pattern" in constraints:
        return strategies.from_regex(constraints["pattern"])
    return strategies.text(min_size=constraints.get("min_length", 0), max_size=constraints.get("max_length"))
