"""What a web configuration comes to. Reads none: that takes memory that few need."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuglass.text.document import Problem

_SAN_KINDS = ("DNS", "email", "URI", "IP Address")


class ConfigurationError(Exception):
    """The file cannot be used.

    Attributes:
        problems: What is wrong with it.
        files: The files that it names, as far as they are known.
    """

    def __init__(self, problems: "list[Problem]", files: tuple[Path, ...] = ()) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
        self.files = files


@dataclass(frozen=True)
class Tls:
    """What the server speaks.

    Attributes:
        context: OpenSSL's settings, with the certificate.
        asks_who: Whether a client has to show a certificate.
        allowed_sans: Names of which a client's certificate has to have one; empty for any.
        expiry: The Unix time at which the server's certificate ends, if it can be read.
    """

    context: ssl.SSLContext
    asks_who: bool
    allowed_sans: frozenset[str] = frozenset()
    expiry: float | None = None

    def allows(self, certificate: Any) -> bool:
        """Whether a client with this certificate, as ``getpeercert`` tells it, may talk to us."""
        if not self.allowed_sans:
            return True
        names = (certificate or {}).get("subjectAltName", ())
        return any(
            kind in _SAN_KINDS and same_name(name) in self.allowed_sans for kind, name in names
        )


@dataclass(frozen=True)
class Rate:
    """How often somebody may ask: once per ``interval`` seconds, ``burst`` times at once."""

    interval: float
    burst: int


@dataclass(frozen=True)
class Configuration:
    """What the file says.

    Attributes:
        tls: What is spoken; ``None`` for plain HTTP.
        headers: What is added to each answer.
        users: The bcrypt hashes of passwords by name; empty where nobody is asked for one.
        rate: How often somebody may ask; ``None`` for any rate.
        warnings: What its author should know.
        files: The files that it names.
    """

    tls: Tls | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[bytes, bytes] = field(default_factory=dict)
    rate: Rate | None = None
    warnings: "tuple[Problem, ...]" = ()
    files: tuple[Path, ...] = ()

    @property
    def asks_who(self) -> bool:
        """Whether a client has to show who it is."""
        return bool(self.users) or (self.tls is not None and self.tls.asks_who)


def same_name(name: str) -> str:
    """A name of a certificate in one spelling: an IPv6 address has several."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name
