"""vmauth's configuration: for each worker its token, one route, and the labels forced on it.

vmauth compares tokens as they are, so that they stand in its configuration as they are: a hash
would not do. Its reader and the keeper are the only ones who may read the file.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from gpuglass.keeper.workers.file import Worker
from gpuglass.text.document import Problem

ROUTE = "/api/v1/write"
# What VictoriaMetrics puts in the place of whatever a worker says of these.
_FORCED = ("node", "instance")
_JOB = "gpu"
# No worker has such a name, and nobody knows its token.
_NOBODY, _NOBODYS_TOKEN = "-", secrets.token_urlsafe(32)


def render(
    workers: Iterable[Worker], storage_url: str, headers: Mapping[str, str] | None = None
) -> bytes:
    """Write the configuration.

    Args:
        workers: Who may come in.
        storage_url: Where VictoriaMetrics is.
        headers: What vmauth is to tell it, as a password.
    """
    users = [_user(worker, storage_url, headers or {}) for worker in workers]
    # It refuses to run with nobody to let in.
    text = json.dumps({"users": users or [_nobody(storage_url)]}, indent=1)
    return text.encode() + b"\n"


def read(name: str, content: bytes) -> tuple[Worker, ...] | Problem:
    """Who may come in by a configuration that ``render`` wrote; without what it does not hold."""
    try:
        users = json.loads(content)["users"]
        return tuple(_worker(user) for user in users if user["name"] != _NOBODY)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return Problem(name, 1, "not written by the keeper")


def _user(worker: Worker, storage_url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    labels = [*((name, worker.name) for name in _FORCED), ("job", _JOB), *worker.labels]
    query = urlencode([("extra_label", f"{name}={value}") for name, value in labels])
    route: dict[str, Any] = {"src_paths": [ROUTE], "url_prefix": f"{storage_url}/?{query}"}
    if headers:
        route["headers"] = [f"{name}: {value}" for name, value in headers.items()]
    return {"name": worker.name, "bearer_token": worker.token, "url_map": [route]}


def _nobody(storage_url: str) -> dict[str, Any]:
    route = {"src_paths": ["/nowhere"], "url_prefix": storage_url}
    return {"name": _NOBODY, "bearer_token": _NOBODYS_TOKEN, "url_map": [route]}


def _worker(user: dict[str, Any]) -> Worker:
    query = urlsplit(user["url_map"][0]["url_prefix"]).query
    pairs = (value.split("=", 1) for name, value in parse_qsl(query) if name == "extra_label")
    labels = {name: value for name, value in pairs if name not in (*_FORCED, "job")}
    return Worker(user["name"], user["bearer_token"], labels=tuple(sorted(labels.items())))
