"""errors.py: one tree, with tags, ids and messages that name the fix."""

import copy
import pickle
import re

import pytest

import agentrt
from agentrt import errors
from agentrt.errors import (
    ActivityValidationError,
    AgentError,
    DeadlockError,
    ProcessingError,
    RuntimeNotFoundError,
    describe_error,
)

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_all_are_agent_errors_with_a_tag_of_their_own():
    assert all(issubclass(error, AgentError) for error in CLASSES)
    assert len({error.tag for error in CLASSES}) == len(CLASSES)


def test_every_error_is_public():
    here = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, AgentError)}
    assert here == set(errors.__all__)
    assert here <= set(agentrt.__all__)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__)
    assert sorted([*drawn, "AgentError"]) == sorted(errors.__all__)


def test_they_can_be_caught_as_what_python_calls_them():
    assert issubclass(errors.RuntimeNotFoundError, KeyError)
    assert issubclass(errors.ActivityTimeoutError, TimeoutError)
    assert issubclass(errors.ActivityValidationError, ValueError)
    assert issubclass(errors.ConfigurationError, ValueError)
    assert issubclass(errors.MissingPackageError, ModuleNotFoundError)


def test_not_found_reads_as_a_sentence_though_it_is_a_key_error():
    assert str(RuntimeNotFoundError("no runtime 'x'", runtime="x")) == "no runtime 'x'"


def test_ids_are_kept():
    error = ProcessingError("failed", runtime="JFK", activity=7)
    assert (error.runtime, error.activity, str(error)) == ("JFK", 7, "failed")


def test_a_copy_says_the_same_and_has_no_frames():
    cause = ValueError("why")
    try:
        raise DeadlockError("a -> a", chain=("a", "a"), runtime="a") from cause
    except DeadlockError as raised:
        error = raised
    same = error.copy()
    assert same is not error
    assert (type(same), str(same), same.chain, same.runtime) == (DeadlockError, "a -> a", ("a", "a"), "a")
    assert (same.__cause__, same.__traceback__) == (cause, None)


def test_validation_without_problems_is_about_the_whole():
    assert ActivityValidationError("no").problems == {"": "no"}
    assert ActivityValidationError("no", problems={"x": "missing"}).problems == {"x": "missing"}


@pytest.mark.parametrize("through", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize(
    "error",
    [ProcessingError("no", runtime="a", activity=1), DeadlockError("no", chain=("a", "b"), runtime="a")],
    ids=lambda error: error.tag,
)
def test_they_travel_between_processes(error, through):
    same = through(error)
    assert (type(same), str(same), vars(same)) == (type(error), str(error), vars(error))


def test_a_long_message_of_a_cause_is_cut():
    assert describe_error(ValueError("no")) == "ValueError: no"
    text = describe_error(ValueError("x" * 5_000_000))
    assert len(text) < 2_100
    assert text.endswith("xxx ... (5,000,000 characters)")
