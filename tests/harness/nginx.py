"""A real nginx with TLS in front of a server, with the configuration that the documentation shows.

`python -m tests.harness.nginx --install` gets one from the system's packages where there is none.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness.browser import apt_install
from tests.harness.place import ROOT, free_port
from tests.harness.wait import PATIENCE, wait_until

MISSING = "there is no nginx on this machine; `python -m tests.harness.nginx --install` tries to get one"
RECIPE = ROOT / "docs" / "remote.md"
AROUND = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{ access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
{recipe}
}}
"""


def find() -> str | None:
    """The program, if there is one; Debian has it where only root looks."""
    return shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if Path(path).exists()), None)


class Nginx:
    """nginx as in the documentation's recipe, in a folder of its own."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.port = free_port()
        recipe = re.search(r"```nginx\n(.*?)```", RECIPE.read_text(encoding="utf-8"), re.DOTALL).group(1)
        certificate = [f"{folder}/{name}.pem" for name in ("key", "certificate")]
        _certify(*certificate)
        for said, here in (
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("/etc/ssl/my-machine.key", certificate[0]),
            ("/etc/ssl/my-machine.pem", certificate[1]),
            ("http://127.0.0.1:5006/", f"http://127.0.0.1:{upstream}/"),
        ):
            assert said in recipe, f"the recipe has no {said}"
            recipe = recipe.replace(said, here)
        config = folder / "nginx.conf"
        config.write_text(AROUND.format(folder=folder, recipe=recipe))
        self.log = folder / "error.log"
        self.process = subprocess.Popen(
            [find() or "nginx", "-p", str(folder), "-e", str(self.log), "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._runs, what="nginx is there")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def _runs(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"nginx ended: {self.log.read_text() if self.log.exists() else 'no log'}")
        return (self.log.parent / "pid").exists()


def _certify(key: str, certificate: str) -> None:
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    named = ["-days", "2", "-subj", "/CN=my-machine", "-keyout", key, "-out", certificate]
    subprocess.run([*new, *named], check=True, capture_output=True)


if __name__ == "__main__":
    if find() is None and "--install" in sys.argv:
        apt_install("nginx-light")
    print(find() or MISSING)
