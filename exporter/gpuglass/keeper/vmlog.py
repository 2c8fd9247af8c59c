"""What VictoriaMetrics's programs complain of in their logs."""

import json
from collections.abc import Iterator
from typing import IO

# The flags by which they log as is read here.
JSON_ERRORS = ("-loggerFormat=json", "-loggerLevel=ERROR")
_TAIL = 1 << 16
_BAD = {"error", "fatal", "panic"}


def troubles(log: IO[bytes]) -> Iterator[str]:
    """What stands at the end of a log; words may be long, so that their middle is left out."""
    for line in _tail(log).splitlines():
        try:
            entry = json.loads(line)
            if entry["level"] not in _BAD:
                continue
            words = str(entry["msg"])
        except (ValueError, KeyError, TypeError):
            words = line
        if words.strip():
            yield words if len(words) < 300 else f"{words[:120]} ... {words[-160:]}"


def _tail(log: IO[bytes]) -> str:
    log.seek(0, 2)
    log.seek(max(0, log.tell() - _TAIL))
    return log.read().decode(errors="replace")
