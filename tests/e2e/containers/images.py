"""Stand-ins for the images of others, made of the distribution's programs.

A registry cannot be had everywhere, packages of the distribution can. Each stand-in has the name,
the program's place, the entrypoint and the tools (busybox) of the image it stands in for, and the
real program. Grafana alone is no package: its stand-in answers health checks and scrapes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.clone import REPOSITORY
from tests.e2e.containers.registry import Store

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
BUSYBOX = Path("/bin/busybox")
SUITE = "trixie"
PYTHON_PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
MACHINE_PACKAGES = (
    *("docker.io", "docker-cli", "docker-compose", "iptables", "procps"),
    *("dbus", "openssl", "systemd", "systemd-sysv"),
    *("cloud-init", "git", "python3-apt"),
)
# By a hook of that name an engine knows the NVIDIA Container Toolkit; this one does nothing. Where
# systemd starts a machine, its engine waits to be started, and cloud-init does nothing.
MACHINE = f"""\
FROM stand-in/debian
RUN apt-get -q update \\
 && apt-get -q install -y --no-install-recommends {" ".join(MACHINE_PACKAGES)} \\
 && apt-get clean
RUN ln -s /bin/true /usr/bin/nvidia-container-runtime-hook \\
 && systemctl disable docker.service docker.socket containerd.service \\
 && systemctl mask systemd-modules-load.service \\
 && touch /etc/cloud/cloud-init.disabled
COPY engine.conf /etc/systemd/system/docker.service.d/
"""
ENGINE = "[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n"
_GRAFANA = """\
#!/bin/sh
exec httpd -f -p "$GF_SERVER_HTTP_PORT" -h /usr/share/grafana/answers
"""
_GRAFANA_USER = 472

Docker = Callable[..., str]


@dataclass(frozen=True)
class StandIn:
    """An image of others: the program in it, where it lies there, and what else is set."""

    image: str
    program: str
    place: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def program_images(image_of: Callable[[str], str]) -> list[StandIn]:
    """The images of programs that the Compose files name; ``image_of`` knows a service's."""
    return [
        StandIn(image_of("victoria-metrics"), "victoria-metrics", "/victoria-metrics-prod"),
        StandIn(image_of("vmagent"), "vmagent", "/vmagent-prod"),
        StandIn(image_of("vmalert"), "vmalert", "/vmalert-prod"),
        StandIn(image_of("vmauth"), "vmauth", "/vmauth-prod"),
        *(
            StandIn(image_of("vmalert").replace("vmalert", name), name, f"/{name}-prod")
            for name in ("vmbackup", "vmrestore")
        ),
        StandIn(image_of("alertmanager"), "alertmanager", "/bin/alertmanager", {"User": "nobody"}),
    ]


def put_program(store: Store, work: Path, programs: Path, stand_in: StandIn) -> None:
    """Make a stand-in whose program is in the folder ``programs``."""
    root = _root(work / stand_in.program)
    _copy_program(programs / stand_in.program, root, stand_in.place)
    if stand_in.program == "alertmanager":
        _copy_program(programs / "amtool", root, "/bin/amtool")
    settings = {"Entrypoint": [stand_in.place], **stand_in.settings}
    store.put(stand_in.image, _packed(root), settings)


def put_grafana(store: Store, work: Path, image: str) -> None:
    """Make what stands in for Grafana: a web server with answers for health checks and scrapes."""
    root = _root(work / "grafana")
    home = root / "usr/share/grafana"
    (home / "bin").mkdir(parents=True)
    answer = home / "answers/api/health"
    answer.parent.mkdir(parents=True)
    answer.write_text('{"database": "ok", "version": "stand-in"}\n')
    (home / "answers/metrics").write_text("grafana_stand_in 1\n")
    (home / "bin/grafana").write_text(_GRAFANA)
    (home / "bin/grafana").chmod(0o755)
    # As the real one: a folder that is its own user's.
    (root / "var/lib/grafana").mkdir(parents=True)
    os.chown(root / "var/lib/grafana", _GRAFANA_USER, 0)
    store.put(image, _packed(root), {"User": str(_GRAFANA_USER)})


def debian(cache: Path) -> Path:
    """The archive of a small Debian with its Python and this machine's CAs, made once for all runs.

    So it stands in for Python's image, and is what machines are made of.
    """
    hooks = (
        'ln -s python3 "$1/usr/bin/python"',
        'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        f"copy-in {CA_BUNDLE} {CA_BUNDLE.parent}",
    )
    without = [f"path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")]
    command = [
        *("mmdebstrap", "--variant=minbase", f"--include={','.join(PYTHON_PACKAGES)}"),
        *(f"--customize-hook={hook}" for hook in hooks),
        # The last as images of Debian have it: what is made here need not survive a power cut.
        *(f"--dpkgopt={option}" for option in (*without, "force-unsafe-io")),
    ]
    archive = cache / f"debian-{_key(' '.join(command), CA_BUNDLE.read_bytes())}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part.tar")
        subprocess.run(
            [*command, SUITE, str(part), _mirror()], check=True, capture_output=True, text=True
        )
        part.rename(archive)
    return archive


def build_machine(docker: Docker, work: Path, cache: Path, base: Path, image: str) -> None:
    """Build a machine with an engine and Compose, and with systemd, once for all runs.

    Args:
        docker: Runs ``docker`` with arguments.
        work: A folder for what is needed on the way.
        cache: Where what was built once is kept.
        base: The archive that ``debian`` gave.
        image: The name of what is built.
    """
    archive = cache / f"machine-{_key(MACHINE + ENGINE, base.name.encode())}.tar"
    if archive.exists():
        docker("import", str(archive), image)
        return
    docker("import", str(base), "stand-in/debian")
    folder, part = work / "machine", archive.with_suffix(".part")
    folder.mkdir()
    (folder / "Dockerfile").write_text(MACHINE)
    (folder / "engine.conf").write_text(ENGINE)
    docker("build", "--quiet", "--tag", image, str(folder))
    container = docker("create", image, "true")
    docker("export", f"--output={part}", container)
    part.rename(archive)
    docker("rm", container)


def _key(recipe: str, *parts: bytes) -> str:
    return hashlib.sha256(b"\0".join((recipe.encode(), *parts))).hexdigest()[:12]


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


def _packed(root: Path) -> Path:
    """The archive of a root file system, beside it."""
    archive = root.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(root, ".")
    return archive
