"""Names of pods and their containers, from the folders in which the kubelet keeps logs.

The kubelet's and the cluster's interfaces need rights; these folders need a read-only mount:
``pods/NAMESPACE_POD_UID/CONTAINER/`` and ``containers/POD_NAMESPACE_CONTAINER-ID.log``. The UID is
that of the cgroup: of a static pod the hash of its manifest, not what the cluster shows of its
mirror. The kubelet cuts off what makes the second name longer than 255 characters.
"""

import re
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_LABEL = re.compile(r"[a-z0-9.-]+")
_POD = re.compile(r"([a-z0-9-]+)_([a-z0-9.-]+)_([0-9a-f-]{32,36})")
_CONTAINER = re.compile(r"([a-z0-9.-]+)_([a-z0-9-]+)_([a-z0-9-]+)-([0-9a-f]{12,64})\.log")
_LONGEST_NAME = 255
_ID_DIGITS = 64
_MOST_NAMES = 20_000
# The clock of files has steps: what was changed just now may change again and show the same time.
_UNSETTLED_NS = 2_000_000_000


class PodName(NamedTuple):
    """What a container is called; empty text where that is unknown.

    Attributes:
        namespace: The pod's namespace.
        pod: The pod's name.
        container: The container's name in the pod.
    """

    namespace: str = ""
    pod: str = ""
    container: str = ""


class PodNames:
    """Gives the names that belong to a pod's uid and a container's id.

    Args:
        logs: The machine's ``/var/log``.
    """

    def __init__(self, logs: Path) -> None:
        self._pods = _Folder(logs / "pods", _pods)
        self._containers = _Folder(logs / "containers", _containers)

    def name(self, pod_uid: str, container_id: str) -> tuple[PodName, str]:
        """Return what a container is called, and why it is not all known (empty if it is).

        The reasons: ``no_log_folder``, ``log_folder_unreadable``, ``pod_without_logs``.

        Args:
            pod_uid: The pod's uid; empty if the container is in none that is known.
            container_id: The container's id.
        """
        found = _find(self._containers.read(), container_id)
        if found:
            return found, ""
        if not pod_uid:
            return PodName(), ""
        found = self._pods.read().get(pod_uid)
        if not found:
            return PodName(), self._pods.problem or "pod_without_logs"
        return self._only_container(found, pod_uid), ""

    def _only_container(self, pod: PodName, pod_uid: str) -> PodName:
        """Add the container's name, where the pod has but one."""
        try:
            names = _names(self._pods.path / f"{pod.namespace}_{pod.pod}_{pod_uid}")
        except OSError:
            return pod
        known = len(names) == 1 and _LABEL.fullmatch(names[0])
        return pod._replace(container=names[0]) if known else pod


class _Folder:
    """A folder whose names tell something, read anew when an entry came or went."""

    def __init__(self, path: Path, parse: Callable[[list[str]], dict[str, PodName]]) -> None:
        self.path = path
        self.problem = ""
        self._parse = parse
        self._names: dict[str, PodName] = {}
        self._changed = 0

    def read(self) -> dict[str, PodName]:
        try:
            changed = self.path.stat().st_mtime_ns
            if changed != self._changed:
                self._names = self._parse(_names(self.path))
                self._changed = changed if time.time_ns() - changed > _UNSETTLED_NS else 0
            self.problem = ""
        except (FileNotFoundError, NotADirectoryError):
            self._forget("no_log_folder")
        except OSError:
            self._forget("log_folder_unreadable")
        return self._names

    def _forget(self, problem: str) -> None:
        self.problem = problem
        self._names = {}
        self._changed = 0


def _names(folder: Path) -> list[str]:
    return [path.name for path in islice(folder.iterdir(), _MOST_NAMES)]


def _pods(names: list[str]) -> dict[str, PodName]:
    matches = filter(None, map(_POD.fullmatch, names))
    return {match[3]: PodName(match[1], match[2]) for match in matches}


def _containers(names: list[str]) -> dict[str, PodName]:
    matches = filter(None, map(_CONTAINER.fullmatch, names))
    return {
        match[4]: PodName(match[2], match[1], match[3])
        for match in matches
        if len(match[4]) == _ID_DIGITS or len(match[0]) == _LONGEST_NAME
    }


def _find(containers: dict[str, PodName], id: str) -> PodName | None:
    """The container with an id, of which the folder may only have the first digits."""
    if id in containers or not id:
        return containers.get(id)
    found = [name for start, name in containers.items() if id.startswith(start)]
    return found[0] if len(found) == 1 else None
