"""Stand-ins for the images of others, made of the distribution's programs.

A registry cannot be had everywhere, packages of the distribution can. Each stand-in has the name,
the program's place, the entrypoint and the tools (busybox) of the image it stands in for, and the
real program. Grafana alone is no package: its stand-in answers health checks and scrapes.
"""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.clone import REPOSITORY

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
BUSYBOX = Path("/bin/busybox")
PYTHON_SUITE = "trixie"
PYTHON_PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
# The newest suite whose systemd takes both versions of cgroups, as this machine may have either.
SYSTEMD_SUITE = "bookworm"
SYSTEMD_PACKAGES = (
    *("ca-certificates", "dbus", "openssl", "procps", "python3", "python3-venv"),
    *("systemd", "systemd-sysv"),
)
MACHINE_PACKAGES = ("docker.io", "docker-cli", "docker-compose", "iptables", "procps")

Docker = Callable[..., str]


@dataclass(frozen=True)
class StandIn:
    """An image of others: the program in it, where it lies there, and what else is set."""

    image: str
    program: str
    place: str
    settings: tuple[str, ...] = ()


def program_images(image_of: Callable[[str], str]) -> list[StandIn]:
    """The images of programs that the Compose files name; ``image_of`` knows a service's."""
    return [
        StandIn(image_of("victoria-metrics"), "victoria-metrics", "/victoria-metrics-prod"),
        StandIn(image_of("vmagent"), "vmagent", "/vmagent-prod"),
        StandIn(image_of("vmalert"), "vmalert", "/vmalert-prod"),
        StandIn(image_of("alertmanager"), "alertmanager", "/bin/alertmanager", ("USER nobody",)),
    ]


def build_program(docker: Docker, work: Path, programs: Path, stand_in: StandIn) -> None:
    """Build a stand-in whose program is in the folder ``programs``."""
    root = _root(work / stand_in.program)
    _copy_program(programs / stand_in.program, root, stand_in.place)
    if stand_in.program == "alertmanager":
        _copy_program(programs / "amtool", root, "/bin/amtool")
    _build(docker, root, stand_in.image, [f'ENTRYPOINT ["{stand_in.place}"]', *stand_in.settings])


def build_grafana(docker: Docker, work: Path, image: str) -> None:
    """Build what stands in for Grafana: a web server with answers for health checks and scrapes."""
    root = _root(work / "grafana")
    home = root / "usr/share/grafana"
    (home / "bin").mkdir(parents=True)
    answer = home / "answers/api/health"
    answer.parent.mkdir(parents=True)
    answer.write_text('{"database": "ok", "version": "stand-in"}\n')
    (home / "answers/metrics").write_text("grafana_stand_in 1\n")
    program = home / "bin/grafana"
    serve = 'exec httpd -f -p "$GF_SERVER_HTTP_PORT" -h /usr/share/grafana/answers'
    program.write_text(f"#!/bin/sh\n{serve}\n")
    program.chmod(0o755)
    # As the real one: a folder that is its own user's.
    data = ["RUN mkdir -p /var/lib/grafana && chown 472:0 /var/lib/grafana", "USER 472"]
    _build(docker, root, image, data)


def build_python(docker: Docker, work: Path, cache: Path, image: str) -> None:
    """Build the stand-in for Python's image: Debian with its Python, and this machine's CAs."""
    archive = _bootstrap(cache / f"{PYTHON_SUITE}-python.tar", PYTHON_SUITE, PYTHON_PACKAGES)
    docker("import", str(archive), "stand-in/debian")
    folder = work / "python"
    folder.mkdir()
    shutil.copy(CA_BUNDLE, folder)
    (folder / "Dockerfile").write_text(
        f"FROM stand-in/debian\nCOPY {CA_BUNDLE.name} {CA_BUNDLE}\n"
        "RUN ln -s python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED\n"
        'CMD ["python3"]\n'
    )
    docker("build", "--quiet", "--tag", image, str(folder))


def build_systemd(docker: Docker, work: Path, cache: Path, image: str) -> None:
    """Build a machine whose first process is systemd, with this machine's CAs."""
    packages = hashlib.sha256(" ".join(SYSTEMD_PACKAGES).encode()).hexdigest()[:12]
    archive = cache / f"{SYSTEMD_SUITE}-systemd-{packages}.tar"
    docker("import", str(_bootstrap(archive, SYSTEMD_SUITE, SYSTEMD_PACKAGES)), "stand-in/systemd")
    folder = work / "systemd"
    folder.mkdir()
    shutil.copy(CA_BUNDLE, folder)
    (folder / "Dockerfile").write_text(
        f"FROM stand-in/systemd\nCOPY {CA_BUNDLE.name} {CA_BUNDLE}\n"
        'STOPSIGNAL SIGRTMIN+3\nCMD ["/sbin/init"]\n'
    )
    docker("build", "--quiet", "--tag", image, str(folder))


def build_machine(docker: Docker, work: Path, cache: Path, python: str, image: str) -> None:
    """Build a machine with an engine and Compose of its own, once for all runs.

    By a hook of that name an engine knows the NVIDIA Container Toolkit; this one does nothing.
    """
    recipe = (
        f"FROM {python}\n"
        "RUN apt-get -q update && apt-get -q install -y --no-install-recommends "
        f"{' '.join(MACHINE_PACKAGES)} && apt-get clean\n"
        "RUN ln -s /bin/true /usr/bin/nvidia-container-runtime-hook\n"
    )
    archive = cache / f"machine-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if archive.exists():
        docker("import", str(archive), image)
        return
    folder = work / "machine"
    folder.mkdir()
    (folder / "Dockerfile").write_text(recipe)
    docker("build", "--quiet", "--tag", image, str(folder))
    container, part = docker("create", image, "true"), archive.with_suffix(".part")
    docker("export", f"--output={part}", container)
    part.rename(archive)
    docker("rm", container)


def build_registry(docker: Docker, work: Path, cache: Path, image: str) -> None:
    """Build a registry, from which machines pull as they would from the real one."""
    subprocess.run(
        ["tests/tools.sh", str(cache), "docker-registry"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    root = _root(work / "registry")
    _copy_program(cache / "docker-registry", root, "/bin/docker-registry")
    (root / "etc/registry.yml").write_text(
        'version: 0.1\nstorage: {filesystem: {rootdirectory: /registry}}\nhttp: {addr: ":5000"}\n'
    )
    serve = '["/bin/docker-registry", "serve", "/etc/registry.yml"]'
    _build(docker, root, image, [f"ENTRYPOINT {serve}", "VOLUME /registry"])


def _bootstrap(archive: Path, suite: str, packages: Iterable[str]) -> Path:
    """Make a small Debian out of packages, from where this machine has its own, once for all."""
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    part = archive.with_name(f"{archive.name}.part.tar")
    without = [f"path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")]
    subprocess.run(
        [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            *(f"--dpkgopt={option}" for option in without),
            suite,
            str(part),
            _mirror(),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return part.rename(archive)


def _mirror() -> str:
    """The package mirror of this machine, found as an install finds it."""
    script = '. deploy/native/packages.sh; package_mirror "$(package_suites | head -n 1)"'
    done = subprocess.run(
        ["bash", "-c", script], cwd=REPOSITORY, check=True, capture_output=True, text=True
    )
    return done.stdout.split()[0]


def _root(folder: Path) -> Path:
    """A root file system with busybox in it and nothing else."""
    root = folder / "root"
    for name in ("bin", "etc", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nnobody:x:65534:\n")
    shutil.copy(BUSYBOX, root / "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True)
    for applet in set(applets.stdout.split()) - {"busybox"}:
        (root / "bin" / applet).symlink_to("busybox")
    return root


def _copy_program(program: Path, root: Path, place: str) -> None:
    """Copy a program, the folder beside it where it has one, and the libraries of both."""
    program = program.resolve()
    target = root / place.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, target)
    binaries = [program]
    beside = program.with_name(f"{program.name}.d")
    if beside.is_dir():
        shutil.copytree(beside, target.with_name(f"{target.name}.d"))
        binaries.append(beside / "program")
    for library in _libraries(binaries):
        copy = root / library.lstrip("/")
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, copy)


def _libraries(programs: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for program in programs:
        listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        found.update(re.findall(r"(/[^\s:]+\.so[^\s:]*) \(0x", listing.stdout))
    return found


def _build(docker: Docker, root: Path, image: str, settings: Iterable[str]) -> None:
    file = root.parent / "Dockerfile"
    file.write_text("\n".join(["FROM scratch", "COPY root /", *settings, ""]))
    docker("build", "--quiet", "--tag", image, str(root.parent))
