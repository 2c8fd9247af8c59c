"""Runs of components.sh with a PATH and a release server of their own."""

import hashlib
import io
import os
import platform
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.clone import REPOSITORY
from tests.ports import free_port

SCRIPT = REPOSITORY / "deploy/native/components.sh"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
ARCHIVE = f"victoria-metrics-linux-{ARCHITECTURE}-v1.0.0.tar.gz"


def write_program(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


class Case:
    """One run of components.sh with a PATH and a release server of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "path"
        self.dest = folder / "dest"
        self.releases = folder / "releases"
        self.checksums = folder / "checksums.txt"
        self.environment = {
            "PATH": f"{self.path}:{os.defpath}",
            "GPUGLASS_COMPONENTS_SOURCES": "path release",
            "GPUGLASS_RELEASE_URL": f"http://127.0.0.1:{free_port()}",
            "GPUGLASS_RELEASE_CHECKSUMS": str(self.checksums),
        }
        self.checksums.touch()

    def release(self, content: bytes, *, checksum: str = "") -> None:
        self.releases.joinpath("v1.0.0").mkdir(parents=True)
        archive = self.releases / "v1.0.0" / ARCHIVE
        with tarfile.open(archive, "w:gz") as tar:
            member = tarfile.TarInfo("victoria-metrics-prod")
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        checksum = checksum or hashlib.sha256(archive.read_bytes()).hexdigest()
        self.checksums.write_text(f"# pinned\n{checksum}  {ARCHIVE}\n")

    def run(self, *names: str) -> tuple[int, str]:
        done = subprocess.run(
            [SCRIPT, self.dest, *(names or ["victoria-metrics"])],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def installed(self) -> Path:
        return self.dest / "bin/victoria-metrics"


@contextmanager
def served(folder: Path) -> Iterator[Case]:
    """A case whose releases are served, under both names."""
    made = Case(folder)
    made.releases.mkdir()
    handler_class = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = partial(handler_class, directory=str(made.releases))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("GPUGLASS_RELEASE_URL", "GPUGLASS_GRAFANA_RELEASE_URL"):
            made.environment[name] = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
