"""What a client takes: the format and the encoding of the page.

prometheus_client's own negotiation answers any version of OpenMetrics with that version's name,
raises on a version that is no number, and takes ``gzip;q=0`` for a yes.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_TEXT_TYPES = frozenset({"text/plain", "text/*", "*/*"})


class _Choice(NamedTuple):
    """One choice of an ``Accept`` or ``Accept-Encoding`` header, in lower case."""

    name: str
    version: str
    quality: float


# Scrapers send the same header every time.
@functools.lru_cache(maxsize=32)
def openmetrics(accept: str) -> bool:
    """Whether a client with this ``Accept`` header would rather have OpenMetrics than text."""
    qualities = [0.0]
    others = [0.0]
    for choice in _choices(accept):
        if choice.name == "application/openmetrics-text" and choice.version in ("", "1.0.0"):
            qualities.append(choice.quality)
        elif choice.name in _TEXT_TYPES:
            others.append(choice.quality)
    return max(qualities) > 0 and max(qualities) >= max(others)


@functools.lru_cache(maxsize=32)
def gzip(accept_encoding: str) -> bool:
    """Whether a client with this ``Accept-Encoding`` header takes gzip."""
    return any(choice.name == "gzip" and choice.quality > 0 for choice in _choices(accept_encoding))


def _choices(header: str) -> Iterator[_Choice]:
    for text in header.lower().split(","):
        name, *parts = (part.strip() for part in text.split(";"))
        parameters = {
            key.strip(): value.strip() for key, _, value in (p.partition("=") for p in parts)
        }
        yield _Choice(name, parameters.get("version", ""), _quality(parameters.get("q", "1")))


def _quality(text: str) -> float:
    """A quality that is no number makes its choice unwanted."""
    try:
        return float(text)
    except ValueError:
        return 0.0
