"""What to publish: the good version of every file, and no address twice. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpuglass.keeper.published import FilePlan
from gpuglass.keeper.targets.file import MAX_PROBLEMS, Target, TargetsFile
from gpuglass.text.document import Problem


def make(
    files: Iterable[TargetsFile], last_good: Mapping[str, tuple[Target, ...]]
) -> dict[str, FilePlan[TargetsFile, tuple[Target, ...]]]:
    """Decide what each file publishes.

    Of two files with one address the later in order of names is wrong: a rule that needs no
    history, so that everybody who looks at the folder comes to the same answer.

    Args:
        files: Every file of the folder.
        last_good: The targets of each file when it was last good, by its name.

    Returns:
        The plan of each file, by its name.
    """
    owners: dict[tuple[str, int], tuple[str, int]] = {}
    plans = {}
    for file in sorted(files, key=lambda f: f.name):
        problems = file.problems or _conflicts(file, owners)
        published: tuple[Target, ...] | None = file.targets
        if problems:
            kept = last_good.get(file.name)
            published = kept and tuple(t for t in kept if t.identity not in owners)
        for target in published or ():
            owners[target.identity] = (file.name, target.line)
        plans[file.name] = FilePlan(replace(file, problems=problems), published)
    return plans


def _conflicts(
    file: TargetsFile, owners: Mapping[tuple[str, int], tuple[str, int]]
) -> tuple[Problem, ...]:
    problems = []
    for target in file.targets:
        owner = owners.get(target.identity)
        if owner is None:
            continue
        place = f"{owner[0]}:{owner[1]}" if owner[1] else owner[0]
        what = f"{target.address} is already a target at {place}; keep it in one file"
        problems.append(Problem(file.name, target.line, what))
    return tuple(problems[:MAX_PROBLEMS])
