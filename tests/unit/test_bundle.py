"""What goes into a bundle, and that the same goes into the same."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from deploy import bundle
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


def tree(folder: Path, mtime: int) -> Path:
    """Some files, written at a time of their own."""
    made = folder / "gpuglass"
    for name, mode in (("setup.sh", 0o775), ("README.md", 0o600), ("offline/wheels/a.whl", 0o644)):
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(mode)
        os.utime(path, (mtime, mtime))
    bundle.seal(made)
    return made


def test_the_same_files_make_the_same_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    made = [
        bundle.pack(tree(tmp_path / str(mtime), mtime), tmp_path / f"out-{mtime}", "b.tar.gz")
        for mtime in (1, 2)
    ]
    assert made[0].read_bytes() == made[1].read_bytes()
    with tarfile.open(made[0]) as tar:
        modes = {member.name: member.mode for member in tar}
    assert modes == {
        "gpuglass/README.md": 0o644,
        "gpuglass/setup.sh": 0o755,
        "gpuglass/offline/SHA256SUMS": 0o644,
        "gpuglass/offline/wheels/a.whl": 0o644,
    }
    assert list(modes)[:2] == ["gpuglass/README.md", "gpuglass/setup.sh"], "the rest may be cut off"


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_each_package_is_taken_once_and_by_its_checksum(version: str) -> None:
    lines = list(bundle.locked(version))
    names = [Requirement(line.partition(" --hash")[0]).name for line in lines]
    assert len(names) == len(set(names))
    assert {"aiohttp", "hatchling", "multidict", "pip", "supervisor"} <= set(names)
    assert ("async-timeout" in names) == (version == "3.10")
    assert all(" --hash=sha256:" in line for line in lines)


def test_the_supervisor_is_the_one_that_setup_asks_for() -> None:
    script = (ROOT / "deploy/native/install.sh").read_text()
    (version,) = re.findall(r"^readonly supervisor_version=(\S+)$", script, re.MULTILINE)
    assert f"supervisor=={version} \\\n" in (ROOT / "deploy/native/tools.lock").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--python", "3.9"], "argument --python: '3.9' is no Python from 3.10 on, such as 3.12"),
        (["--python", "new"], "argument --python: 'new' is no Python from 3.10 on, such as 3.12"),
        (["--docker", "--no-grafana"], "--python and --no-grafana are for bundles without images"),
    ],
)
def test_what_cannot_be_asked_for(arguments: list[str], told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.bundle", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(f"error: {told}")
