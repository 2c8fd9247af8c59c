"""The folder that vmagent reads: whole files only, the last good version of each."""

import logging
from pathlib import Path

from gpuglass.keeper.files import replace
from gpuglass.keeper.targets import folder
from gpuglass.keeper.targets.file import Target, render

_log = logging.getLogger(__name__)
_SUFFIX = ".json"


class Publisher:
    """Writes what is published, and knows it again after a restart."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._written: dict[str, bytes] = {}

    def prepare(self) -> None:
        """Make the folder if it is not there, and try whether it can be written.

        Raises:
            OSError: It cannot.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        probe = self._directory / ".gpuglass-keeper.tmp"
        probe.write_bytes(b"")
        probe.unlink()

    def last_good(self) -> dict[str, tuple[float, tuple[Target, ...]]]:
        """What an earlier keeper published.

        Returns:
            By the name of the user's file: when it was written, as Unix time, and its targets.

        Raises:
            OSError: The folder cannot be listed.
        """
        found = {}
        for path in self._directory.iterdir():
            name = path.name.removesuffix(_SUFFIX)
            if name == path.name or not folder.is_targets_name(name):
                continue
            file = folder.read(path)
            if file.problems:
                _log.warning("%s; it is not used", file.problems[0])
                continue
            self._written[name] = render(file.targets)
            targets = tuple(Target(t.address, t.labels) for t in file.targets)
            found[name] = (path.stat().st_mtime, targets)
        return found

    def publish(self, name: str, targets: tuple[Target, ...]) -> bool:
        """Publish the targets of a user's file, unless that is what is published.

        Returns:
            Whether anything was written.

        Raises:
            OSError: It cannot be written; what was published stays.
        """
        content = render(targets)
        path = self._path(name)
        if self._written.get(name) == content and path.exists():
            return False
        replace(path, content)
        self._written[name] = content
        return True

    def withdraw(self, name: str) -> bool:
        """Remove the targets of a user's file.

        Returns:
            Whether there were any.

        Raises:
            OSError: They cannot be removed.
        """
        self._written.pop(name, None)
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_SUFFIX}"
