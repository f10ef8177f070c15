"""A manager's feed on a socket: who may read it, what it costs, and what becomes of those that send anything else."""

import gc
import logging
import os
import random
import socket
import stat
import threading
import time

import msgspec
import pytest

from agentrt import RuntimeManager, discovery
from agentrt.errors import AccessDeniedError, ConfigurationError
from agentrt.feed.connection import Connection, ConnectionEnded, find_manager
from agentrt.feed.entrance import Role
from agentrt.feed.offer import MOST_READERS, FeedOffer
from agentrt.feed.remote import RemoteSource
from agentrt.feed.wire import (
    LENGTH,
    VERSION,
    Hello,
    Order,
    Read,
    Refused,
    Request,
    Welcome,
    decode_greeting,
    encode_frame,
)
from tests.harness.memory import lasting_growth
from tests.harness.wait import wait_until
from tests.support import add


@pytest.fixture
def manager():
    with RuntimeManager(loop="thread", name="offered") as manager:
        manager.create("a", 0, add)
        yield manager


@pytest.fixture
def record(manager):
    return find_manager("offered")


OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def hang_up():
    yield
    while OPEN:
        OPEN.pop().close()


def dial(record) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    OPEN.append(found)
    found.settimeout(5)
    found.connect(str(discovery.socket_path(record)))
    return found


def frame(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


def receive(connection) -> bytes:
    """The next frame; nothing if the connection has ended."""
    data = b""
    try:
        while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
            part = connection.recv(1 << 16)
            if not part:
                return b""
            data += part
    except ConnectionResetError:
        return b""
    return data[LENGTH.size :]


def greeted(record) -> socket.socket:
    connection = dial(record)
    connection.sendall(frame(encode_frame(Hello(VERSION))))
    assert isinstance(decode_greeting(receive(connection)), Welcome)
    return connection


def state(record, id: str):
    with RemoteSource(record, max_age=0) as source:
        return source.snapshot(id).state


def thread_time(thread: threading.Thread) -> float:
    """The processor seconds of a thread."""
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def threads() -> list[str]:
    return [each.name for each in threading.enumerate()]


# ---- offered, and not


def test_the_socket_is_its_owners_and_goes_with_the_manager(manager, record):
    path = discovery.socket_path(record)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (record.pid, record.port, record.token) == (os.getpid(), 0, "")
    manager.close()
    assert not path.exists()
    assert "offered-offer" not in threads()
    assert [each for each in discovery.list_managers() if each.name == "offered"] == []


def test_it_can_be_switched_off():
    with RuntimeManager(loop="thread", name="private", offer=False):
        assert "private-offer" not in threads()
        with pytest.raises(ConfigurationError, match="no manager named 'private' runs on this machine"):
            RemoteSource("private")


def test_until_somebody_reads_nothing_happens(manager, record):
    before, thread = -1.0, manager._offer._thread
    while before != (before := thread_time(thread)):  # until it has begun to wait
        manager["a"].send_nowait(1).result(60)
    for _ in range(500):
        manager["a"].send_nowait(1).result(60)
    assert manager._source is None
    assert thread_time(thread) == before


def test_where_there_is_no_directory_the_manager_works(monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO, "agentrt.feed.offer")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path / "file"))
    with RuntimeManager(loop="thread", name="alone") as manager:
        assert manager.run(manager.create("a", 1, add).ask(1)) == 2
    [line] = [each.message for each in caplog.records if "alone" in each.message]
    assert line.startswith("the feed of alone is not offered: ")


def test_a_forgotten_manager_can_be_freed():
    import asyncio
    import weakref

    async def forget():
        return weakref.ref(RuntimeManager(name="forgotten"))

    gone = asyncio.run(forget())
    gc.collect()
    assert gone() is None
    wait_until(lambda: "forgotten-offer" not in threads())
    assert [each for each in discovery.list_managers() if each.name == "forgotten"] == []


def test_a_long_path_or_no_unix_socket_means_tcp_with_a_token(manager, monkeypatch, tmp_path):
    deep = tmp_path / ("x" * 100)
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(deep))
    offer = FeedOffer(manager)
    try:
        [record] = discovery.list_managers()
        assert record.port
        assert len(record.token) > 20
        source = RemoteSource(record, max_age=0)
        assert list(source.runtimes) == ["a"]
        source.close()
        with pytest.raises(ConfigurationError, match="the token is wrong"):
            RemoteSource(msgspec.structs.replace(record, token="x" * 32))
    finally:
        offer.close()


# ---- who may read it


def test_another_version_is_refused_in_a_sentence(manager, record):
    connection = dial(record)
    connection.sendall(frame(encode_frame(Hello(VERSION + 1))))
    found = decode_greeting(receive(connection))
    assert isinstance(found, Refused)
    assert f"speaks version {VERSION} of the feed, this reader version {VERSION + 1}" in found.why
    assert "use the same version of agentrt for both" in found.why
    assert receive(connection) == b""


def test_a_socket_of_another_user_is_refused_by_the_reader(manager, record, monkeypatch):
    monkeypatch.setattr("agentrt.feed.connection.owner_of", lambda path: 4711)
    with pytest.raises(ConfigurationError, match=r"is of another user \(uid 4711\)"):
        Connection(record)


def test_a_reader_of_another_user_is_refused(manager, record, monkeypatch, caplog):
    monkeypatch.setattr("agentrt.feed.offer.peer_uid", lambda connection: 4711)
    connection = dial(record)
    assert receive(connection) == b""
    assert [each.message for each in caplog.records] == ["refused a reader of another user, uid 4711"]


def test_a_viewer_can_give_no_command(manager, record):
    source = RemoteSource(record, role=Role.VIEWER, max_age=0)
    with pytest.raises(AccessDeniedError, match="looking only"):
        source.command("pause", "a")
    assert not manager["a"].paused
    assert not source.capabilities & {"pause"}
    source.close()


def test_a_dead_socket_is_said(manager, record, tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    discovery.add_manager(record)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(discovery.socket_path(record)))
    dead.close()
    with pytest.raises(ConfigurationError, match=r"the manager 'offered' \(process \d+\) has ended: nobody listens"):
        RemoteSource("offered")
    discovery.socket_path(record).unlink()
    with pytest.raises(ConfigurationError, match="has ended"):
        RemoteSource("offered")


def test_what_hangs_is_said_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTRT_RUNTIME_DIR", str(tmp_path))
    record = discovery.ManagerRecord(os.getpid(), "hanging", 1, 0, "", time.time())
    discovery.add_manager(record)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(discovery.socket_path(record)))
        listener.listen()
        with pytest.raises(ConnectionEnded, match="'hanging' does not answer"):
            Connection(record, timeout=0.1)


def test_a_name_is_needed_where_there_are_several(manager):
    with RuntimeManager(loop="thread", name="second"):
        with pytest.raises(ConfigurationError, match=r"several managers run on this machine: .*say which one"):
            find_manager()
        with pytest.raises(
            ConfigurationError, match=r"no manager named 'x' runs on this machine; there are: .*offered"
        ):
            find_manager("x")
        assert find_manager("second").name == "second"


# ---- readers that are slow, many or hostile


def test_who_does_not_read_costs_nothing_and_is_told_what_it_missed(manager, record):
    connection = greeted(record)
    everything = encode_frame(Request(0, [Read(n, "snapshots", [None, True]) for n in range(3_000)]))
    connection.sendall(frame(everything))  # some megabytes of answer, which nobody takes
    [reader] = manager._offer.readers
    wait_until(lambda: len(reader._goes) > 0)
    for _ in range(50):
        connection.sendall(frame(encode_frame(Request(0))))
    other = RemoteSource(record, max_age=0)
    for _ in range(3_000):
        manager["a"].send_nowait(1, priority=True).result(60)
    assert other.frame().cursor >= 6_000
    assert 0 < len(reader._goes) < 4_000_000  # one answer; what it has asked for meanwhile was not even read
    assert len(reader._came) < 1 << 17
    other.close()


def test_who_asks_for_too_much_at_once_is_dropped(manager, record, caplog):
    manager.create("large", tuple("x" * 2_000 for _ in range(50)), add)
    connection = greeted(record)
    connection.sendall(frame(encode_frame(Request(None, [Read(n, "snapshots", [None, True]) for n in range(5_000)]))))
    assert receive(connection) == b""
    wait_until(lambda: "it asked for too much at once: 5,000 reads" in caplog.text)


def test_a_reader_that_falls_behind_is_told_how_many_it_missed(manager, record):
    manager.ring.limit = 100
    source = RemoteSource(record, max_age=0)
    before = source.frame().cursor
    for _ in range(2_000):
        manager["a"].send_nowait(1, priority=True).result(60)
    frame = source.frame(before)
    assert frame.missed > 1_000
    assert frame.missed + len(frame.records) == 4_000
    source.close()


def test_there_are_only_so_many_readers(manager, record, caplog):
    held = [greeted(record) for _ in range(MOST_READERS)]
    assert receive(dial(record)) == b""
    assert f"has {MOST_READERS} already" in caplog.text
    manager._offer.readers[3].active -= 60  # it has asked for nothing for long, and makes room
    late = greeted(record)
    assert len(manager._offer.readers) == MOST_READERS
    for each in [*held, late]:
        each.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "a frame of 1,195,725,856 bytes"),
        (LENGTH.pack(2**32 - 1), "a frame of 4,294,967,295 bytes"),
        (frame(b""), "no such frame"),
        (frame(b"\xc1"), "no such frame"),
        (frame(b"\x91" * 3_000), "no such frame"),
        (frame(encode_frame({"type": "agentrt-hello"})), "no such frame"),
    ],
    ids=["http", "large", "empty", "no-msgpack", "deep", "no-version"],
)
def test_what_is_no_hello_closes_the_connection_with_one_line(manager, record, caplog, data, words):
    connection = dial(record)
    connection.sendall(data)
    assert receive(connection) == b""
    wait_until(lambda: caplog.records)
    [line] = caplog.records
    assert words in line.message
    assert line.exc_info is None
    assert state(record, "a") == 0


@pytest.mark.parametrize(
    "request_",
    [
        {"a": 1},
        [0, [[1, "shutdown", []]]],
        [0, [[1, "snapshot", []]]],
        [0, [[1, "snapshot", [{}, {}, {}], True]]],
        [0, [[1, "form", [[1], [2]]]]],
        [0, [[1, "snapshots", [5, False]]]],
        [-(2**62), []],
        [0, [[1, "fates", []]] * 6_000],
        [0, [], ["pause", "a", 5, {}]],
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_request_concerns_its_reader_only(manager, record, request_):
    connection = greeted(record)
    connection.sendall(frame(msgspec.msgpack.encode(request_)))
    receive(connection)
    assert state(record, "a") == 0


@pytest.mark.parametrize(
    "order",
    [
        Order("burst", "a", "x", {"typed": "1", "lane": "standard", "count": 10**9, "rate": 1}),
        Order("__init__", "a", "x", {}),
        Order("pause", "a", "x", {"wings": 2}),
        Order("send", "a", "x", {"typed": [1], "lane": {}, "delay": "x"}),
        Order("undo", "", "x", {"number": "1"}, 7),
    ],
    ids=lambda order: order.name,
)
def test_a_wrong_command_is_refused_and_changes_nothing(manager, record, order):
    connection = Connection(record)
    before = manager.ring.cursor
    answer = connection.ask(Request(None, [], order))
    assert answer.failure is not None or order.ticket
    assert manager.ring.cursor == before
    connection.close()


def mutate(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(changed) + 1)
        act = chance.randrange(4)
        if act == 0:
            changed[place : place + 1] = bytes([chance.randrange(256)])
        elif act == 1:
            del changed[place : place + chance.randrange(1, 9)]
        elif act == 2:
            changed[place:place] = chance.randbytes(chance.randrange(1, 9))
        else:
            changed += changed[place : place + 20]
    return bytes(changed) if chance.random() < 0.9 else chance.randbytes(chance.randrange(200))


def test_five_thousand_random_frames_do_no_harm(manager, record, caplog):
    """To the manager's end; those to the reader's end are in test_connection."""
    caplog.set_level(logging.CRITICAL, "agentrt.feed.offer")
    chance = random.Random(16)
    good = [
        encode_frame(
            Request(0, [Read(1, "snapshot", ["a", True]), Read(2, "fates", []), Read(3, "mailbox", ["a", None, 0, 5])])
        ),
        encode_frame(Request(5, [Read(1, "snapshots", [None, False], True)], Order("pause", "a", "me", {}))),
        encode_frame(Request(None, [], Order("send", "a", None, {"typed": "1", "lane": "standard"}, 3))),
    ]
    hello = encode_frame(Hello(VERSION))

    def attack(times: int) -> None:
        connection, sent = greeted(record), 0
        while sent < times:
            data = mutate(chance, chance.choice([*good, hello]))
            try:
                connection.sendall(frame(data))
                if not receive(connection):
                    raise ConnectionResetError
            except OSError:
                connection.close()
                connection = greeted(record)
            sent += 1
        connection.close()

    attack(500)
    assert lasting_growth(lambda: attack(1_500)) < 500_000
    wait_until(lambda: not manager._offer.readers)
    assert manager._offer._thread.is_alive()
    manager["a"].resume()
    assert manager.run(manager.create("b", 1, add).ask(1)) == 2
    assert state(record, "b") == 2
