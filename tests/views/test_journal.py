"""journal.py: what the pages say of a journal."""

import doctest

import pytest
from playwright.sync_api import Page, expect

from agentrt import JournalError, RuntimeManager
from agentrt.feed.source import JournalStanding
from agentrt.journal import MemoryJournal
from agentrt.views import journal
from agentrt.views.fleet.overview import Overview
from agentrt.views.journal import journal_problem, journal_sentence
from agentrt.views.runtime.runtime import RuntimeView
from agentrt.views.server.server import serve
from tests.harness.shown import serving
from tests.support import add
from tests.views.support import HOSTILE, update


def test_its_examples():
    assert doctest.testmod(journal).failed == 0


def test_the_sentence_stays_while_a_disk_is_as_fast_as_it_should_be():
    said = {journal_sentence(JournalStanding("a.db", 5_000, pending, lag=0.09)) for pending in (0, 1, 50)}
    assert said == {"Everything is stored within 0.1 s in a.db (5 kB)."}
    assert "1 write waits to be stored, for up to 200 ms." in journal_sentence(JournalStanding("a.db", 5, 1, lag=0.2))
    assert "wait to be stored" in journal_sentence(JournalStanding("a.db", 5, 0, 0.0, "full"))
    assert "<script" not in journal_sentence(JournalStanding(HOSTILE, 5))


def test_what_is_wrong_is_one_sentence():
    assert journal_problem(None) == journal_problem(JournalStanding("a.db", 5_000)) == ""
    assert journal_problem(JournalStanding(error="the disk is full")).endswith("until it can: the disk is full.")


def test_the_pages_say_what_is_stored():
    with RuntimeManager(MemoryJournal(), loop="thread") as manager:
        stored, volatile = manager.create("a", 0, add), manager.create("b", 0, add, durable=False)
        pages = [RuntimeView(manager.source, each.id) for each in (stored, volatile)]
        overview = Overview(manager.source, lambda address: None)
        for view in (*pages, overview):
            view.update(update(manager, first=True))
        assert "Everything is stored within 0.1 s in memory" in pages[0].head.html
        assert "In memory only, not stored." in pages[1].head.html
        assert "Everything is stored within 0.1 s in memory" in str(overview.panel.html)


def test_the_first_page_does_not_say_that_all_is_fine_while_nothing_can_be_stored():
    journal = MemoryJournal()
    with RuntimeManager(journal, loop="thread") as manager:
        manager.create("a", 0, add)
        overview = Overview(manager.source, lambda address: None)
        overview.update(update(manager, first=True))
        assert "is fine" in str(overview.panel.html)
        journal.broken = JournalError("the disk is full")
        overview.update(update(manager, first=True))
        assert "is fine" not in str(overview.panel.html)
        assert "Durable runtimes wait until the journal can be written." in str(overview.panel.html)
        journal.mend()


def test_the_pages_say_nothing_of_it_without_a_journal():
    with RuntimeManager(loop="thread") as manager:
        view = RuntimeView(manager.source, manager.create("a", 0, add).id)
        overview = Overview(manager.source, lambda address: None)
        for each in (view, overview):
            each.update(update(manager, first=True))
        assert "tored" not in view.head.html + str(overview.panel.html)


@pytest.mark.browser
def test_a_page_says_that_the_disk_is_full_until_it_is_not(page: Page) -> None:
    """Nothing is recorded of either."""
    journal = MemoryJournal()
    with RuntimeManager(journal, loop="thread") as manager:
        runtime = manager.create("a", 0, add)
        with serving(serve(manager)) as server:
            page.goto(server.url)
            expect(page.get_by_text("Everything is stored within 0.1 s in memory")).to_be_visible()
            journal.broken = JournalError("the disk is full")
            runtime.pause()
            expect(page.get_by_role("alert").get_by_text("until it can: the disk is full.")).to_be_visible()
            expect(page.get_by_text("Durable runtimes wait until the journal can be written.")).to_be_visible()
            journal.mend()
            expect(page.locator(".notice")).to_be_hidden()
            expect(page.locator(".say").first).to_contain_text("fine")
