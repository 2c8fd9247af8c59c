"""Log lines for people (logfmt) and for machines (JSON), on stderr."""

import json
import logging
import sys
import time

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")

_NAMES = {"WARNING": "warn", "CRITICAL": "error"}
_NUMBERS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: str, format: str) -> None:
    """Send every log record to stderr.

    Args:
        level: The least severe level to write, one of ``LEVELS``.
        format: One of ``FORMATS``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if format == "json" else _Logfmt())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_NUMBERS[level])


def _fields(record: logging.LogRecord, text: str) -> dict[str, str]:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    level = _NAMES.get(record.levelname, record.levelname.lower())
    return {"ts": f"{seconds}.{int(record.msecs):03d}Z", "level": level, "msg": text}


class _OneLine(logging.Formatter):
    """A record is one line, whatever is in it: a traceback's lines are joined."""

    def text(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += " | " + self.formatException(record.exc_info)
        return " | ".join(line for line in message.splitlines() if line)


class _Logfmt(_OneLine):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(
            f"{key}={json.dumps(value, ensure_ascii=False) if _needs_quotes(value) else value}"
            for key, value in _fields(record, self.text(record)).items()
        )


class _Json(_OneLine):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record, self.text(record)), ensure_ascii=False)


def _needs_quotes(value: str) -> bool:
    return not value or any(c in value for c in ' ="\\\t')
