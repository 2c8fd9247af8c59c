"""From the bytes of a receivers file to a configuration that Alertmanager takes."""

import time
from collections.abc import Callable
from pathlib import Path

from gpuglass.keeper.receivers import amtool
from gpuglass.keeper.receivers.compose import (
    Base,
    BaseError,
    Composed,
    compose,
    pieces,
    templates,
)
from gpuglass.keeper.receivers.file import ReceiversFile
from gpuglass.text.document import Problem
from gpuglass.text.files import replace

# Whoever may read the configuration may send messages in our name.
MODE = 0o600
_CANDIDATE = ".candidate.yml"
# How long to search for what is at fault; then it is told less exactly.
_SEARCH_SECONDS = 20.0


class ReceiversError(Exception):
    """A receivers file is wrong.

    Attributes:
        problems: What is, in order of the lines; at least one.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems


class Checker:
    """Composes, and asks Alertmanager's own checker.

    Args:
        program: The name or the path of amtool.
        folder: Where relative paths in the files begin.
        scratch: A folder for the file that amtool reads; it is gone afterwards.
        clock: Gives seconds that only go forward.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        scratch: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._program = program
        self._folder = folder.absolute()
        self._candidate = scratch / _CANDIDATE

    def configuration(self, base: Base, users: ReceiversFile) -> bytes:
        """The whole configuration.

        Raises:
            ReceiversError: The user's file is wrong.
            BaseError: Our base is.
            AmtoolError: It cannot be checked.
            OSError: The candidate cannot be written.
        """
        if users.problems:
            raise ReceiversError(users.problems)
        composed = compose(base, users, self._folder)
        found = self._findings(composed)
        if found:
            raise ReceiversError(self._problems(composed, base, users, found))
        return composed.content

    def templates(self, base: Base, users: ReceiversFile) -> tuple[str, ...]:
        """The patterns of the files with templates."""
        return tuple(str(self._folder / text) for text in templates(base, users))

    def _findings(self, composed: Composed) -> list[amtool.Finding]:
        try:
            replace(self._candidate, composed.content, MODE)
            return amtool.check(self._program, self._candidate)
        finally:
            self._candidate.unlink(missing_ok=True)

    def _problems(
        self, composed: Composed, base: Base, users: ReceiversFile, found: list[amtool.Finding]
    ) -> tuple[Problem, ...]:
        problems = []
        for finding in found:
            file, line = self._origin(composed, users, finding)
            if file == base.name:
                raise BaseError(f"{file}:{line}: {finding.what}")
            problems.append(Problem(file, line, finding.what))
        return tuple(problems)

    def _origin(
        self, composed: Composed, users: ReceiversFile, finding: amtool.Finding
    ) -> tuple[str, int]:
        """Where in the user's file, or in ours, the fault is."""
        if finding.line is not None and 0 < finding.line <= len(composed.origins):
            file, line = composed.origins[finding.line - 1]
            return file or users.name, line or 1
        # It does not say where, so each piece is tried without the others.
        until = self._clock() + _SEARCH_SECONDS
        for line, piece in pieces(users, self._folder):
            if self._clock() > until:
                break
            if self._findings(piece):
                return users.name, line
        return users.name, 1
