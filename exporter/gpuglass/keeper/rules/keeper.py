"""The users' own rules reach vmalert: a duty."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from gpuglass.catalogue import keeper as metrics
from gpuglass.keeper.http import PLAIN, HttpError, Way, ask
from gpuglass.keeper.published import FilePlan, Names, PublishedFolder
from gpuglass.keeper.reporter import Reporter
from gpuglass.keeper.rules.check import IS_RULES_NAME, Checker, own_names
from gpuglass.keeper.rules.file import RulesFile
from gpuglass.keeper.words import counted
from gpuglass.text.document import Problem

_log = logging.getLogger(__name__)


class RulesKeeper(PublishedFolder[RulesFile, RulesFile]):
    """Keeps the folder that vmalert reads equal to the good part of the users' folder.

    vmalert itself refuses all of its rules for one that is wrong, and does not start.

    Args:
        source: The folder that users edit.
        published: The folder that vmalert reads.
        checker: What tells good files from others.
        vmalert_url: Where the vmalert that reads the folder is, without a slash at its end.
        interval: Seconds between two checks.
        clock: Gives Unix time in seconds.
        way: How to get to vmalert.
    """

    name = "rules"
    wanted = staticmethod(IS_RULES_NAME)
    suffix = ".yml"
    names = Names(
        metrics.RULES,
        metrics.RULES_FILE_VALID,
        metrics.RULES_FILE_LAST_SUCCESS,
        metrics.RULES_ERRORS,
    )

    def __init__(
        self,
        source: Path,
        published: Path,
        checker: Checker,
        vmalert_url: str,
        interval: float = 2.0,
        clock: Callable[[], float] = time.time,
        way: Way = PLAIN,
    ) -> None:
        super().__init__(source, published, interval, clock)
        self._checker = checker
        self._vmalert_url = vmalert_url
        self._way = way
        self._own_names: frozenset[str] = frozenset()
        self._to_reload = False
        self._reload_reporter = Reporter(
            _log, f"vmalert at {vmalert_url} knows of the new rules", logging.WARNING
        )

    def start(self) -> None:
        """Learn the names of gpuglass's own rules, and start."""
        self._own_names = own_names(self._source)
        super().start()

    def check(self) -> None:
        """Look once, publish what is good, and have vmalert read it."""
        super().check()
        if self._to_reload:
            self._reload()

    def read(self, path: Path) -> RulesFile:
        """Read and check a file."""
        return self._checker.read(path, path.name, self._own_names)

    def plan(
        self, files: Iterable[RulesFile], last_good: Mapping[str, RulesFile]
    ) -> dict[str, FilePlan[RulesFile, RulesFile]]:
        """Decide what each file publishes: files are independent of each other."""
        return {
            file.name: FilePlan(file, last_good.get(file.name) if file.problems else file)
            for file in files
        }

    def render(self, content: RulesFile) -> bytes:
        """Write a file as its user did."""
        return content.content

    def restore(self, path: Path) -> RulesFile | Problem:
        """Read what an earlier keeper published: it may not be good for this vmalert any more."""
        file = self.read(path)
        return file.problems[0] if file.problems else file

    def size(self, content: RulesFile) -> int:
        """How many rules there are."""
        return content.rules

    def counted(self, content: RulesFile) -> str:
        """How many rules there are, in words."""
        return counted(content.rules, "rule")

    def changed(self) -> None:
        """Remember that vmalert does not know yet."""
        self._to_reload = True

    def _reload(self) -> None:
        try:
            ask(f"{self._vmalert_url}/-/reload", method="POST", way=self._way)
        except HttpError as error:
            told = f"vmalert at {self._vmalert_url} cannot be told of new rules ({error.reason})"
            self._reload_reporter.tell(told, "; it is tried again")
        else:
            self._to_reload = False
            self._reload_reporter.tell("")
