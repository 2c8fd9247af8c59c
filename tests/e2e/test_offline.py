"""An install out of a bundle, where there is no network, and nothing that looks for one."""

import hashlib
import json
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from deploy import bundle
from tests.e2e.clone import Clone, give_away, wait_for
from tests.e2e.island import RESOLVER, Island, NoIslandError

from gpuglass import __version__

HERE = platform.python_version().rpartition(".")[0]
CUT = b"all from a certain line on"
NATIVE = ("--offline", "--no-docker")
_FETCH = """\
import json, sys, urllib.request as r
request = r.Request(sys.argv[1], headers=json.loads(sys.argv[2]))
print(r.urlopen(request, timeout=10).read().decode())
"""
_REACH = """\
import socket
try:
    socket.getaddrinfo("updates.example.org", 443)
except OSError:
    pass
for family, address in ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8:1::1")):
    with socket.socket(family) as attempt:
        attempt.settimeout(0.5)
        try:
            attempt.connect((address, 443))
        except OSError:
            pass
"""


class Unpacked(Clone):
    """What a bundle unpacks into, on an island or not."""

    def __init__(
        self, archive: Path, island: Island | None = None, *, cut_short: bool = False
    ) -> None:
        self.archive, self._island, self._cut_short = archive, island, cut_short
        self.entry = island.entry if island else ()
        folder = Path(tempfile.mkdtemp(prefix="gpuglass-e2e-"))
        folder.chmod(0o755)
        super().__init__(folder, folder / "no cache")

    def _copy(self) -> None:
        self.home.mkdir()
        self.folder.mkdir()
        subprocess.run(
            ["tar", "-xzf", self.archive, "--strip-components=1", "-C", self.folder],
            check=not self._cut_short,
            capture_output=True,
        )
        give_away(self.folder.parent)

    def environment(self) -> dict[str, str]:
        """Where nothing is kept, and pip is told to look elsewhere."""
        kept = {k: v for k, v in super().environment().items() if not k.startswith("PIP_")}
        del kept["GPUGLASS_COMPONENTS_CACHE"]
        return {**kept, "PIP_INDEX_URL": "http://192.0.2.1/simple", "PIP_RETRIES": "0"}

    def fetch(self, url: str, headers: Mapping[str, str]) -> str:
        """The same, on the island."""
        assert self._island
        done = self._island.run(_FETCH, url, json.dumps(dict(headers)))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *role: str, env: Mapping[str, str] | None = None) -> str:
        """What an install prints; an error if it fails."""
        code, output = self.setup(*NATIVE, *role, env=env)
        assert code == 0, output + self.logs()
        return output

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.home.glob("gpuglass-setup.*"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as `make bundle` writes it, but for Grafana, which tests do not download."""
    return bundle.make(tmp_path_factory.mktemp("dist"), [HERE], docker=False, without_grafana=True)


@pytest.fixture(scope="module")
def island() -> Iterator[Island]:
    try:
        made = Island()
    except (NoIslandError, OSError) as reason:
        pytest.skip(f"no network of its own can be had here: {reason}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(archive: Path, island: Island) -> Iterator[Unpacked]:
    """The one install of this module."""
    made = Unpacked(archive, island)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def spoiled(archive: Path) -> Iterator[Unpacked]:
    """One that is damaged, and mended, by each test."""
    made = Unpacked(archive)
    yield made
    made.remove()


def test_the_island_notes_what_leaves(island: Island) -> None:
    island.run(_REACH)
    found = set(island.attempts())
    assert f"udp {RESOLVER}:53 updates.example.org" in found
    assert {"tcp 198.51.100.1:443", "tcp [2001:db8:1::1]:443"} <= found


def test_the_archive_says_what_it_is(archive: Path) -> None:
    assert archive.name == f"gpuglass-{__version__}-linux-{bundle.machine()}.tar.gz"
    digest, name = archive.with_name(f"{archive.name}.sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(archive.read_bytes()).hexdigest(), archive.name)


def test_a_worker(site: Unpacked) -> None:
    output = site.install("--worker", "--demo")
    assert "The exporter answers." in output
    assert list(site.pids()) == ["exporter"]
    driver = next(site.prefix.glob("simulator-*/libnvidia-ml.so.1"))
    assert driver.read_bytes() == (site.folder / "offline/simulator" / driver.name).read_bytes()
    site.setup("--uninstall", "--purge")


def test_a_host(site: Unpacked) -> None:
    output = site.install("--host")
    assert "VictoriaMetrics answers." in output
    assert "no dashboards: grafana cannot be had (grafana: not in " in output
    kept = site.folder / "offline/components" / bundle.machine()
    for program in kept.iterdir():
        if program.is_file():
            assert (site.prefix / "bin" / program.name).read_bytes() == program.read_bytes()


def test_a_single_node(site: Unpacked) -> None:
    output = site.install("--single-node", "--demo", env={"GPUGLASS_STORAGE": "tiered"})
    assert output.count("NVIDIA H200") == 8
    wait_for("eight GPUs", lambda: site.query("count(gpu_info) == 8"))
    # What is there already does not ask for a bundle.
    code, output = site.setup("--single-node", "--demo", "--no-docker")
    assert (code, "Already running, nothing changed" in output) == (0, True), output


@pytest.fixture
def newer(archive: Path) -> Iterator[Unpacked]:
    """The bundle of a later version, unpacked elsewhere."""
    made = Unpacked(archive)
    for name in ("exporter/gpuglass/__init__.py", "offline/about"):
        path = made.folder / name
        path.write_text(path.read_text().replace(__version__, "99.0.0"))
    yield made
    made.remove()


def test_an_upgrade_keeps_the_data_and_drops_what_is_gone(site: Unpacked, newer: Unpacked) -> None:
    first = site.query("tfirst_over_time(gpu_up[1h])")
    (site.folder / "victoriametrics/targets/mine.yml").write_text('- targets: ["127.0.0.1:9"]\n')
    gone = Path("victoriametrics/rules/alerts/links.yml")
    (newer.folder / gone).unlink()
    bundle.seal(newer.folder)
    subprocess.run(["cp", "-R", f"{newer.folder}/.", site.folder], check=True)
    (site.folder / "offline/wheels/left-1.0-py3-none-any.whl").touch()
    give_away(site.folder)
    assert (site.folder / gone).exists()
    site.install("--single-node", "--demo")
    assert not (site.folder / gone).exists()
    assert not (site.folder / "offline/wheels/left-1.0-py3-none-any.whl").exists()
    assert (site.folder / "victoriametrics/targets/mine.yml").exists()
    assert "99.0.0" in site.gpuglass("--version")
    assert site.query("tfirst_over_time(gpu_up[1h])")[0]["value"][1] == first[0]["value"][1]
    (site.folder / "victoriametrics/targets/mine.yml").unlink()


def test_nothing_looks_for_the_internet(site: Unpacked, island: Island) -> None:
    """Since the first install on this island, whatever was done and asked."""
    wait_for("rules", lambda: "GPUStackWatchdog" in site.gpuglass("alerts", "list"), 120)
    site.gpuglass("status")
    site.gpuglass("targets", "check")
    site.gpuglass("enrol", "127.0.0.1")
    site.command("doctor")
    wait_for("all programs", lambda: site.query("count(up == 1) == count(up)"))
    assert "<html" in site.fetch(f"http://127.0.0.1:{site.ports['exporter']}/", {})
    wait_for(
        "the tiers", lambda: site.query("gpuglass_keeper_rollup_last_success_timestamp_seconds")
    )
    assert island.attempts() == []


def test_nothing_stays(site: Unpacked) -> None:
    code, output = site.setup("--uninstall", "--purge")
    assert code == 0, output
    assert not site.prefix.exists()
    assert list(site.home.iterdir()) == []


def refused(clone: Clone, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """The one line with which it refuses, and nothing made."""
    line = clone.fails("--offline", *(arguments or ("--single-node",)), env=env)
    assert not clone.prefix.exists()
    assert list(clone.home.iterdir()) == []
    return line


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("victoriametrics/scrape.yml", b"# one more line\n", " is not as it was made;"),
        ("setup.sh", b"# one more line\n", " is not as it was made;"),
        ("offline/wheels/pip-*.whl", None, " is missing;"),
        ("offline/components/*/vmagent", None, " is missing;"),
        ("offline/about", b"machine=other\n", " is not as it was made;"),
        ("offline/SHA256SUMS", b"nonsense\n", " is not as it was made;"),
        ("offline/SHA256SUMS", None, " is missing;"),
        ("offline/SHA256SUMS", CUT, " is not as it was made;"),
    ],
)
def test_damaged(spoiled: Unpacked, name: str, damage: bytes | None, told: str) -> None:
    (path,) = spoiled.folder.glob(name)
    content, mode = path.read_bytes(), path.stat().st_mode
    path.unlink()
    if damage is not None:
        path.write_bytes(content[: content.index(b"\n") + 1] if damage is CUT else content + damage)
        path.chmod(mode)
    try:
        line = refused(spoiled)
    finally:
        path.write_bytes(content)
        path.chmod(mode)
    assert f"{path.relative_to(spoiled.folder)}{told}" in line


def test_cut_short(archive: Path, tmp_path: Path) -> None:
    part = tmp_path / archive.name
    part.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    made = Unpacked(part, cut_short=True)
    try:
        assert re.search(
            r"offline/\S+ is (missing|not as it was made), and \d+ more", refused(made)
        )
    finally:
        made.remove()


def test_of_another_machine(spoiled: Unpacked) -> None:
    about = spoiled.folder / "offline/about"
    text = about.read_text()
    about.write_text(text.replace(f"machine={bundle.machine()}", "machine=riscv64"))
    bundle.seal(spoiled.folder)
    try:
        line = refused(spoiled)
    finally:
        about.write_text(text)
        bundle.seal(spoiled.folder)
    assert f"this bundle is for riscv64, and this machine is {bundle.machine()};" in line


def test_of_another_python(spoiled: Unpacked, tmp_path: Path) -> None:
    newer = spoiled.folder.parent / "python"
    newer.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.99.1 || echo 3.99\n')
    newer.chmod(0o755)
    line = refused(spoiled, *NATIVE[1:], "--worker", env={"GPUGLASS_PYTHON": str(newer)})
    assert f"this bundle is for Python {HERE}, and Python 3.99.1 is what is here;" in line


def test_of_the_other_way(spoiled: Unpacked) -> None:
    assert "make bundle DOCKER=yes" in refused(spoiled, "--worker", "--docker")


def test_no_bundle(clone: Clone) -> None:
    assert "holds no bundle; make one where there is internet" in refused(clone)


@pytest.mark.parametrize("other", ["--status", "--build"])
def test_what_it_does_not_go_with(clone: Clone, other: str) -> None:
    role = [] if other == "--status" else ["--single-node"]
    line = clone.fails("--offline", other, *role, code=2)
    assert "--offline goes with --single-node, --host and --worker" in line
