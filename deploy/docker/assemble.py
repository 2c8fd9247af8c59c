"""Gathers what a Python program needs into a root file system, without shell or packages.

    assemble.py ROOT TREE_OR_PROGRAM...
    assemble.py --onto BASE ROOT TREE_OR_PROGRAM...

Python itself comes along: interpreter, standard library, and of each the shared libraries. So do
certificates, users, and the few files by which a container runtime recognizes the distribution.
What goes onto a BASE, which such a call has made, is only what that has not.
Run in a stage of an image's build, on a distribution with glibc.
"""

import argparse
import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_STDLIB = Path(sysconfig.get_path("stdlib"))
# What nothing of ours imports, and of others only their tests, or what compiles and draws.
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "config-*", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "sitecustomize.py", "test", "tests", "tkinter", "turtledemo", "_tkinter.*",
    "_test*.so", "_ctypes_test*", "xxlimited*", "_curses*.so", "readline.*.so",
)  # fmt: skip
# By debian_version and ld.so.conf the NVIDIA Container Toolkit knows where a driver belongs.
_ETC = (
    "debian_version", "group", "host.conf", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "passwd",
    "protocols", "services", "ssl/certs/ca-certificates.crt",
)  # fmt: skip
_MERGED = ("bin", "lib", "lib64", "sbin")


def main(root: Path, added: Sequence[Path], base: Path | None) -> None:
    """Fill ``root``, which has to be empty or missing; with a ``base``, by what that has not."""
    missing = [str(path) for path in added if not path.exists()]
    if missing:
        sys.exit(f"assemble.py: error: {', '.join(missing)}: not here")
    if base is None:
        _begin(root)
    for path in added:
        _copy(root, path)
    for library in sorted(_libraries(root)):
        if base is None or not (base / library.relative_to("/")).exists():
            _copy(root, library)
    _compile(root)
    # The loader looks where the distribution's libraries are without being told, too.
    if base is None:
        subprocess.run(["ldconfig", "-r", root], check=True)


def _begin(root: Path) -> None:
    """Make what every root has, Python among it."""
    for name in _MERGED:
        _directory(root, Path("/usr") / name)
        (root / name).symlink_to(f"usr/{name}")
    for folder in ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib"):
        _directory(root, Path(folder))
    (root / "tmp").chmod(0o1777)
    for name in _ETC:
        _copy(root, Path("/etc") / name)
    _copy(root, Path("/usr/lib/os-release"))
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    _copy_interpreter(root)
    _copy(root, _STDLIB)


def _directory(root: Path, path: Path) -> None:
    (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)


def _copy(root: Path, path: Path) -> None:
    """Copy a tree, or a file under the name that it is asked for by; leave out what is not here."""
    target = root / path.relative_to("/")
    if target.exists() or not path.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True, ignore=_ignored)
    else:
        shutil.copy(path, target)


def _ignored(folder: str, names: list[str]) -> set[str]:
    """Only the standard library is thinned out: what we install is all needed."""
    return set(_LEFT_OUT(folder, names)) if Path(folder).is_relative_to(_STDLIB) else set()


def _copy_interpreter(root: Path) -> None:
    """Copy the program, and give it the name by which it is called."""
    named = Path(sys.base_prefix, "bin/python3")
    program = named.resolve()
    _copy(root, program)
    (root / named.relative_to("/")).symlink_to(program)


def _libraries(root: Path) -> set[Path]:
    """The shared libraries that the programs and modules in ``root`` need."""
    found: set[Path] = set()
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if path.is_symlink() or not _is_elf(path):
                continue
            listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
            if "not found" in listing.stdout:
                sys.exit(f"assemble.py: error: {path} needs what is not here:\n{listing.stdout}")
            found.update(map(Path, re.findall(r"(/\S+\.so\S*) \(0x", listing.stdout)))
    # By folders that are no links, such as /lib: a layer must not put a folder in a link's place.
    return {path.parent.resolve() / path.name for path in found if not path.is_relative_to(root)}


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _compile(root: Path) -> None:
    """Compile all modules; nothing can be written in a container that is read only."""
    compileall.compile_dir(
        root,
        stripdir=str(root),
        prependdir="/",
        quiet=1,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="assemble.py", description=__doc__)
    parser.add_argument("--onto", type=Path, metavar="BASE")
    parser.add_argument("root", type=Path)
    parser.add_argument("added", type=Path, nargs="+")
    chosen = parser.parse_args()
    main(chosen.root, chosen.added, chosen.onto)
