"""Colours by value and words in place of values, the same in all panels."""

from collections.abc import Mapping
from typing import Literal

from grafana.builder.model import Json

# By a value as text, or by a pattern between slashes: what is shown in its place, and its colour.
Words = Mapping[str, tuple[str, str]]
# From which value on a colour holds; the first is that of all lower ones.
Steps = tuple[tuple[float | None, str], ...]

PLAIN: Steps = ((None, "text"),)
CALM: Steps = ((None, "blue"),)
GOOD: Steps = ((None, "green"),)
# Of a count of what should not be.
BAD_FROM_1: Steps = ((None, "green"), (1, "red"))
WARN_FROM_1: Steps = ((None, "green"), (1, "orange"))
# Of a share that should not get near 1.
NEAR_FULL: Steps = ((None, "green"), (0.8, "yellow"), (0.95, "red"))
# Of a score that is 1 where nothing is known to be wrong.
HEALTH: Steps = ((None, "red"), (0.5, "orange"), (0.8, "yellow"), (1, "green"))
# Of a share without good or bad: the more the warmer.
WARMER: Steps = ((None, "blue"), (0.05, "green"), (0.6, "yellow"), (0.9, "orange"))
# Of degrees between a core and the point at which it slows down.
MARGIN: Steps = ((None, "red"), (3, "orange"), (10, "green"))


Calc = Literal["lastNotNull", "mean", "max", "min", "sum", "range", "diff"]


def thresholds(steps: Steps) -> Json:
    """Colours by value."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in steps],
    }


def mapped(words: Words) -> list[Json]:
    """Words and colours in place of values."""
    plain, patterns = {}, []
    for number, (value, (text, color)) in enumerate(words.items()):
        result = {"text": text, "color": color, "index": number}
        if value.startswith("/"):
            patterns.append({"type": "regex", "options": {"pattern": value, "result": result}})
        else:
            plain[value] = result
    return [*([{"type": "value", "options": plain}] if plain else []), *patterns]
