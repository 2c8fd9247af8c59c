"""Names of users."""

import os
import pwd
import time
from collections.abc import Callable
from pathlib import Path

from gpuglass.owners.errands import Errands

_ANSWER_SECONDS = 1.0
# A name service that was away says of every uid that it does not know it.
_UNKNOWN_SECONDS = 60.0
_MOST_NAMES = 10_000


def _from_name_service(uid: int) -> str:
    return os.fsencode(pwd.getpwuid(uid).pw_name).decode(errors="backslashreplace")


class UserNames:
    """Gives users' names; a uid without one is its own name.

    Args:
        rootfs: The machine's root directory. Where it is ``/``, the name service is asked, which
            may be a directory on the network and hang; else ``etc/passwd`` in it is read.
        ask: Asks the name service, and raises KeyError for a uid that it does not know.
    """

    def __init__(self, rootfs: Path, ask: Callable[[int], str] = _from_name_service) -> None:
        self._file = None if rootfs == Path("/") else rootfs / "etc/passwd"
        self._ask = ask
        self._errands = Errands(most=1)
        self._known: dict[int, str] = {}
        self._unknown: dict[int, float] = {}
        self._changed: object = None

    def name(self, uid: int) -> tuple[str, str]:
        """Return a user's name, and why it is only the uid (empty if it is the name).

        It waits for a name service for at most a second; what that answers later is told the next
        time.
        """
        if self._file:
            return self._from_file(self._file, uid)
        known = self._known.get(uid)
        if known is not None:
            return known, ""
        if time.monotonic() - self._unknown.get(uid, -_UNKNOWN_SECONDS) < _UNKNOWN_SECONDS:
            return str(uid), "uid_without_name"
        try:
            return self._errands.run(uid, lambda: self._learn(uid), _ANSWER_SECONDS), ""
        except TimeoutError:
            return str(uid), "name_service_timeout"
        except (KeyError, OSError, OverflowError):
            if len(self._unknown) >= _MOST_NAMES:
                self._unknown.clear()
            self._unknown[uid] = time.monotonic()
            return str(uid), "uid_without_name"

    def _learn(self, uid: int) -> str:
        """Ask for a name and remember it; in a thread that may be late."""
        name = self._ask(uid)
        if len(self._known) >= _MOST_NAMES:
            self._known.clear()
        self._known[uid] = name
        return name

    def _from_file(self, path: Path, uid: int) -> tuple[str, str]:
        try:
            status = path.stat()
            changed = (status.st_mtime_ns, status.st_size, status.st_ino)
            if changed != self._changed:
                self._known = _parse(path.read_bytes())
                self._changed = changed
        except OSError:
            return str(uid), "no_passwd_file"
        name = self._known.get(uid)
        return (name, "") if name else (str(uid), "uid_without_name")


def _parse(content: bytes) -> dict[int, str]:
    """Read a passwd file; a line that is not one is left out, and a uid's first line counts."""
    names: dict[int, str] = {}
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 7 and fields[0] and fields[2].isdigit() and len(fields[2]) <= 10:
            names.setdefault(int(fields[2]), fields[0].decode(errors="backslashreplace"))
    return names
