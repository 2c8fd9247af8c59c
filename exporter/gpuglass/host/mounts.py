"""The machine's mounts, and which of them are worth publishing."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_ESCAPE = re.compile(rb"\\([0-7]{3})")

# Views of the kernel's own state: they have no space that could run out.
_KERNEL = (
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl "
    "hugetlbfs mqueue nfsd nsfs pidfs proc pstore resctrl rootfs rpc_pipefs securityfs selinuxfs "
    "smackfs sysfs tracefs fuse.lxcfs"
)
# Images that are full by design, and ramfs, which has no size.
_WITHOUT_SPACE = "iso9660 squashfs fuse.snapfuse ramfs"
_IGNORED_TYPES = frozenset((_KERNEL + " " + _WITHOUT_SPACE).split())

# The kernel's own trees; what container engines mount for one container; what systemd mounts for
# one unit or one login. The last two come and go, and lie on file systems that are published.
_IGNORED_PLACES = re.compile(
    r"/(proc|sys)(/.*)?"
    r"|/var/lib/(docker|containerd|containers/storage|kubelet|rancher|lxcfs)/.*"
    r"|(/var)?/run/(docker|containerd|containers|netns|credentials|user)/.*"
    r"|/home/[^/]+/\.local/share/(docker|containers)/.*"
    # The same engines with their data elsewhere.
    r"|/.*/overlay2?/\w+/merged"
    r"|/.*/containers/[0-9a-f]{64}/mounts/\w+"
)


class Mount(NamedTuple):
    """One mounted file system.

    Attributes:
        path: Where it is mounted, as the kernel has it.
        mountpoint: The same, as text.
        device: What is mounted.
        fstype: The type of the file system.
        number: The kernel's number of the device, ``major:minor``, one for each file system.
        options: Options of the mount and of the file system.
    """

    path: bytes
    mountpoint: str
    device: str
    fstype: str
    number: bytes
    options: frozenset[bytes]


def unescape(field: bytes) -> bytes:
    r"""Undo the kernel's escapes, such as ``\040`` for a space."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def parse(content: bytes) -> list[Mount]:
    """Read a ``mountinfo`` file; malformed lines are left out.

    Raises:
        ValueError: None of its lines is readable.
    """
    mounts = [mount for mount in map(_mount, content.split(b"\n")) if mount]
    if not mounts:
        raise ValueError("no mount is readable")
    return mounts


def _mount(line: bytes) -> Mount | None:
    fields = line.split(b" ")
    try:
        end = fields.index(b"-", 6)  # optional fields stand before it
        fstype, device, options = fields[end + 1 : end + 4]
    except ValueError:
        return None
    path = unescape(fields[4])
    return Mount(
        path,
        _text(path),
        _text(unescape(device)),
        _text(unescape(fstype)),
        fields[2],
        frozenset(fields[5].split(b",") + options.split(b",")),
    )


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def worthwhile(mounts: Iterable[Mount]) -> list[Mount]:
    """Choose the mounts to publish, sorted by mountpoint.

    Of mounts on the same place the last hides the others. Of several places that show the same file
    system (bind mounts, subvolumes) the one with the shortest name stays.
    """
    visible = {mount.mountpoint: mount for mount in mounts}.values()
    chosen: dict[bytes, Mount] = {}
    for mount in sorted(visible, key=lambda mount: (len(mount.mountpoint), mount.mountpoint)):
        if not _ignored(mount):
            chosen.setdefault(mount.number, mount)
    return sorted(chosen.values(), key=lambda mount: mount.mountpoint)


def _ignored(mount: Mount) -> bool:
    return (
        mount.fstype in _IGNORED_TYPES
        or _IGNORED_PLACES.fullmatch(mount.mountpoint) is not None
        or _private(mount)
    )


def _private(mount: Mount) -> bool:
    """Tell a user's own FUSE mount, which nobody else may read, root included."""
    return (
        mount.fstype.split(".")[0] in ("fuse", "fuseblk")
        and b"user_id=0" not in mount.options
        and b"allow_other" not in mount.options
    )
