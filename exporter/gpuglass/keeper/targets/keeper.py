"""The users' targets reach vmagent: a duty."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper import folder
from gpuglass.keeper.published import FilePlan, Names, PublishedFolder
from gpuglass.keeper.targets import plan
from gpuglass.keeper.targets.file import Target, TargetsFile, parse, render
from gpuglass.keeper.words import counted
from gpuglass.text.document import Problem

Targets: TypeAlias = tuple[Target, ...]
IS_TARGETS_NAME = folder.with_suffix(".yml", ".yaml", ".json")


def read(path: Path, name: str | None = None) -> TargetsFile:
    """Read and check a file.

    Args:
        path: The file.
        name: What to call it in messages; the last part of the path by default.

    Returns:
        Its targets or its problems; that it cannot be read is one of them.
    """
    name = path.name if name is None else name
    content = folder.read(path, name)
    if isinstance(content, Problem):
        return TargetsFile(name, problems=(content,))
    return parse(name, content)


class TargetsKeeper(PublishedFolder[TargetsFile, Targets]):
    """Keeps the folder that vmagent reads equal to the good part of the users' folder."""

    name = "targets"
    wanted = staticmethod(IS_TARGETS_NAME)
    suffix = ".json"
    names = Names(
        metrics.TARGETS,
        metrics.FILE_VALID,
        metrics.FILE_LAST_SUCCESS,
        metrics.PUBLISH_ERRORS,
    )

    def read(self, path: Path) -> TargetsFile:
        """Read and check a file."""
        return read(path)

    def plan(
        self, files: Iterable[TargetsFile], last_good: Mapping[str, Targets]
    ) -> dict[str, FilePlan[TargetsFile, Targets]]:
        """Decide what each file publishes: no address twice."""
        return plan.make(files, last_good)

    def render(self, content: Targets) -> bytes:
        """Write targets for vmagent."""
        return render(content)

    def restore(self, path: Path) -> Targets | Problem:
        """Read what an earlier keeper published."""
        file = read(path)
        if file.problems:
            return file.problems[0]
        return tuple(Target(t.address, t.labels) for t in file.targets)

    def size(self, content: Targets) -> int:
        """How many targets there are."""
        return len(content)

    def counted(self, content: Targets) -> str:
        """How many targets there are, in words."""
        return counted(len(content), "target")
