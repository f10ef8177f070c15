import sys
import threading
from contextlib import suppress
from io import StringIO

from agentrt.views.notebook.callback_output import CallbackOutput


def test_callbacks_that_overlap_leave_what_others_print_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", stdout := StringIO())
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    lines = {}

    def first():
        with CallbackOutput() as lines["first"]:
            first_in.set()
            assert second_in.wait(60)
            print("of the first")
        first_out.set()

    def second():
        assert first_in.wait(60)
        with CallbackOutput() as lines["second"]:
            second_in.set()
            assert first_out.wait(60)
            print("of the second")

    threads = [threading.Thread(target=call) for call in (first, second)]
    for thread in threads:
        thread.start()
    assert second_in.wait(60)
    print("meanwhile")
    for thread in threads:
        thread.join(60)
    print("after")
    assert stdout.getvalue() == "meanwhile\nafter\n"
    assert lines == {"first": ["of the first"], "second": ["of the second"]}


def test_nested_callbacks_and_errors(monkeypatch):
    monkeypatch.setattr(sys, "stdout", stdout := StringIO())
    outer, inner = CallbackOutput(), CallbackOutput()
    with suppress(ZeroDivisionError), outer:
        print("outer")
        with inner:
            print("inner")
        print("again")
        raise ZeroDivisionError
    assert (outer, inner) == (["outer", "again"], ["inner"])
    print("after", flush=True)
    assert stdout.getvalue() == "after\n"
