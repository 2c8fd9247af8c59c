"""What the path of a process's cgroup says: its container, its pod, its Slurm job.

A path is matched part by part and never from its beginning: seen from another cgroup namespace it
starts with ``/../..``, and an engine inside a container puts its own parts behind those of the
outer one. So the last part that names a container is the process's own.
"""

import re
from typing import NamedTuple


class Group(NamedTuple):
    """What a process's cgroup says.

    Attributes:
        container: The container's id, 64 hex digits for most engines, or a machine's name.
        pod: The pod's uid, with dashes as Kubernetes writes it.
        job_id: The Slurm job's id.
        sluid: The Slurm job's SLUID, where the path has that in place of the id (from Slurm 26.05).
        of_user: Whether a user may have named container and pod, and like somebody else's.
    """

    container: str = ""
    pod: str = ""
    job_id: str = ""
    sluid: str = ""
    of_user: bool = False


# docker-ID.scope, cri-containerd-ID.scope, libpod-payload-ID, kubepods-podU.slice:docker:ID, ID
_CONTAINER = re.compile(r"(?:.*[:-])?([0-9a-f]{64})(?:\.scope)?")
# The monitor of a container, the slice of a podman pod: neither is a container.
_NO_CONTAINER = re.compile(r"conmon|libpod_pod")
_NAMED = (
    re.compile(r"lxc\.payload\.(.+)"),
    # libvirt's names of machines: the driver, a number that grows with each start, the name.
    re.compile(r"machine-(?:(?:qemu|lxc)\\x2d\d+\\x2d)?(.+)\.scope"),
    re.compile(r"systemd-nspawn@(.+)\.service"),
)
_LXC = ("lxc", "lxc.payload")  # the next part is the container's name
_DEFAULT = re.compile(r"(?:/\.\.)*/default/(\w[\w.-]*)", re.ASCII)  # containerd's own namespace
_ECS = re.compile(r"[0-9a-f]{32}-\d+")
_POD = re.compile(
    r"(?:.*-)?pod([0-9a-f]{8}[-_]?(?:[0-9a-f]{4}[-_]?){3}[0-9a-f]{12})(?:[^0-9a-f].*)?"
)
_JOB = re.compile(
    r"/slurm(?:_[^/]+)?/uid_\d+/job_(\d+)(?![^/])"
    r"|slurmstepd\.scope/(?:job_(\d+)|(s[0-9A-HJKMNP-TV-Z]{13}))(?![^/])",
    re.ASCII,
)
# Below these a user names the groups, and could name them like a job's.
_OF_USERS = re.compile(r"/(?:user\.slice|user@\d+\.service)/")
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")
_DELETED = " (deleted)"
_PREFERRED = ("", "memory", "pids", "name=systemd")


def parse(text: str) -> Group:
    """Read ``/proc/PID/cgroup``; a line that is not the kernel's says nothing.

    Version 2 has one line. Version 1 has one for each hierarchy, and some of them may lie outside
    the container or the job: the line that leads through the most containers is believed first.
    Slurm on version 1 shows itself only in the hierarchies that it manages.
    """
    found = [(_containers(path), path) for path in _paths(text)]
    found.sort(key=lambda line: -len(line[0]))
    paths = [path for _, path in found]
    innermost = found[0][0][-1:] if found else []
    pod = next(filter(None, map(_pod, paths)), "")
    job_id, sluid = next(filter(any, map(_job, paths)), ("", ""))
    of_user = bool(innermost or pod) and any(map(_is_of_user, paths))
    return Group("".join(innermost), pod, job_id, sluid, of_user)


def _paths(text: str) -> list[str]:
    """The paths of all hierarchies, the most telling one first."""
    lines = [line.split(":", 2) for line in text.split("\n")]
    usable = [(fields[1], fields[2]) for fields in lines if len(fields) == 3]
    usable.sort(key=lambda line: _rank(line[0]))
    return [path.removesuffix(_DELETED) for _, path in usable]


def _rank(controllers: str) -> int:
    names = controllers.split(",")
    return next((rank for rank, name in enumerate(_PREFERRED) if name in names), len(_PREFERRED))


def _containers(path: str) -> list[str]:
    """The ids or names of the containers that a path leads through, the innermost last."""
    default = _DEFAULT.fullmatch(path)
    if default:
        return [default[1]]
    parts = path.split("/")
    pairs = zip(["", *parts], parts, strict=False)
    return list(filter(None, (_container(before, part, path) for before, part in pairs)))


def _container(before: str, part: str, path: str) -> str:
    if _NO_CONTAINER.search(part):
        return ""
    if before in _LXC:
        return "" if part == ".." else part
    if "/ecs/" in path and _ECS.fullmatch(part):
        return part
    patterns = (_CONTAINER, *_NAMED)
    match = next(filter(None, (pattern.fullmatch(part) for pattern in patterns)), None)
    return _unescape(match[1]) if match else ""


def _pod(path: str) -> str:
    matches = filter(None, map(_POD.fullmatch, reversed(path.split("/"))))
    last = next(matches, None)
    return last[1].replace("_", "-") if last else ""


def _is_of_user(path: str) -> bool:
    """Whether a user names all that is in the path: a pod may have users inside, too."""
    match = _OF_USERS.search(path)
    above = path[: match.start()] if match else ""
    return match is not None and not _containers(above) and not _pod(above)


def _job(path: str) -> tuple[str, str]:
    """The job's id and its SLUID, one of which is empty.

    Of several the first counts: it is the one that only root can have made.
    """
    match = _JOB.search(path)
    if not match or _OF_USERS.search(path, 0, match.start() + 1):
        return "", ""
    by_uid, by_scope, sluid = match.groups(default="")
    return by_uid or by_scope, sluid


def _unescape(name: str) -> str:
    r"""Undo systemd's escapes, such as ``\x2d`` for a dash."""
    return _ESCAPED.sub(lambda match: _decoded(match[0]), name)


def _decoded(escapes: str) -> str:
    return bytes.fromhex(escapes.replace("\\x", "")).decode(errors="backslashreplace")
