"""A folder that a program reads: whole files only, the last good version of each."""

from pathlib import Path

from gpuglass.text.files import replace


class Publisher:
    """Writes what is published, and knows it again after a restart.

    Args:
        directory: The folder.
        suffix: What is added to the name of the user's file.
        mode: Who may read what is published, less what the umask takes away.
    """

    def __init__(self, directory: Path, suffix: str, mode: int = 0o666) -> None:
        self._directory = directory
        self._suffix = suffix
        self._mode = mode
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

    def found(self) -> dict[str, Path]:
        """What an earlier keeper published: the files by the name of the user's file.

        Raises:
            OSError: The folder cannot be listed.
        """
        files = [path for path in self._directory.iterdir() if path.name.endswith(self._suffix)]
        return {path.name.removesuffix(self._suffix): path for path in files}

    def know(self, name: str, content: bytes) -> None:
        """Take it that this is what is published of a user's file."""
        self._written[name] = content

    def publish(self, name: str, content: bytes) -> bool:
        """Publish the content for a user's file, unless that is what is published.

        Returns:
            Whether anything was written.

        Raises:
            OSError: It cannot be written; what was published stays.
        """
        path = self._path(name)
        if self._written.get(name) == content and path.exists():
            return False
        replace(path, content, self._mode)
        self._written[name] = content
        return True

    def withdraw(self, name: str) -> bool:
        """Remove what is published of a user's file.

        Returns:
            Whether there was anything.

        Raises:
            OSError: It cannot be removed.
        """
        self._written.pop(name, None)
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{self._suffix}"
