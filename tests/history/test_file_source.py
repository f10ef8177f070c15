"""file_source.py: a page of a journal file goes back as one of a manager does."""

from pathlib import Path

import pytest

from agentrt import ConfigurationError, RuntimeManager
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


def test_a_file_that_is_too_large_for_a_page_says_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_source, "MOST_EVENTS", 3)
    source = FileSource(path)
    with pytest.raises(ConfigurationError, match="StoredHistory"):
        source.events()
    feed = Feed(source, schedule=lambda call: None, later=lambda seconds, call: None)
    board = Dashboard(source, feed, Commands(source))
    board.draw()
    board.key("[")
    assert board.at.moment is None
    assert "StoredHistory" in board.time_bar.message.html
    source.close()
