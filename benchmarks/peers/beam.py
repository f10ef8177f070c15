"""A process of the BEAM, the machine of Erlang, that keeps the same books; `beam.erl` is its program.

Equal are: a message record with a number and the time of its creation; two lanes with fairness between them, into which
whatever has come is sorted before the next activity starts; how many wait in each; the check of the new state and an
error that is caught; counts of what was accepted, started, done and failed; three clock reads; two histograms with 16
buckets to an octave; a ring of the last 20,000 records, two for each activity; a status that anybody may read; and an
outcome for whoever waits, which is one in 1,000.

Not there, as a process of the BEAM has no need or no way: a bound of the lanes, a lock, a receipt for each message, a
deadline, the sender of a message found out. Sender and agent share one scheduler, as they share one thread here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from ..peer import Peer
from ..sizes import BURST
from ..stopwatch import Stopwatch
from ..work import Kind, check

PROGRAM = Path(__file__).with_name("beam.erl")
ONE_SCHEDULER = ("+S", "1:1", "+sbwt", "none")  # it sleeps when there is nothing to do: waiting costs no processor time
RUNS = 10  # its processor time comes in whole milliseconds


def erl(*arguments: str, folder: str | None = None) -> str:
    """What a run of the BEAM prints."""
    command = ["erl", *ONE_SCHEDULER, "-noshell", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


@cache
def program() -> tempfile.TemporaryDirectory[str]:
    """A folder with the compiled program."""
    folder = tempfile.TemporaryDirectory(prefix="beam-")
    subprocess.run(["erlc", "-o", folder.name, str(PROGRAM)], check=True, timeout=300)
    return folder


class Beam(Peer):
    name = "BEAM"

    def missing(self) -> bool:
        """Whether there is no Erlang, or one without a compiler."""
        return shutil.which("erl") is None or shutil.which("erlc") is None

    def version(self) -> str:
        """The release of Erlang/OTP."""
        return erl("-eval", "io:put_chars(erlang:system_info(otp_release)), halt().")

    async def one_way(self, kind: Kind, n: int, watch: Stopwatch) -> None:
        said = erl("-s", "beam", "main", kind.name, str(BURST), str(RUNS), str(n), folder=program().name)
        milliseconds, microseconds, state = map(int, said.split())
        check(state, n * RUNS)
        watch.cpu += milliseconds / 1e3 / RUNS
        watch.wall += microseconds / 1e6 / RUNS
