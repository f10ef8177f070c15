"""A tiny run of every measure: that the figures are there, not what they are."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentrt.engine.core import core_name
from benchmarks import __main__ as command
from benchmarks import child, cores, plot, profiling, report, rounds, targets, viewers
from benchmarks.measures import MEASURES, sessions
from benchmarks.measures.distributed import DISTRIBUTED
from benchmarks.peer import Peer
from benchmarks.peers import OURS, PEERS, beam
from benchmarks.peers.cluster import DISTRIBUTED_PEERS
from benchmarks.sizes import SMOKE
from benchmarks.stopwatch import Stopwatch
from benchmarks.work import DATACLASS, STRUCT, check
from tests.cores import needs_core

pytestmark = pytest.mark.slow

INSTALLED = [peer for peer in PEERS.values() if not peer.missing()]
BARE = [PEERS["agentrt"], PEERS["PriorityQueue"], PEERS["two deques"]]
IN_THIS_PROCESS = [name for name in MEASURES if not name.startswith(("create", "import", "first", "scale"))]


@pytest.mark.parametrize("name", IN_THIS_PROCESS)
def test_a_measure_has_a_figure_for_everyone_who_takes_part(name: str) -> None:
    measure = MEASURES[name]
    results, failed = rounds.run([measure], INSTALLED, SMOKE)
    able = [peer for peer in INSTALLED if peer.takes_part(measure.method)]
    assert failed == []
    assert set(results) == {(name, kind.name, peer.name) for kind in measure.kinds for peer in able}
    assert all(measure.main in figures for samples in results.values() for figures in samples)
    assert len(report.table(measure, results)) == 1 + len(results)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(MEASURES) - set(IN_THIS_PROCESS)))
def test_a_measure_in_a_process_of_its_own(name: str) -> None:
    results, failed = rounds.run([MEASURES[name]], BARE, SMOKE)
    assert failed == []
    assert (name, "struct", "agentrt") in results
    assert all(figures for samples in results.values() for figures in samples)


def test_every_target_points_at_what_is_measured() -> None:
    for target in targets.TARGETS:
        assert target.kind in [kind.name for kind in MEASURES[target.measure].kinds], target
        assert not target.peer or PEERS[target.peer].takes_part(MEASURES[target.peer_measure or target.measure].method)
        assert OURS.takes_part(MEASURES[target.measure].method)


def test_the_targets_of_several_nodes_point_at_what_is_measured() -> None:
    for target in targets.DISTRIBUTED_TARGETS:
        measure = DISTRIBUTED[target.measure]
        assert target.kind in [kind.name for kind in measure.kinds], target
        assert all(DISTRIBUTED_PEERS[name].takes_part(measure.method) for name in ("agentrt", target.peer) if name)


def found(ours: float, theirs: float) -> targets.Results:
    return {("one-way", "struct", "agentrt"): [{"us": ours}], ("one-way", "struct", "PriorityQueue"): [{"us": theirs}]}


@pytest.mark.parametrize(("theirs", "holds"), [(1.8, True), (1.6, False)])
def test_a_target_holds_from_its_bound_on(theirs: float, holds: bool) -> None:
    first = targets.verdict(targets.TARGETS[0], found(1.0, theirs))
    assert (first.value, first.holds) == (theirs, holds)


def test_what_was_not_measured_is_said() -> None:
    verdict = targets.verdict(targets.TARGETS[0], {})
    assert verdict.holds is None
    assert "not measured" in report.target_line(verdict)


def test_the_command_prints_and_writes(monkeypatch: Any, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setattr(command, "FULL", SMOKE)
    command.main(["one-way", "--peers", "PriorityQueue", "--json", str(tmp_path / "found.json")])
    printed = capsys.readouterr().out
    assert "one-way / PriorityQueue" in printed
    assert "python -m benchmarks --cores" in printed  # measures a target that this command can't measure
    written = json.loads((tmp_path / "found.json").read_text())
    assert [result["peer"] for result in written["results"]] == ["agentrt", "PriorityQueue"] * 2
    assert written["targets"][0]["holds"] in (True, False)


def test_a_peer_that_is_not_installed_is_named(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(command, "FULL", SMOKE)
    monkeypatch.setattr(PEERS["pykka"], "needs", "no_such_module")
    command.main(["ask", "--peers", "pykka"])
    assert "not installed: pykka" in capsys.readouterr().out


def test_without_erlang_the_beam_is_named_as_missing(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(command, "FULL", SMOKE)
    monkeypatch.setenv("PATH", "")
    command.main(["one-way", "--peers", "BEAM"])
    assert "not installed: BEAM" in capsys.readouterr().out


@pytest.mark.skipif(PEERS["BEAM"].missing(), reason="there is no erl here")
@pytest.mark.parametrize("kind", [STRUCT, DATACLASS], ids=lambda kind: kind.name)
def test_the_beam_does_all_of_the_work(kind: Any, monkeypatch: Any) -> None:
    watch = Stopwatch()
    asyncio.run(PEERS["BEAM"].one_way(kind, 20_000, watch))  # type: ignore[attr-defined]
    assert watch.cpu > 0
    assert watch.wall > 0
    monkeypatch.setattr(beam, "RUNS", 2)
    monkeypatch.setattr(beam, "erl", lambda *arguments, folder: "1 1 3")
    with pytest.raises(AssertionError, match="10 activities were sent"):
        asyncio.run(PEERS["BEAM"].one_way(kind, 5, watch))  # type: ignore[attr-defined]


def test_a_peer_that_fails_is_named_and_the_others_go_on() -> None:
    class Broken(Peer):
        name = "broken"

        async def one_way(self, *args: Any) -> None:
            raise OSError("no")

    results, failed = rounds.run([MEASURES["one-way"]], [OURS, Broken()], SMOKE)
    assert failed == ["one-way, struct, broken: OSError: no", "one-way, dataclass, broken: OSError: no"]
    assert {peer for _, _, peer in results} == {"agentrt"}


def test_a_measure_of_ours_that_fails_is_told_at_the_end_and_keeps_the_others(monkeypatch: Any, capsys: Any) -> None:
    def fails(*args: Any) -> None:
        raise OSError("no browser")

    monkeypatch.setattr(command, "FULL", SMOKE)
    monkeypatch.setattr(OURS, "asker", fails)
    with pytest.raises(SystemExit, match="itself failed"):
        command.main(["one-way", "ask", "--peers", "PriorityQueue"])
    printed = capsys.readouterr().out
    assert "one-way / PriorityQueue" in printed
    assert "failed: ask, struct, agentrt: OSError: no browser" in printed


def test_a_class_that_looks_on_has_a_line_for_each_number_of_pages(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(command, "FULL", SMOKE)
    command.main(["--viewers"])
    *_, head, line = capsys.readouterr().out.splitlines()
    assert "pages" in head
    assert line.split()[0] == "0"
    assert float(line.split()[1]) > 0
    assert line.endswith("none")


def test_a_class_of_thirty_has_the_bound_of_twenty() -> None:
    names = ("us", "us alone", "answers/s", "more %", "more wall %", "answering %")
    figures = {f"{n} {name}": 1.0 for n in (20, 30) for name in names} | {"30 more wall %": 10.1}
    *_, twenty, thirty = viewers.viewers_table({20: figures, 30: figures}).splitlines()
    assert twenty.endswith("<= 10 %: yes")
    assert thirty.endswith("<= 10 %: NO")


def test_one_page_of_a_class_is_a_real_one_and_all_look_only(monkeypatch: Any) -> None:
    opened = []

    @contextmanager
    def visitors(url: str, n: int, *, elsewhere: bool = False, niceness: int = 0) -> Iterator[None]:
        opened.append((url, n, elsewhere))
        yield

    monkeypatch.setattr(sessions, "visitors", visitors)
    server = SimpleNamespace(url="operator", view_url="viewer")
    for n in (0, 30):
        with sessions.open_pages(server, n, True):
            pass
    assert opened == [("viewer", 0, False), ("viewer", 0, True), ("viewer", 1, False), ("viewer", 29, True)]


@pytest.mark.parametrize(("option", "word"), [(["nothing"], "no measure"), (["--peers", "nobody"], "no peer")])
def test_an_unknown_name_is_refused(option: list[str], word: str) -> None:
    with pytest.raises(SystemExit, match=word):
        command.main(option)


def test_the_profile_names_the_steps(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(command, "FULL", SMOKE)
    monkeypatch.setattr(profiling, "TIMES", 1000)
    command.main(["--profile", "one-way"])
    printed = capsys.readouterr().out
    assert ("send_nowait" if core_name() == "pure" else "AGENTRT_PURE=1 shows") in printed
    assert "receipt" in printed


def test_a_core_is_measured_beside_bare_asyncio() -> None:
    def result(measure: str, peer: str, us: float) -> dict[str, Any]:
        return {"measure": measure, "kind": "struct", "peer": peer, "samples": [{"us": us}]}

    times = [("one-way", "agentrt", 2.0), ("one-way", "PriorityQueue", 1.0), ("one-way", "two deques", 9.0)]
    times += [("suspends", "agentrt", 2.0), ("suspends", "PriorityQueue", 9.0), ("suspends", "two deques", 3.0)]
    assert cores.ratios_of([result(*each) for each in times]) == {"one-way, struct": 0.5, "suspends, struct": 1.5}


@needs_core
def test_both_cores_are_measured(capsys: Any) -> None:
    command.main(["one-way", "--cores", "--rounds", "1", "--quick"])
    printed = capsys.readouterr().out
    assert "pure  compiled" in printed
    assert "one-way, struct" in printed


def test_the_plot_needs_a_scale(tmp_path: Path) -> None:
    assert "pick a scale measure" in plot.draw(tmp_path / "x.png", found(1, 1))


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figures = {"1 us": 1.0, "10 us": 2.0, "1 create us": 3.0, "10 create us": 3.0}
    path = tmp_path / "x.png"
    assert "written" in plot.draw(path, {("scale, agents", "struct", "agentrt"): [figures]})
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", [STRUCT, DATACLASS], ids=lambda kind: kind.name)
def test_messages_are_immutable(kind: Any) -> None:
    with pytest.raises(AttributeError):
        kind.make(1, 1).payload = 2


def test_work_that_was_not_done_has_no_figure() -> None:
    with pytest.raises(AssertionError, match="3 activities were sent"):
        check(2, 3)


@pytest.mark.skipif(not (child.ROOT / ".git").exists(), reason="the history is not here")
def test_the_same_measures_at_another_commit(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["one-way", "--before", "HEAD", "--rounds", "1", "--quick"])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["HEAD", "now", "ratio"]
    assert [row.partition("  ")[0] for row in rows] == ["one-way, struct", "one-way, dataclass"]
    with pytest.raises(SystemExit, match="no commit 'nothing'"):
        command.main(["one-way", "--before", "nothing"])
