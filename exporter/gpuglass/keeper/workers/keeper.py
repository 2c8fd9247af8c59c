"""The list of workers becomes vmauth's configuration: a duty."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper import folder
from gpuglass.keeper.published import FilePlan, Names, PublishedFolder
from gpuglass.keeper.words import counted
from gpuglass.keeper.workers import door
from gpuglass.keeper.workers.file import FILE, HEADER, Worker, WorkersFile, parse
from gpuglass.text.document import Problem
from gpuglass.text.files import replace

Workers: TypeAlias = tuple[Worker, ...]
# The tokens are in it.
MODE = 0o600


def read(path: Path) -> WorkersFile:
    """Read and check the list; one that is not there has no workers, that of others a problem."""
    if not path.exists():
        return WorkersFile(path.name)
    content = folder.read(path, path.name)
    if isinstance(content, Problem):
        return WorkersFile(path.name, problems=(content,))
    return parse(path.name, content)


def prepare(directory: Path) -> None:
    """Make the folder and the list in it, for their owner alone, where they are missing.

    Raises:
        OSError: They cannot be made.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (directory / FILE).exists():
        replace(directory / FILE, HEADER, MODE)


class WorkersKeeper(PublishedFolder[WorkersFile, Workers]):
    """Keeps vmauth's configuration equal to the good version of the list.

    Args:
        directory: The folder with the list.
        storage_url: Where VictoriaMetrics is, as vmauth reaches it.
        headers: Gives what vmauth is to tell it, as a password.
        interval: Seconds between two checks.
    """

    name = "workers"
    wanted = staticmethod(lambda name: name == FILE)
    suffix = ".json"
    mode = MODE
    names = Names(
        metrics.WORKERS,
        metrics.WORKERS_FILE_VALID,
        metrics.WORKERS_FILE_LAST_SUCCESS,
        metrics.WORKERS_ERRORS,
    )

    def __init__(
        self,
        directory: Path,
        storage_url: str,
        headers: Callable[[], Mapping[str, str]] = dict,
        interval: float = 2.0,
    ) -> None:
        super().__init__(directory, directory / "published", interval)
        self.workers: Workers = ()
        self._directory = directory
        self._storage_url, self._headers = storage_url, headers

    def start(self) -> None:
        """Make the list if it is not there, and check for the first time.

        Raises:
            OSError: The folder does not permit what is needed.
        """
        prepare(self._directory)
        super().start()

    def read(self, path: Path) -> WorkersFile:
        """Read and check the list."""
        return read(path)

    def plan(
        self, files: Iterable[WorkersFile], last_good: Mapping[str, Workers]
    ) -> dict[str, FilePlan[WorkersFile, Workers]]:
        """Publish the list as it is, or as it last was good."""
        plans = {
            file.name: FilePlan(file, last_good.get(file.name) if file.problems else file.workers)
            for file in files
        }
        self.workers = tuple(w for plan in plans.values() for w in plan.published or ())
        return plans

    def render(self, content: Workers) -> bytes:
        """Write vmauth's configuration."""
        return door.render(content, self._storage_url, self._headers())

    def restore(self, path: Path) -> Workers | Problem:
        """Read what an earlier keeper published."""
        return door.read(path.name, path.read_bytes())

    def size(self, content: Workers) -> int:
        """How many workers there are."""
        return len(content)

    def counted(self, content: Workers) -> str:
        """How many workers there are, in words."""
        return counted(len(content), "worker")
