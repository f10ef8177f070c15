"""The names of earlier versions go on working, and warn."""

from unittest.mock import Mock

import pytest

from agentrt.deprecation import warn_of_new_name
from agentrt.queueing import Stream
from tests.support import add


def call_by_old_name() -> None:
    warn_of_new_name("old()", "new()")


def test_the_warning_names_the_line_of_the_caller():
    with pytest.warns(DeprecationWarning, match=r"^old\(\) is called new\(\) now$") as caught:
        call_by_old_name()
    assert caught[0].filename == __file__


def test_a_stream_with_fixed_service_times():
    with pytest.warns(DeprecationWarning, match=r"Stream\.deterministic"):
        assert Stream.fixed(2, 0.5) == Stream.deterministic(2, 0.5) == Stream(2, 0.5, 0.25)


def test_the_callback_of_a_receipt(manager):
    runtime = manager.create("a", 0, add)
    runtime.pause()
    receipt, called = runtime.send_nowait(1), Mock()
    with pytest.warns(DeprecationWarning, match="add_callback"):
        receipt.when_decided(called)
    called.assert_not_called()
    runtime.resume()
    receipt.result(60)
    called.assert_called_once_with()
