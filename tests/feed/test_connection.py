"""The reader's end, which takes what a manager's process sends for data, whatever it is."""

import logging
import os
import random
import socket
import threading
import time
from datetime import datetime

import pytest

from agentrt import RuntimeManager, discovery
from agentrt.errors import AgentError, ConfigurationError
from agentrt.feed.connection import Connection, ConnectionEnded
from agentrt.feed.remote import RemoteSource
from agentrt.feed.wire import LENGTH, LONGEST_ANSWER, VERSION, FeedAnswer, Refused, Welcome, encode_frame
from tests.feed.test_offer import mutate
from tests.harness.memory import lasting_growth
from tests.support import add, fail


class Impostor:
    """Something that listens where a manager should. `answer(frame)` gives the bytes to send; None ends it."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.record = discovery.ManagerRecord(os.getpid(), "impostor", 99, 0, "", time.time())
        discovery.add_manager(self.record)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(discovery.socket_path(self.record)))
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.serve(connection)

    def serve(self, connection) -> None:
        came = b""
        try:
            while part := connection.recv(1 << 16):
                came += part
                while len(came) >= 4 and len(came) >= 4 + LENGTH.unpack_from(came)[0]:
                    size = 4 + LENGTH.unpack_from(came)[0]
                    answer = self.answer(came[4:size])
                    came = came[size:]
                    if answer is None:
                        return
                    connection.sendall(answer)
        except OSError:
            return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(60)


@pytest.fixture
def impostor(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    made = []

    def make(answer) -> Impostor:
        made.append(Impostor(answer))
        return made[-1]

    yield make
    for each in made:
        each.close()


def frame(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


WELCOME = frame(encode_frame(Welcome(VERSION, "impostor", "1", 1)))


def test_another_version_is_told(impostor):
    why = "the manager 'impostor' (process 1) speaks version 9 of the feed"
    record = impostor(lambda came: frame(encode_frame(Refused(9, why)))).record
    with pytest.raises(ConfigurationError, match="speaks version 9"):
        RemoteSource(record)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (frame(b"junk"), "is no manager of agentrt"),
        (frame(b""), "is no manager of agentrt"),
        (b"HTTP/1.1 400 Bad Request\r\n", "makes no sense"),
        (LENGTH.pack(LONGEST_ANSWER + 1), "makes no sense"),
        (None, "has ended"),
    ],
    ids=["junk", "empty", "http", "large", "nothing"],
)
def test_what_is_no_manager_is_said(impostor, answer, words):
    record = impostor(lambda came: answer).record
    with pytest.raises(ConfigurationError, match=words):
        RemoteSource(record)


def test_half_an_answer_is_not_waited_for(impostor):
    record = impostor(lambda came: WELCOME if b"hello" in came else frame(b"x" * 100)[:50]).record
    connection = Connection(record, timeout=0.2)
    started = time.monotonic()
    with pytest.raises(ConnectionEnded, match="does not answer"):
        connection._exchange(b"\x93\xc0\x90\xc0")
    assert time.monotonic() - started < 5


def real_frames() -> list[bytes]:
    """Answers as a real manager gives them."""
    from agentrt.feed.answers import Answers
    from agentrt.feed.entrance import Role
    from agentrt.feed.wire import Read, Request

    with RuntimeManager(loop="thread", name="real", offer=False) as manager:
        manager.create("a", 0, add).send_nowait(1).result(60)
        broken = manager.create("b", (1, (2, "y")), fail)
        with pytest.raises(AgentError):
            broken.send_nowait(1).result(60)
        answers = Answers(manager.source, manager.ring, Role.OPERATOR, lambda: 0.0)
        names = ["ended", "fates", "ledger"]
        reads = [Read(n, name) for n, name in enumerate(names, 1)]
        reads += [Read(4, "ids", [-1]), Read(10, "active", [60.0]), Read(11, "find", ["", "failed", True, 0, 25])]
        reads += [Read(n, "snapshot", ["b", True]) for n in range(5, 9)]
        return [answers.answer(encode_frame(Request(0, reads))), answers.answer(encode_frame(Request(3, reads[:2])))]


@pytest.mark.slow
def test_five_thousand_random_frames_do_no_harm(impostor, caplog):
    """To the reader's end; those to the manager's end are in test_offer."""
    caplog.set_level(logging.CRITICAL)
    chance, frames, count = random.Random(61), real_frames(), [0]
    empty = frame(encode_frame(FeedAnswer(1.0, datetime(2020, 1, 1), 1.0)))

    def answer(came: bytes) -> bytes:
        if b"agentrt-hello" in came:
            return WELCOME
        count[0] += 1
        if count[0] == 1:
            return empty
        return frame(mutate(chance, chance.choice(frames)))

    record = impostor(answer).record
    with RemoteSource(record, max_age=0) as source:
        source._link.dialer.record = record

        def attack(times: int) -> None:
            until = count[0] + times
            while count[0] < until:
                source._link._again = 0.0  # do not wait before it connects again
                source.frame()
                source.snapshot("b")
                source.fates()
                source.mailbox("a")
                assert isinstance(list(source.runtimes), list)
                assert isinstance(source.standing().words, str)

        attack(1_000)
        assert lasting_growth(lambda: attack(1_400)) < 200_000
        assert len(source._mirror.records) <= source._mirror.limit
        assert len(source._link._kept) < 100
