"""How vmagent gets at the targets: the password and the certificates of its scrape config."""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gpuglass.keeper.http import Way, basic

# The first of them that the config has is the scheme's.
_JOBS = {"http": ("gpu",), "https": ("gpu-tls", "gpu")}
_VARIABLE = re.compile(r"%\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KNOWN_TLS = {"ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify"}


class AccessError(Exception):
    """The scrape config cannot be followed; the text says why and what to do."""


class WithheldError(AccessError):
    """This user may not read the password or the certificates."""


def read(path: Path, scheme: str, environment: Mapping[str, str] = os.environ) -> Way:
    """The password and the certificates with which the nodes are scraped.

    Args:
        path: The scrape config; without such a file there are neither.
        scheme: Of which nodes: those that are asked by ``http`` or by ``https``.
        environment: What ``%{NAME}`` in it stands for.

    Raises:
        WithheldError: A file that it names is not for this user.
        AccessError: It, or a file that it names, cannot be read, or has what we do not know.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Way(direct=True)
    except OSError as error:
        raise _wrong(path, f"cannot be read ({error.strerror})") from None
    try:
        # A variable that is not set is only missed where it is needed.
        config = yaml.safe_load(_VARIABLE.sub(lambda m: environment.get(m[1], m[0]), text))
        jobs = {job["job_name"]: job for job in config["scrape_configs"]}
        job: Mapping[str, Any] = next((jobs[name] for name in _JOBS[scheme] if name in jobs), {})
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise _wrong(path, f"is no scrape config ({' '.join(str(error).split())[:120]})") from None
    try:
        return Way(_headers(path, job), _tls(path, job.get("tls_config")), direct=True)
    except PermissionError as error:
        raise WithheldError(
            f"{error.filename}: {error.strerror}; be root, or the user who installed gpuglass"
        ) from None
    except OSError as error:
        at = f"{error.filename}: " if error.filename else ""
        raise _wrong(path, f"{at}{error.strerror or error}") from None


def _headers(path: Path, job: Mapping[str, Any]) -> dict[str, str]:
    if "basic_auth" in job:
        login = job["basic_auth"]
        return basic(_secret(path, login, "username"), _secret(path, login, "password"))
    if "authorization" in job:
        bearer = job["authorization"]
        kind = bearer.get("type", "Bearer")
        return {"Authorization": f"{kind} {_secret(path, bearer, 'credentials')}"}
    return {}


def _secret(path: Path, settings: Mapping[str, Any], name: str) -> str:
    """A value that stands in the config, or in a file that it names."""
    if name in settings:
        return str(settings[name])
    file = settings.get(f"{name}_file")
    if file is None:
        raise _wrong(path, f"the nodes' job has no {name}")
    return Path(path.parent, str(file)).read_text("utf-8").rstrip("\r\n")


def _tls(path: Path, settings: Mapping[str, Any] | None) -> ssl.SSLContext | None:
    if not settings:
        return None
    unknown = sorted(settings.keys() - _KNOWN_TLS)
    if unknown:
        raise _wrong(
            path, f"tls_config of the nodes' job has {unknown[0]}, which is not supported here"
        )
    ca = settings.get("ca_file")
    context = _Context(settings.get("server_name"), ca and str(path.parent / ca))
    if settings.get("insecure_skip_verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "cert_file" in settings:
        key = settings.get("key_file")
        certificate = str(path.parent / settings["cert_file"])
        context.load_cert_chain(certificate, key and str(path.parent / key))
    return context


class _Context(ssl.SSLContext):
    """Trusts what it is told to, and expects the name that it is told to."""

    def __new__(cls, name: str | None, ca: str | None) -> "_Context":
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, name: str | None, ca: str | None) -> None:
        self._name = name
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca is None:
            self.load_default_certs()
        else:
            self.load_verify_locations(ca)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Expect the name of the config instead of the address's."""
        if self._name is not None:
            kwargs["server_hostname"] = self._name
        return super().wrap_socket(*args, **kwargs)


def _wrong(path: Path, what: str) -> AccessError:
    return AccessError(f"{path}: {what}; correct it, or name another with --scrape.config")
