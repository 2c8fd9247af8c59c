"""The folder of targets files as commands change it: one at a time, whole files only."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpuglass.keeper import folder
from gpuglass.keeper.targets.edit import Identity
from gpuglass.keeper.targets.file import Target, TargetsFile, parse
from gpuglass.keeper.targets.keeper import IS_TARGETS_NAME
from gpuglass.text.document import Problem
from gpuglass.text.files import replace


@dataclass(frozen=True)
class Place:
    """A target and the file that names it."""

    file: str
    target: Target

    def __str__(self) -> str:
        return f"{self.file}:{self.target.line}"


class Store:
    """The files as they are when this is made.

    Args:
        directory: The folder.

    Raises:
        OSError: It cannot be listed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._contents: dict[str, bytes] = {}
        self.files: dict[str, TargetsFile] = {}
        for name in sorted(folder.scan(directory, IS_TARGETS_NAME)):
            self._read(name)

    def content(self, name: str) -> bytes:
        """What a file holds; nothing if it is not there or cannot be read."""
        return self._contents.get(name, b"")

    def unreadable(self, name: str) -> Problem | None:
        """Why a file that is there cannot be changed, if its bytes cannot even be read."""
        file = self.files.get(name)
        return file.problems[0] if file and file.problems and name not in self._contents else None

    def places(self) -> Mapping[Identity, Place]:
        """Where each target of a good file is named, in the order of files and lines."""
        found: dict[Identity, Place] = {}
        for name, file in self.files.items():
            for target in file.targets:
                found.setdefault(target.identity, Place(name, target))
        return found

    def write(self, name: str, content: bytes) -> None:
        """Replace a file, or make it; its owner and who may read it stay.

        Raises:
            OSError: It cannot be written; the old one stays.
        """
        # A link stays a link.
        path = (self.directory / name).resolve()
        try:
            like = path.stat()
        except FileNotFoundError:
            like = None
        replace(path, content, like=like)

    def _read(self, name: str) -> None:
        content = folder.read(self.directory / name, name)
        if isinstance(content, Problem):
            self.files[name] = TargetsFile(name, problems=(content,))
            return
        self._contents[name] = content
        self.files[name] = parse(name, content)
