"""Compiles `agentrt/engine/_core.pyx` where there is a C compiler; where there is none, the wheel is a pure one.

With AGENTRT_COMPILED=1 a failure is an error, with AGENTRT_PURE=1 nothing is compiled. `python hatch_build.py` compiles
it where it is, for an installation that is editable. What is made holds the checksum of its source, with which
`agentrt/engine/core.py` sees that it is an old one.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from hashlib import sha256
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # to compile in place it takes only Cython and setuptools
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
SOURCE = Path("agentrt", "engine", "_core.pyx")
NAME = "agentrt.engine._core"
# Each call into the interpreter goes there directly: each completion takes 5 % less.
FLAGS = ["-fno-plt"] if sys.platform == "linux" else []
SETUP = f"""
from setuptools import Extension, setup
from Cython.Build import cythonize
core = Extension({NAME!r}, [{SOURCE.name!r}], extra_compile_args={FLAGS!r})
setup(name="core", packages=[], py_modules=[], ext_modules=cythonize([core]))
"""

# Written to the end of the source: a constant of C, which is in the file that is made as it stands here.
MARK = '''

cdef extern from *:
    """
    static const char agentrt_source[] = "{checksum}";
    """
    const char* agentrt_source

SOURCE = agentrt_source.decode()
'''


def checksum(folder: Path) -> str:
    """The checksum of what is compiled: `_core.pyx` and what it includes."""
    return sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("_*.p[xy][ix]")))).hexdigest()


def compile_core(root: Path = ROOT) -> Path:
    """Compile the core of the source tree at `root`, and return the file that was made, beside its source."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise RuntimeError("the core is not compiled for a free-threaded Python: it needs the lock of the interpreter")
    made = (root / SOURCE).with_name("_core" + sysconfig.get_config_var("EXT_SUFFIX"))
    with tempfile.TemporaryDirectory() as folder:  # setuptools would read a pyproject.toml that lies where it runs
        for each in (root / SOURCE).parent.glob("_*.p[xy][ix]"):  # it includes others
            shutil.copy(each, folder)
        with Path(folder, SOURCE.name).open("a") as source:
            source.write(MARK.format(checksum=checksum((root / SOURCE).parent)))
        command = [sys.executable, "-c", SETUP, "build_ext", "--build-lib", "made"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the core could not be compiled\n{done.stdout}{done.stderr}")
        made.unlink(missing_ok=True)  # not written over: a process may have it loaded
        shutil.copy(Path(folder, "made", *NAME.split(".")[:-1], made.name), made)
    return made


class CompiledCore(BuildHookInterface):
    """Adds the compiled core to a wheel; for an editable installation it is made beside its source."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict) -> None:
        """Compile before the files of the wheel are collected."""
        if os.environ.get("AGENTRT_PURE") == "1":
            return
        try:
            made = compile_core(Path(self.root))
        except Exception as error:
            if os.environ.get("AGENTRT_COMPILED") == "1":
                raise
            self.app.display_warning(f"agentrt: only the pure core is built: {str(error).splitlines()[0]}")
            return
        if version != "editable":
            build_data.update(pure_python=False, infer_tag=True)
            build_data["artifacts"].append(made.relative_to(self.root).as_posix())


if __name__ == "__main__":
    print(compile_core())
