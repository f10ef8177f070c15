"""file_source.py: a page of a journal file goes back as one of a manager does."""

from pathlib import Path

import pytest

from agentrt import RuntimeManager
from agentrt.history import file_source
from agentrt.history.file_source import FileSource
from agentrt.views.app.dashboard import Dashboard
from agentrt.views.feed import Feed
from agentrt.views.role import Commands
from tests.support import add


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with RuntimeManager(tmp_path / "agents.db") as manager:
        runtime = manager.create("JFK", 0, add)
        for n in (1, 10, 100):
            runtime.send_nowait(n).result(60)
        runtime.pause()
        runtime.send_nowait(1000)
        manager.journal.backup(tmp_path / "backup.db")  # type: ignore[union-attr]
    return tmp_path / "backup.db"


def test_each_event_of_a_file_can_be_gone_back_to(path: Path) -> None:
    source = FileSource(path)
    feed = Feed(source, schedule=lambda call: None, later=lambda seconds, call: None)
    board = Dashboard(source, feed, Commands(source))
    board.draw("runtime/JFK")
    bar = board.time_bar
    assert (bar.panel.visible, bar.fork.visible, bar.now.label) == (True, False, "Back to the end")
    found = []
    for _ in range(20):
        before = board.at.moment
        board.key("[")
        if board.at.moment == before:
            break
        found.append(board.source.snapshot("JFK").state if "JFK" in board.source.runtimes else None)  # type: ignore[union-attr]
    assert list(dict.fromkeys(found)) == [111, 11, 1, 0]
    assert "agents go on" not in bar.words.html
    board.draw(f"waits/JFK?moment={board.at.moment}")
    board.look(None)
    assert (board.source, board.at.moment) == (source, None)
    source.close()


@pytest.mark.slow
def test_the_bar_of_a_large_file_has_its_last_events_and_an_address_any(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = FileSource(path)
    every = small.events()
    states = {moment: small.past(moment).snapshot("JFK").state for moment, _ in every}  # type: ignore[union-attr]
    small.close()
    monkeypatch.setattr(file_source, "MOST_ROWS", 3)
    monkeypatch.setattr(file_source, "SEGMENT", 2)
    source = FileSource(path)
    assert source.events() == every[-len(source.events()) :]
    assert 3 <= len(source.events()) < len(every)
    feed = Feed(source, schedule=lambda call: None, later=lambda seconds, call: None)
    board = Dashboard(source, feed, Commands(source))
    board.draw()
    board.key("[")
    assert board.at.moment == every[-1][0]
    for moment, state in states.items():
        board.draw(f"runtime/JFK?moment={moment}")
        assert board.source.snapshot("JFK").state == state  # type: ignore[union-attr]
    source.close()
