"""Checks rule files as vmalert does, and finds the rule that is at fault."""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path

from gpuglass.keeper import folder
from gpuglass.keeper.rules import file
from gpuglass.keeper.rules.file import MAX_PROBLEMS, Group, Pairs, Reader, Rule, RulesFile, render
from gpuglass.text.document import Mapping, Problem, Scalar

IS_RULES_NAME = folder.with_suffix(".yml", ".yaml")

_TIMEOUT = 20.0
# How long to search for what is at fault; then it is told less exactly.
_SEARCH_SECONDS = 20.0
# Each is asked for with those before it, so that the time grows with the square.
_MAX_ASKED = 300
_FILE = "rules.yml"
_FATAL = re.compile(r"\tfatal\t[^\t]*\t(.*)", re.DOTALL)
_WHERE = re.compile(
    rf'failed to parse "?\[?{_FILE}\]?"?: |errors\(\d+\):\s*|failed to parse file "{_FILE}": '
    rf'|invalid group "[^"]*" in file "{_FILE}": |unmarshal errors: line \d+: '
)
_EXPRESSION = "invalid expression"
_KEY = re.compile(r"invalid (labels|annotations) for|unknown fields in [^:]+: (\w+)")
_INNER_KEY = re.compile(r'\(key: "([^"]*)"')


class VmalertError(OSError):
    """vmalert cannot be asked; the text says why and what to do."""


class Checker:
    """Asks a vmalert.

    Args:
        vmalert: The program: a path, or a name that is on PATH.
        clock: Gives seconds that only go forward.
    """

    def __init__(self, vmalert: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # It is called in another folder.
        self._vmalert = str(Path(vmalert).resolve()) if "/" in vmalert else vmalert

    def read(self, path: Path, name: str, reserved: Container[str] = ()) -> RulesFile:
        """Read and check a file.

        Args:
            path: The file.
            name: What to call it in messages.
            reserved: Names that its rules may not have.

        Returns:
            The file, or its problems; that it cannot be read is one of them.

        Raises:
            VmalertError: It cannot be asked.
        """
        content = folder.read(path, name)
        if isinstance(content, Problem):
            return RulesFile(name, problems=(content,))
        return self.check(name, content, reserved)

    def check(self, name: str, content: bytes, reserved: Container[str] = ()) -> RulesFile:
        """Check the content of a file; as ``read``."""
        reader = Reader(name, reserved)
        reader.read(content)
        problems = list(reader.problems)
        count = sum(len(group.rules) for group in reader.groups)
        # What has no rules vmalert does not look at.
        if not problems and count:
            refused = self._refused(content)
            problems = list(self._at_fault(name, reader.groups)) if refused else []
            if refused and not problems:
                problems = [Problem(name, 1, f"{refused}; correct it")]
        if problems:
            return RulesFile(name, problems=tuple(problems[:MAX_PROBLEMS]))
        return RulesFile(name, content, count)

    def _at_fault(self, name: str, groups: Iterable[Group]) -> Iterator[Problem]:
        until = self._clock() + _SEARCH_SECONDS
        for group in groups:
            if self._clock() > until:
                return
            refused = self._refused(render(group))
            if refused:
                yield _problem(name, group.line, group.settings, refused)
            elif group.rules and (refused := self._refused(render(group, group.rules))):
                found = list(self._rules_at_fault(name, group, until))
                yield from found or [Problem(name, group.line, f"{refused}; correct it")]

    def _rules_at_fault(self, name: str, group: Group, until: float) -> Iterator[Problem]:
        """The rules that vmalert refuses beside the good ones before them."""
        good: list[Rule] = []
        for rule in group.rules[:_MAX_ASKED]:
            if self._clock() > until:
                return
            refused = self._refused(render(group, [*good, rule]))
            if refused:
                yield _problem(name, rule.node.line, rule.node.pairs, refused)
            else:
                good.append(rule)

    def _refused(self, content: bytes) -> str:
        """What vmalert has against a rule file; nothing if it takes it."""
        with tempfile.TemporaryDirectory(prefix="gpuglass-rules-") as work:
            Path(work, _FILE).write_bytes(content)
            command = [self._vmalert, "-dryRun", f"-rule={_FILE}", "-loggerLevel=ERROR"]
            try:
                made = subprocess.run(
                    command,
                    cwd=work,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=_TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise self._error(f"no answer in {_TIMEOUT:g} s") from None
            except OSError as error:
                raise self._error(error.strerror or str(error)) from None
        return "" if made.returncode == 0 else _told(made.stderr + made.stdout)

    def _error(self, reason: str) -> VmalertError:
        return VmalertError(f"{self._vmalert} cannot be asked ({reason}); see --vmalert.path")


def own_names(folder_of_rules: Path) -> frozenset[str]:
    """The names of gpuglass's rules, which lie in folders beside the one with the users' rules."""
    found: set[str] = set()
    for sibling in ("alerts", "records"):
        beside = folder_of_rules.resolve().parent / sibling
        if beside == folder_of_rules.resolve() or not beside.is_dir():
            continue
        for name in folder.scan(beside, IS_RULES_NAME):
            content = folder.read(beside / name, name)
            found |= file.names(content) if isinstance(content, bytes) else set()
    return frozenset(found)


def _told(output: str) -> str:
    fatal = _FATAL.search(output)
    text = " ".join(_WHERE.sub("", fatal[1] if fatal else output).split())
    return text[:400] or "vmalert does not take it, and does not say why"


def _problem(name: str, line: int, pairs: Pairs, refused: str) -> Problem:
    """A problem where vmalert's words point to in a rule or group; else at its first line."""
    return Problem(name, _line(pairs, refused) or line, f"{refused}; correct it")


def _line(pairs: Pairs, refused: str) -> int | None:
    pointed = _KEY.search(refused)
    key = (pointed[1] or pointed[2]) if pointed else "expr" if _EXPRESSION in refused else None
    for found, value in pairs:
        if found.text == key:
            inner = _line(value.pairs, refused) if isinstance(value, Mapping) else None
            return inner or value.line
    inner_key = _INNER_KEY.search(refused)
    for found, value in pairs:
        if inner_key and found.text == inner_key[1]:
            return found.line
        quoted = (f'"{value.text}"', f"`{value.text}`") if isinstance(value, Scalar) else ()
        if key is None and any(text in refused for text in quoted):
            return value.line
    return None
