"""A reader that can't be called fetches what is there for it."""

import asyncio

from agentrt.distributed.mailslot import Mailslot
from agentrt.testing import run


def test_a_batch_is_held_until_it_is_answered() -> None:
    async def main() -> list[bytes]:
        slot = Mailslot()
        sending = asyncio.create_task(slot.send_batch(b"batch"))
        seen = [await slot.fetch(b"", 1), await slot.fetch(b"", 1)]  # the first answer may be lost on its way
        seen.append(await slot.fetch(b"taken", 1))
        return [*seen, await sending]

    assert run(main()) == [b"batch", b"batch", b"", b"taken"]


def test_a_fetch_waits_for_a_batch() -> None:
    async def main() -> bytes:
        slot = Mailslot()
        fetching = asyncio.create_task(slot.fetch(b"", 10))
        await asyncio.sleep(5)
        sending = asyncio.create_task(slot.send_batch(b"late"))
        batch = await fetching
        sending.cancel()
        return batch

    assert run(main()) == b"late"


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    async def main() -> bytes:
        return await Mailslot().fetch(b"old", 1)

    assert run(main()) == b""
