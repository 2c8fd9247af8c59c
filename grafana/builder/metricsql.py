"""Which metrics, labels and label values a MetricsQL expression names: of rules and dashboards."""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<range>\[[^\]]*\])
    |(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:ms|[smhdwy])?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^(){},=<>@])
    |(?P<blank>\s+)""",
    re.VERBOSE,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "keep_metric_names"}
_WORDS |= {"if", "ifnot", "default"}


@dataclass
class Named:
    """What an expression names.

    Attributes:
        selectors: Metrics, each with the patterns that labels are compared with.
        grouping: Labels that it groups or joins by.
        functions: Functions and aggregations.
        texts: What it gives to these as texts, quoted.
    """

    selectors: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    grouping: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> set[str]:
        """The metrics of all selectors."""
        return {metric for metric, _ in self.selectors}


def named(expression: str) -> Named:
    """Take an expression apart; raises ValueError for what is not understood."""
    tokens = _tokens(expression)
    found = Named()
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind == "text":
            found.texts.append(text)
        if kind != "name" or text.lower() in _WORDS:
            if text == "{":
                raise ValueError(f"a selector without a metric in {expression!r}")
        elif text in _GROUPING:
            if following == "(":
                at, inner = _until(tokens, at + 1, ")")
                found.grouping |= {word for kind, word in inner if kind == "name"}
        elif following == "(" or (following in _GROUPING and following in ("by", "without")):
            found.functions.add(text)
        elif following == "{":
            at, inner = _until(tokens, at + 1, "}")
            found.selectors.append((text, _matchers(inner)))
        else:
            found.selectors.append((text, {}))
    return found


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"{expression[at:]!r} is not understood")
        assert match.lastgroup is not None
        if match.lastgroup not in ("blank", "range"):
            tokens.append((match.lastgroup, match.group()))
        at = match.end()
    return tokens


def _until(
    tokens: list[tuple[str, str]], start: int, closing: str
) -> tuple[int, list[tuple[str, str]]]:
    end = next(at for at in range(start, len(tokens)) if tokens[at][1] == closing)
    return end + 1, tokens[start:end]


def _matchers(tokens: list[tuple[str, str]]) -> dict[str, str]:
    """By label the pattern that it is compared with, however it is compared."""
    words = [token for token in tokens if token[1] != ","]
    triples = [words[at : at + 3] for at in range(0, len(words), 3)]
    for triple in triples:
        if [kind for kind, _ in triple] != ["name", "sign", "text"]:
            raise ValueError(f"{triple} is not a matcher")
    return {label: text[1:-1] for (_, label), _, (_, text) in triples}


# What Grafana puts in before it asks: suffixes of names, numbers, and durations.
_SUFFIXES = re.compile(r"\$\{(?:min|max)\}")
_NUMBERS = re.compile(r"\$__range_s|\$__interval_ms|\$\{__(?:from|to)(?::date:seconds)?\}")
_DURATIONS = re.compile(r"\$\{step\}|\$__(?:rate_)?interval\b|\$__range\b")


def substituted(expression: str) -> str:
    """A dashboard's expression, as Grafana asks it of the raw samples."""
    return _DURATIONS.sub("1m", _NUMBERS.sub("3600", _SUFFIXES.sub("", expression)))


_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_LENGTH = r"\d+(?:\.\d+)?(?:ms|[smhdwy])"
_RANGE = re.compile(rf"\[\s*((?:{_LENGTH})+)\s*(:?)")
_OFFSET = re.compile(rf"\boffset\s+((?:{_LENGTH})+)")


def look_back(expression: str) -> float:
    """The seconds that an expression looks back, at most.

    Windows of subqueries add up with those within them; the longest offset is taken for all.
    """
    code = re.sub(r"""(["'])(?:[^\\]|\\.)*?\1""", "", expression)
    windows = [(seconds(length), colon) for length, colon in _RANGE.findall(code)]
    plain = max((length for length, colon in windows if not colon), default=0.0)
    nested = sum(length for length, colon in windows if colon)
    return plain + nested + max(map(seconds, _OFFSET.findall(code)), default=0.0)


def seconds(length: str) -> float:
    """A duration such as ``1h30m``."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", length)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
