"""What a program serves beside a dashboard that is in a process of its own."""

from collections.abc import Iterator

import pytest

from agentrt import RuntimeManager
from agentrt.feed.extra_pages import ExtraPage
from agentrt.feed.offer import FeedOffer
from agentrt.feed.remote import RemoteSource


@pytest.fixture
def manager() -> Iterator[RuntimeManager]:
    with RuntimeManager(loop="thread", name="with pages", offer=False) as made:
        yield made


def test_a_reader_is_given_what_the_program_says_now(manager: RuntimeManager) -> None:
    asked: list[str] = []

    def figures(accept: str) -> tuple[str, bytes]:
        asked.append(accept)
        return "text/plain", f"asked {len(asked)} times\xff".encode("latin-1")

    manager.source.extra_pages = {"/figures": figures}
    offer = FeedOffer(manager)
    try:
        with RemoteSource(offer.record) as source:
            assert source.extra_page("/figures", "text/*") == ExtraPage("text/plain", b"asked 1 times\xff")
            assert source.extra_page("/figures", "") == ExtraPage("text/plain", b"asked 2 times\xff")
            assert source.extra_page("/others", "") is None
            assert asked == ["text/*", ""]
    finally:
        offer.close()


def test_a_program_without_any_says_so(manager: RuntimeManager) -> None:
    offer = FeedOffer(manager)
    with RemoteSource(offer.record) as source:
        assert source.extra_page("/figures", "") is None
        offer.close()
        assert source.extra_page("/figures", "") is None
