"""Writes one archive that `setup.sh --offline` installs without a network: `make bundle`.

It unpacks into the folder `gpuglass`: the files of this clone, and in `offline/` what an install
would take from the internet: wheels, the programs of others, the stand-in driver; or images.
`offline/SHA256SUMS` has the checksum of every file.
"""

import argparse
import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("exporter/requirements.lock", "exporter/build.lock", "deploy/native/tools.lock")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# The C libraries of the last eight years, and those before.
GLIBC = ("2_28", "2_17")
COMPOSE = ("docker-compose.host.yml", "docker-compose.worker.yml")
DEMO = "deploy/docker/demo.yml"


class BundleError(Exception):
    """Why no archive can be made, in one line."""


def main() -> None:
    """Make the archive that the command line asks for, and print where it is."""
    arguments = _arguments()
    try:
        archive = make(arguments.out, arguments.python, arguments.docker, arguments.no_grafana)
    except (BundleError, OSError) as error:
        sys.exit(f"bundle: error: {error}")
    print(f"{archive}: {archive.stat().st_size / 2**20:.0f} MiB")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.bundle", description=__doc__)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument(
        "--python",
        action="append",
        type=_python,
        metavar="X.Y",
        help=f"a Python that machines have on which it is to be installed, as often as needed "
        f"(default: the one that runs this, {here})",
    )
    parser.add_argument(
        "--docker", action="store_true", help="images, in place of programs and wheels"
    )
    parser.add_argument(
        "--no-grafana", action="store_true", help="no Grafana, where there are no images"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder (default: dist)")
    arguments = parser.parse_args()
    if arguments.docker and (arguments.python or arguments.no_grafana):
        parser.error("--python and --no-grafana are for bundles without images")
    arguments.python = sorted(set(arguments.python or [here]), key=_order)
    return arguments


def _python(text: str) -> str:
    if not re.fullmatch(r"3\.[1-9][0-9]", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no Python from 3.10 on, such as 3.12")
    return text


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def make(out: Path, pythons: Sequence[str], docker: bool, without_grafana: bool) -> Path:
    """Write the archive into a folder, and its checksum beside it.

    Args:
        out: The folder.
        pythons: Versions such as 3.12, of which wheels are taken.
        docker: Images, in place of programs and wheels.
        without_grafana: Leave Grafana out.

    Raises:
        BundleError: A part of it cannot be had.
    """
    name = f"gpuglass-{_version()}-linux-{machine()}{'-docker' if docker else ''}.tar.gz"
    with tempfile.TemporaryDirectory(prefix="gpuglass-bundle-") as work:
        tree = Path(work) / "gpuglass"
        offline = tree / "offline"
        _copy_clone(tree)
        offline.mkdir()
        about = {
            "version": _version(),
            "machine": machine(),
            "way": "docker" if docker else "native",
        }
        if docker:
            _save_images(offline / "images.tar")
        else:
            _download_wheels(offline / "wheels", pythons)
            _fetch_programs(offline / "components", Path(work), without_grafana)
            _build_driver(offline / "simulator")
            about["pythons"] = " ".join(pythons)
        (offline / "about").write_text("".join(f"{key}={about[key]}\n" for key in about))
        seal(tree)
        return pack(tree, out, name)


def machine() -> str:
    """The architecture, as packages and releases spell it."""
    return MACHINES.get(platform.machine(), platform.machine())


def _version() -> str:
    text = (ROOT / "exporter/gpuglass/__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found
    return found[1]


def _run(what: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> str:
    """What a command prints.

    Raises:
        BundleError: It failed; with the last line of what it said.
    """
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if re.search(r"(?i)\berror\b", line)] or lines
        raise BundleError(f"{what}: {errors[-1].strip() if errors else 'it does not say why'}")
    return done.stdout


def _copy_clone(tree: Path) -> None:
    """Copy what git knows of, as it is here, and nothing that users wrote."""
    listing = _run("the clone's files", ["git", "ls-files", "-z", "--cached"])
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)


def _download_wheels(folder: Path, pythons: Sequence[str]) -> None:
    """Download the pinned wheels for this architecture and these Pythons, with checksums."""
    here = platform.machine()
    tags = [f"--platform=manylinux_{glibc}_{here}" for glibc in GLIBC]
    tags += [f"--platform=manylinux2014_{here}", f"--platform=linux_{here}"]
    folder.mkdir()
    for version in pythons:
        print(f"wheels for Python {version}", flush=True)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.write("\n".join(locked(version)))
            wanted.flush()
            _run(
                f"wheels for Python {version}",
                [
                    *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download"),
                    *("--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"),
                    *(f"--python-version={version}", "--implementation=cp"),
                    *(f"--abi=cp{version.replace('.', '')}", "--abi=abi3", "--abi=none"),
                    *(*tags, f"--dest={folder}", f"--requirement={wanted.name}"),
                ],
            )


def locked(version: str) -> Iterator[str]:
    """What the locks ask for on a version of Python, without conditions.

    pip judges conditions by the Python that runs it.
    """
    there = {"python_version": version, "python_full_version": f"{version}.0"}
    for lock in LOCKS:
        for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()):
            asked, *sums = re.split(r"\s*\\\n\s+", entry)
            requirement = Requirement(asked)
            if requirement.marker is None or requirement.marker.evaluate(there):
                yield " ".join([f"{requirement.name}{requirement.specifier}", *sums])


def _fetch_programs(folder: Path, work: Path, without_grafana: bool) -> None:
    """Have the programs of others, and Grafana's archive, as a cache of components.sh."""
    cache = Path(os.environ.get("GPUGLASS_COMPONENTS_CACHE") or ROOT / ".cache/components")
    names = _sourced("install.sh", 'printf "%s\\n" "${component_names[@]}"').split()
    if not without_grafana:
        names.append("grafana")
    script = ROOT / "deploy/native/components.sh"
    settings = {
        "GPUGLASS_COMPONENTS_CACHE": str(cache),
        "GPUGLASS_COMPONENTS_SOURCES": "release packages",
    }
    print(_run("programs", [script, work / "programs", *names], settings), end="", flush=True)
    (folder / machine()).mkdir(parents=True)
    for name in names:
        kept = cache / machine() / (_grafana_archive() if name == "grafana" else name)
        _copy_kept(kept, folder / machine())


def _sourced(part: str, command: str) -> str:
    """What a command of bash prints that knows the functions of a part of the native way."""
    return _run(part, ["bash", "-c", f"set -eu; . deploy/native/{part}; {command}"])


def _grafana_archive() -> str:
    pins = (ROOT / "deploy/native/checksums.txt").read_text()
    found = re.search(rf"grafana_\S+_linux_{machine()}\.tar\.gz", pins)
    if found is None:
        raise BundleError(f"no Grafana is pinned for {machine()}; see --no-grafana")
    return found[0]


def _copy_kept(kept: Path, folder: Path) -> None:
    """Copy a file of a cache, and the folder beside it that belongs to it."""
    if not kept.exists():
        raise BundleError(f"{kept} could not be written; is there room?")
    shutil.copy(kept, folder / kept.name)
    beside = kept.with_name(f"{kept.name}.d")
    if beside.is_dir():
        shutil.copytree(beside, folder / beside.name)


def _build_driver(folder: Path) -> None:
    """Build the stand-in driver, so that a demo needs no compiler."""
    print("stand-in driver", flush=True)
    with tempfile.TemporaryDirectory(prefix="gpuglass-build-") as build:
        _run("the stand-in driver", ["make", "-C", "simulator", f"BUILD={build}"])
        folder.mkdir()
        shutil.copy(Path(build) / "libnvidia-ml.so.1", folder)


def _save_images(file: Path) -> None:
    """Build our images, or pull those of a release, and save them with those of others."""
    compose = ["docker", "compose", "--project-directory", str(ROOT), "--profile", "*"]
    images: set[str] = set()
    # The demo's exporter hides the real one.
    for names in (COMPOSE, (*COMPOSE, DEMO)):
        files = [word for name in names for word in ("-f", str(ROOT / name))]
        how = ["build"] if "dev" in _version() else ["pull"]
        print(f"images of {' and '.join(names)}", flush=True)
        _run("images", [*compose, *files, *how, "--quiet"])
        images |= set(_run("images", [*compose, *files, "config", "--images"]).split())
    for image in sorted(images):
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode:
            print(image, flush=True)
            _run(image, ["docker", "pull", "--quiet", image])
    _run("images", ["docker", "save", "--output", str(file), *sorted(images)])


def seal(tree: Path) -> None:
    """Write the checksum of every file of a tree, in the format of sha256sum."""
    sums = tree / "offline/SHA256SUMS"
    sums.unlink(missing_ok=True)
    lines = [f"{_sha256(path)}  {path.relative_to(tree)}\n" for path in _files(tree)]
    # By its last line a list is known to be whole.
    sums.write_text("".join([*lines, "# end\n"]))


def _files(tree: Path) -> list[Path]:
    """All files, those of offline/ last: of an archive cut short, setup.sh is there to say so."""
    found = (path for path in tree.rglob("*") if path.is_file())
    return sorted(found, key=lambda path: (path.relative_to(tree).parts[0] == "offline", path))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def pack(tree: Path, out: Path, name: str) -> Path:
    """Write an archive of a tree into a folder; of the same files, the same one."""
    when = int(
        os.environ.get("SOURCE_DATE_EPOCH") or _run("git", ["git", "log", "-1", "--format=%ct"])
    )
    out.mkdir(parents=True, exist_ok=True)
    archive, part = out / name, out / f".{name}.part"
    try:
        with (
            part.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw, mtime=when) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in _files(tree):
                entry = tar.gettarinfo(path, str(path.relative_to(tree.parent)))
                entry.mode = 0o755 if entry.mode & 0o100 else 0o644
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                entry.mtime = when
                with path.open("rb") as file:
                    tar.addfile(entry, file)
        part.replace(archive)
    finally:
        part.unlink(missing_ok=True)
    archive.with_name(f"{name}.sha256").write_text(f"{_sha256(archive)}  {name}\n")
    return archive


if __name__ == "__main__":
    main()
