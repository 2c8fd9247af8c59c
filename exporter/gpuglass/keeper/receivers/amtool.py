"""What Alertmanager's own checker has to say of a configuration."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 30.0
_FAILED = re.compile(r"FAILED: (.*)", re.DOTALL)
_AT_LINE = re.compile(r"^\s*line (\d+): (.*)$", re.MULTILINE)
_UNKNOWN = re.compile(r"field (\S+) not found in type \S+")
_TWICE = re.compile(r"(?:field|key) \"?([^\"\s]+)\"? already set in (?:type \S+|map)")
# Values that a message quotes may be secrets. One that was cut has lost its last quote.
_QUOTED = (
    (re.compile(r"`[^`]*(?:`|$)"), "a value"),
    (re.compile(r'parse "(?:[^"\\]|\\.)*(?:"|\\?$)'), "it cannot be parsed"),
)


class AmtoolError(Exception):
    """The program cannot be run; the text says why and what to do."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a configuration; ``line`` is None where that is not told."""

    line: int | None
    what: str


def check(program: str, config: Path) -> list[Finding]:
    """Ask what is wrong with a configuration.

    Args:
        program: The name or the path of amtool.
        config: The configuration's file.

    Returns:
        Nothing if Alertmanager would take it.

    Raises:
        AmtoolError: The program is not there, or does not do what it should.
    """
    try:
        done = subprocess.run(
            [program, "check-config", str(config)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AmtoolError(f"{program} did not end within {_SECONDS:g} s") from None
    except OSError as error:
        raise AmtoolError(
            f"{program} cannot be run ({error.strerror or error}); "
            "it comes with Alertmanager, see --alertmanager.amtool-path"
        ) from None
    if done.returncode == 0:
        return []
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    found = _FAILED.search(output.partition("amtool: error:")[0])
    if found is None:
        reason = without_values(output) or f"it ended with {done.returncode}"
        raise AmtoolError(f"{program} did not check the receivers: {reason}")
    return _findings(found[1])


def without_values(text: str) -> str:
    """A message in one line, without the values that it quotes."""
    for pattern, instead in _QUOTED:
        text = pattern.sub(instead, text)
    return " ".join(text.split())[:300]


def _findings(text: str) -> list[Finding]:
    found = [Finding(int(line), _plain(what)) for line, what in _AT_LINE.findall(text)]
    return found or [Finding(None, _plain(text))]


def _plain(what: str) -> str:
    what = _UNKNOWN.sub(r'unknown key "\1"; correct or remove it', without_values(what))
    return _TWICE.sub(r'"\1" is there twice; keep one', what)
