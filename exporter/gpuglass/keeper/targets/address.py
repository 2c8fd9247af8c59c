"""The address of a target: a host and a port, as vmagent takes it."""

import ipaddress
import re

_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_MAX_HOST = 253


def split(address: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``.

    Args:
        address: A target as it is written.

    Returns:
        The host, an IPv6 address without its brackets, and the port.

    Raises:
        ValueError: It is no such address; the message says what is wrong and what to do.
    """
    if "://" in address:
        raise ValueError("has a scheme; write host:port, and HTTPS as the label __scheme__: https")
    if "/" in address:
        raise ValueError("has a path; write host:port and the path in the label __metrics_path__")
    if address != "".join(address.split()):
        raise ValueError("has white space in it; write host:port")
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        raise ValueError("has no port; write host:port, such as node1:9400")
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"has port {port!r}; write a number from 1 to 65535")
    return _checked_host(host), int(port)


def identity(address: str) -> tuple[str, int]:
    """What two spellings of one address have in common.

    Raises:
        ValueError: As ``split`` does.
    """
    host, port = split(address)
    if ":" in host:
        return ipaddress.IPv6Address(host).compressed, port
    return host.lower().rstrip("."), port


def _checked_host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return _checked_v6(host[1:-1])
    if ":" in host:
        raise ValueError("has colons in its host; write an IPv6 address as [2001:db8::1]:9400")
    if not host:
        raise ValueError("has no host; write host:port, such as node1:9400")
    if len(host) > _MAX_HOST or not _HOST.fullmatch(host):
        raise ValueError("has a host that is neither a name nor an IP address; correct it")
    if _DIGITS_AND_DOTS.fullmatch(host):
        _check_v4(host)
    return host


def _checked_v6(host: str) -> str:
    try:
        if "%" not in host:  # vmagent cannot dial an address with a zone
            ipaddress.IPv6Address(host)
            return host
    except ValueError:
        pass
    raise ValueError(f"has {host!r} within its brackets, which is not an IPv6 address; correct it")


def _check_v4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise ValueError(f"has {host!r}, which is not an IPv4 address; correct it") from None
