"""The web configuration: TLS, users, headers and rate, in the format of Prometheus's exporters.

Every key is honoured or refused with a reason; docs/web-configuration.md lists what differs.
"""

import re
from pathlib import Path

from gpuglass.text import document
from gpuglass.text.document import Problem
from gpuglass.text.files import IrregularFileError, read_bytes
from gpuglass.web import tls
from gpuglass.web.section import Problems, Section
from gpuglass.web.terms import Configuration, ConfigurationError, Rate, Tls

SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": (),
    "Strict-Transport-Security": (),
}
_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
# One check at the highest cost takes some seconds.
_COSTS = range(4, 17)
_MOST_USERS = 1000
_MOST_USER_BYTES = 256
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3},
    **{"s": 1.0, "m": 60.0, "h": 3600.0},
}


def load(path: Path) -> Configuration:
    """Read a web configuration, and the certificates and keys that it names.

    Raises:
        ConfigurationError: Something is wrong with one of them.
    """
    name = str(path)
    try:
        content = read_bytes(path, document.MAX_BYTES + 1)
        root = document.load(document.decode(content))
    except IrregularFileError:
        raise ConfigurationError([Problem(name, 1, "not a regular file")]) from None
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise ConfigurationError([Problem(name, 1, what)]) from None
    except document.DocumentError as error:
        raise ConfigurationError([Problem(name, error.line, error.what)]) from None
    if root is None:
        what = "the file is empty; write {} for no protection at all"
        raise ConfigurationError([Problem(name, 1, what)])
    problems = Problems(name)
    configuration = _read(root, path.parent, problems)
    if problems.found:
        raise ConfigurationError(problems.found, configuration.files)
    return configuration


def is_one(path: Path) -> bool:
    """Whether a file is meant as a web configuration: it has a section of one."""
    try:
        root = document.load(document.decode(read_bytes(path, document.MAX_BYTES)))
    except (OSError, document.DocumentError):
        return False
    keys = root.pairs if isinstance(root, document.Mapping) else ()
    return any(key.text in SECTIONS for key, _ in keys)


def _read(root: document.Node, folder: Path, problems: Problems) -> Configuration:
    top = Section(root, "the web configuration", SECTIONS, problems)
    spoken: Tls | None = None
    files: list[Path] = []
    headers: dict[str, str] = {}
    users: dict[bytes, bytes] = {}
    rate: Rate | None = None
    if node := top.node("tls_server_config"):
        section = Section(node, "tls_server_config", tls.KEYS, problems)
        spoken, files = tls.read(section, folder, problems)
    if node := top.node("http_server_config"):
        section = Section(node, "http_server_config", ("http2", "headers"), problems)
        headers = _http(section, problems)
    if node := top.node("basic_auth_users"):
        users = _users(Section(node, "basic_auth_users", (), problems), problems)
        if not spoken and users:
            what = "without tls_server_config the passwords cross the network for all to read"
            problems.warn(top.line_of("basic_auth_users"), what)
    if node := top.node("rate_limit"):
        section = Section(node, "rate_limit", ("interval", "burst"), problems)
        rate = _rate(section, problems)
    return Configuration(spoken, headers, users, rate, tuple(problems.warnings), tuple(files))


def _http(section: Section, problems: Problems) -> dict[str, str]:
    if section.boolean("http2", False):
        problems.warn(section.line_of("http2"), "http2: HTTP/1.1 is spoken, with every client")
    node = section.node("headers")
    if node is None:
        return {}
    section = Section(node, "headers", _HEADERS, problems)
    headers = {}
    for name, choices in _HEADERS.items():
        value = section.choice(name, choices) if choices else section.text(name)
        if value is None:
            continue
        if not value.isascii() or not value.isprintable():
            what = f"{name} has a character that a header cannot have; remove it"
            problems.add(section.line_of(name), what)
        elif value:
            headers[name] = value
    return headers


def _users(section: Section, problems: Problems) -> dict[bytes, bytes]:
    users = {}
    for name in section.names():
        line = section.line_of(name)
        value = section.text(name)
        if not name or ":" in name or len(name.encode()) > _MOST_USER_BYTES:
            what = f"a name of a user has no colon, and 1 to {_MOST_USER_BYTES} bytes"
            problems.add(line, what)
        elif value is not None:
            # What stands there may be the password itself: it is not shown.
            wrong = _hash_error(value)
            if wrong:
                problems.add(line, f"the password of user {name!r} {wrong}")
            else:
                users[name.encode()] = value.encode()
    if not section.names():
        problems.warn(section.line, "basic_auth_users has no users: nobody is asked for a password")
    if len(users) > _MOST_USERS:
        problems.add(section.line, f"more than {_MOST_USERS} users; use client certificates")
    return users


def _hash_error(value: str) -> str:
    match = _HASH.fullmatch(value)
    if match is None:
        return "is no bcrypt hash; make one with: htpasswd -nBC 10 USER"
    if int(match[1]) not in _COSTS:
        return f"has cost {match[1]}; from {_COSTS[0]} to {_COSTS[-1]} is taken, 10 is usual"
    return ""


def _rate(section: Section, problems: Problems) -> Rate | None:
    text = section.text("interval")
    if text is None:
        if "interval" not in section:
            problems.add(section.line, "rate_limit has no interval; add one such as 100ms")
        return None
    interval = _seconds(text)
    burst = _burst(section)
    if interval is None:
        problems.add(section.line_of("interval"), "interval is no duration; write one such as 1.5s")
    elif burst is None and interval > 0:
        what = "burst is no number from 1 to 1000000: no request would be answered"
        problems.add(section.line_of("burst"), what)
    elif interval > 0:
        return Rate(interval, burst or 1)
    return None


def _burst(section: Section) -> int | None:
    text = section.text("burst") or ""
    if not re.fullmatch(r"\d{1,7}", text) or not 1 <= int(text) <= 1_000_000:
        return None
    return int(text)


def _seconds(text: str) -> float | None:
    """A duration as Go writes it, such as 1m30s."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
